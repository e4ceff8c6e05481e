"""The one error of reading pictures: which file, and why it is of no use. It travels between processes."""

from pathlib import Path

from stylegan_lab.mistake import Mistake


class Unreadable(Mistake):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{shown(self.path)} {self.reason}"


def shown(path: Path) -> str:
    """A name that can be printed, whatever bytes it is made of."""
    return str(path).encode("utf-8", "backslashreplace").decode()
