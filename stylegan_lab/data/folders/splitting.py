"""Which pictures are for training, which are held out: by a list file, or by a seeded share that keeps copies together."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import TypeVar

from stylegan_lab.data.folders.listing import same_name, shown
from stylegan_lab.mistake import Mistake

SPLITS = ("train", "val", "test")
Name = TypeVar("Name", bound=PurePath)

# What programs add to the name of a copy: "(2)", " - Copy", "~2", "@2x", "-1024x768", "-scaled", "_edited" ...
COPY = re.compile(
    r"[ _.~@-]*(\(\d*\)|\((copy|kopie|copie|copia)( \d+)?\)|\b(copy|kopie|copie|copia)( ?\(?\d+\)?)?|(?<=[ _-])(copy|edited|edit"
    r"|scaled|resized|thumb|thumbnail|small|large)|~\d+|@\d+x|-\d{2,5}x\d{2,5})$"
)
TAKE = re.compile(r"(?<=\d)[ _.-]\d{1,3}$")  # img_001_2 is another take of img_001, img_002 is not


def likeness(path: PurePath, takes: bool = True) -> str:
    """What the names of a picture and of its copies have in common: the stem without marks of copies, in any case, in any
    folder. `takes`: also without a second number."""
    name = unicodedata.normalize("NFKC", path.stem).casefold().strip()
    while (shorter := COPY.sub("", name)) not in ("", name):
        name = shorter
    return TAKE.sub("", name) if takes else name


def by_share(
    paths: Sequence[Name], shares: Mapping[str, float], seed: int, among: str = "the folder"
) -> dict[str, list[Name]]:
    """`shares` of the held-out splits; at least one picture of each whose share is above 0. What is alike by name is never
    in two splits. The order of chance depends on each name and the seed alone, so that a new picture moves few others."""
    wanted = {split: share for split, share in shares.items() if share > 0}
    groups = _groups(paths, takes=True)
    if len(groups) <= len(wanted):  # perhaps a second number is no mark of a copy here
        groups = _groups(paths, takes=False)
    if len(groups) <= len(wanted):
        raise Mistake(
            f"{among} has {len(paths)} picture{'s' * (len(paths) != 1)}{', all alike by name' * (len(paths) > 1)}; "
            f"training and {' and '.join(wanted) or 'training'} need {len(wanted) + 1} that differ "
            "(data.val_share=0 data.test_share=0 holds nothing out)"
        )
    order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode("utf-8", "surrogatepass")).digest())
    chosen: dict[str, str] = {}
    for place, (split, share) in enumerate(wanted.items()):
        left, spare = share * len(paths), len(wanted) - place  # groups that later splits and training need
        while left > 0 and (split not in chosen.values() or left >= 0.5) and len(order) > spare:
            key = order.pop(0)
            chosen[key] = split
            left -= len(groups[key])
    split_of = {path: chosen.get(key, "train") for key, members in groups.items() for path in members}
    return {split: [path for path in paths if split_of[path] == split] for split in SPLITS}


def by_lists(
    names: Mapping[Path, Iterable[str]], lists: Mapping[str, Path], others: Collection[str] = ()
) -> dict[str, list[Path]]:
    """Split after files that name a picture a line. `names`: each picture with all names it goes by; `others` are names of
    pictures of other domains. What no list names is for training if there is no list for that, else for testing if there is
    none for that."""
    known: dict[str, list[Path]] = {}
    for path, its_names in names.items():
        for name in its_names:
            known.setdefault(same_name(name), []).append(path)
    split_of: dict[Path, str] = {}
    for split, file in lists.items():
        lines = _lines(file)
        if unknown := [line for line in lines if line not in known and line not in others]:
            raise Mistake(f"data.{split}_list={shown(file)} names {_some(unknown)} that are not there")
        for path in (path for line in lines for path in known.get(line, [])):
            if split_of.setdefault(path, split) != split:
                raise Mistake(f"{shown(path)} is in data.{split_of[path]}_list and in data.{split}_list")
    rest = next((split for split in ("train", "test") if split not in lists), None)
    return {split: [path for path in names if split_of.get(path, rest) == split] for split in SPLITS}


def _groups(paths: Sequence[Name], takes: bool) -> dict[str, list[Name]]:
    groups: dict[str, list[Name]] = {}
    for path in paths:
        groups.setdefault(likeness(path, takes), []).append(path)
    return groups


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise Mistake(f"{shown(file)} cannot be read: {error.strerror or error}") from None
    lines = [line.strip().removeprefix("./").replace("\\", "/") for line in text.splitlines()]
    return [same_name(line) for line in lines if line and not line.startswith("#")]


def _some(names: Sequence[str], most: int = 3) -> str:
    """The first few, and how many there are."""
    told = ", ".join(shown(Path(name)) for name in names[:most])
    return told if len(names) <= most else f"{told} and {len(names) - most} more"
