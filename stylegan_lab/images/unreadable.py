"""The one error of reading pictures: which file, and why it is of no use. It travels between processes."""

from pathlib import Path

from stylegan_lab.mistake import Mistake

JOINERS = "\u200c\u200d"  # of letters in Persian and Indian scripts, and of emoji


class Unreadable(Mistake):
    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{shown(self.path)} {self.reason}"


def shown(name: Path | str) -> str:
    """A name that can be printed, whatever bytes it is made of: no line ends, no commands to a terminal."""
    text = str(name).encode("utf-8", "backslashreplace").decode()
    return "".join(sign if sign.isprintable() or sign in JOINERS else repr(sign)[1:-1] for sign in text)
