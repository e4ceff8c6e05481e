"""Files that a command was asked to write, wherever the user wants them."""

import tempfile
from pathlib import Path

from stylegan_lab.mistake import Mistake
from stylegan_lab.whole import write_text


def check_place(option: str, path: Path) -> None:
    """Whether a file could be written there, before the work it is to hold is done."""
    if path.is_dir():
        raise Mistake(f"{option} {path}: a folder; give a file's name, or put {option} after what stands alone")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise Mistake(f"{option} {path} cannot be written: {error.strerror}") from None


def write_file(option: str, path: Path, text: str) -> None:
    check_place(option, path)
    try:
        write_text(path, text)
    except OSError as error:
        raise Mistake(f"{option} {path} cannot be written: {error.strerror}") from None
    print(f"written    {path}")
