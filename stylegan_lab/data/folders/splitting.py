"""Splits images into train, val and test: by folders, by list files, or by a seeded fraction that keeps copies in one split."""

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

from stylegan_lab.data.folders.layout import LayoutPart, parse_image_path
from stylegan_lab.data.folders.listing import normalized_name
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.open_image import display_name

SPLITS = ("train", "val", "test")
DEFAULT_FRACTIONS = {"val": 0.05, "test": 0.1}  # held out where neither folders nor lists say what is
Name = TypeVar("Name", bound=PurePath)

# Suffixes that programs add to the name of a copy: "(2)", " - Copy", "~2", "@2x", "-1024x768", "-scaled", "_edited" ...
COPY = re.compile(
    r"[ _.~@-]*(\(\d*\)|\((copy|kopie|copie|copia)( \d+)?\)|\b(copy|kopie|copie|copia)( ?\(?\d+\)?)?|(?<=[ _-])(copy|edited|edit"
    r"|scaled|resized|thumb|thumbnail|small|large)|~\d+|@\d+x|-\d{2,5}x\d{2,5})$"
)

SECOND_NUMBER = re.compile(r"(?<=\d)[ _.-]\d{1,3}$")  # img_001_2 belongs to img_001; img_002 does not


def duplicate_key(path: PurePath, ignore_second_number: bool = True) -> str:
    """Return a key that an image shares with its copies: the case-folded stem without copy suffixes and, if `ignore_second_number`,
    without a second number."""
    name = unicodedata.normalize("NFKC", path.stem).casefold().strip()
    while (shorter := COPY.sub("", name)) not in ("", name):
        name = shorter
    return SECOND_NUMBER.sub("", name) if ignore_second_number else name


def split_by_fraction(
    paths: Sequence[Name], fractions: Mapping[str, float], seed: int, folder_name: str = "the folder"
) -> dict[str, list[Name]]:
    """Hold out `fractions` of the images, and at least one image for each fraction above 0.

    Images with similar names stay in the same split. The order depends only on each name and the seed, so few images change their
    split when one is added.
    """
    wanted = {split: fraction for split, fraction in fractions.items() if fraction > 0}
    groups = _groups(paths, ignore_second_number=True)
    if len(groups) <= len(wanted):  # here a second number probably does not mark a copy
        groups = _groups(paths, ignore_second_number=False)
    if len(groups) <= len(wanted):
        alike = f", which count as {len(groups)} (1 (2).png is taken for a copy of 1.png)" * (len(groups) < len(paths))
        raise UserError(
            "data.too_few_images",
            f"{folder_name} has {len(paths)} image{'s' * (len(paths) != 1)}{alike}; "
            f"training and {' and '.join(wanted) or 'training'} need {len(wanted) + 1} different ones "
            "(set data.val_fraction=0 data.test_fraction=0 to hold nothing out)",
        )
    order = sorted(groups, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode("utf-8", "surrogatepass")).digest())
    split_of_group: dict[str, str] = {}
    for position, (split, fraction) in enumerate(wanted.items()):
        remaining = fraction * len(paths)
        reserved = len(wanted) - position  # groups that later splits and training need
        while remaining > 0 and (split not in split_of_group.values() or remaining >= 0.5) and len(order) > reserved:
            key = order.pop(0)
            split_of_group[key] = split
            remaining -= len(groups[key])
    split_of = {path: split_of_group.get(key, "train") for key, members in groups.items() for path in members}
    return {split: [path for path in paths if split_of[path] == split] for split in SPLITS}


def split_by_lists(
    names: Mapping[Path, Iterable[str]], lists: Mapping[str, Path], other_names: Collection[str] = ()
) -> dict[str, list[Path]]:
    """Split images by list files, which name one image per line.

    `names` maps each image to all names by which a list may refer to it; `other_names` are the names of images in other domains.
    Unlisted images become training images if there is no list for training. Otherwise, they become test images if there is no list
    for testing. With both lists, they are left out.
    """
    known: dict[str, list[Path]] = {}
    for path, its_names in names.items():
        for name in its_names:
            known.setdefault(normalized_name(name), []).append(path)
    split_of: dict[Path, str] = {}
    for split, file in lists.items():
        lines = _lines(file)
        if unknown := [line for line in lines if line not in known and line not in other_names]:
            listed = ", ".join(map(display_name, unknown[:3])) + (
                f" and {len(unknown) - 3} more" if unknown[3:] else ""
            )
            raise UserError(
                "data.listed_image_missing",
                f"data.{split}_list={display_name(file)} names {listed}, which do not exist; correct the list",
            )
        for path in (path for line in lines for path in known.get(line, [])):
            if split_of.setdefault(path, split) != split:
                raise UserError(
                    "data.image_in_two_lists",
                    f"{display_name(path)} is in data.{split_of[path]}_list and in data.{split}_list; remove it from one of them",
                )
    rest = next((split for split in ("train", "test") if split not in lists), None)
    return {split: [path for path in names if split_of.get(path, rest) == split] for split in SPLITS}


def _groups(paths: Sequence[Name], ignore_second_number: bool) -> dict[str, list[Name]]:
    groups: dict[str, list[Name]] = {}
    for path in paths:
        groups.setdefault(duplicate_key(path, ignore_second_number), []).append(path)
    return groups


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise UserError(
            "data.list_unreadable", f"{display_name(file)} cannot be read: {error.strerror or error}"
        ) from None
    lines = [line.strip().removeprefix("./").replace("\\", "/") for line in text.splitlines()]
    return [normalized_name(line) for line in lines if line and not line.startswith("#")]


@dataclass(frozen=True)
class SplitSettings:
    """Splits the images of one domain: by lists if any are given, else by folders if there are any, else by fractions."""

    fractions: Mapping[str, float] = field(default_factory=lambda: dict(DEFAULT_FRACTIONS))
    seed: int = 0
    lists: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for split, fraction in self.fractions.items():
            check_at_least(f"data.{split}_fraction", fraction, 0)
        if sum(self.fractions.values()) >= 1:
            both = "data.val_fraction and data.test_fraction"
            raise UserError(
                "data.fractions_too_large",
                f"{both} leave no images for training; set them so that their sum is below 1",
            )

    def split(
        self, parts: Sequence[LayoutPart], name: str, files: Mapping[Path, Path]
    ) -> tuple[dict[str, list[Path]], str]:
        """Return the splits of one domain, none of them empty, and a phrase that says how they were made."""
        paths = [path for part in parts for path in part.files]
        by_folder = {part.split: list(part.files) for part in parts if part.split}
        if self.lists:
            names = {
                path: {path.as_posix(), parse_image_path(path).rest.as_posix(), str(real)}
                for path, real in files.items()
            }
            own_names = {path: names[path] for path in paths}
            other_names = {normalized_name(each) for its_names in names.values() for each in its_names}
            return _filled(split_by_lists(own_names, self.lists, other_names), name, "by list")
        if set(by_folder) - {"train"}:
            return _filled({split: by_folder.get(split, []) for split in SPLITS}, name, "by folder")
        if not any(self.fractions.values()):
            return _filled({"train": paths}, name, "nothing held out")
        return _filled(split_by_fraction(paths, self.fractions, self.seed, name), name, "by fraction")


def _filled(splits: Mapping[str, list[Path]], name: str, how: str) -> tuple[dict[str, list[Path]], str]:
    if not splits.get("train"):
        raise UserError(
            "data.no_training_images",
            f"{name} has no images for training: all are held out ({how}); leave some for training",
        )
    train, val, test = (splits.get(split, []) for split in SPLITS)
    if not val and not test:
        how += "; val and test use training images"
    elif not val or not test:
        how += f"; {'val is test' if test else 'test is val'}"
    return {"train": train, "val": val or test or train, "test": test or val or train}, how
