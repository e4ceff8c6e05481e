"""What a folder of pictures is meant for, told from its names alone (and, of a flat one, from the pictures' sizes)."""

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stylegan_lab.data.folders.listing import same_name

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test",
}  # fmt: skip
ORDER = ("", "train", "val", "test")
SPLIT_AND_LETTER = re.compile(r"(train|val|test)[ _-]?([ab])", re.IGNORECASE)
CONTENTS, STYLES = {"content", "contents"}, {"style", "styles"}
MATCHED = 0.5  # the share of names in common that makes two folders pairs: those without a mate are then found missing
MOSTLY = 0.8  # the share of flat pictures twice as wide as high that makes them pairs: the others are then found odd
ENOUGH = 24  # pictures whose sizes say what all are like

Sizes = Callable[[Path], tuple[int, int] | None]


class Part(NamedTuple):
    """The pictures of one domain in one split; the split is "" where no folder makes one."""

    domain: str
    split: str
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return " ".join(word for word in (self.split, self.domain) if word)


class Layout(NamedTuple):
    """`data` is the choice of data that reads it, `also` are others that can; `evidence` are sentences for the user."""

    data: str
    parts: tuple[Part, ...]
    evidence: tuple[str, ...]
    also: tuple[str, ...] = ()
    below: Path = Path()  # the folder in which all of it lies

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.domain for part in self.parts))


class Place(NamedTuple):
    """Where a picture lies: its split and domain, and the rest of its path, by which it is matched with a mate."""

    split: str
    domain: str
    rest: Path


def recognise(files: Sequence[Path], size_of: Sizes) -> Layout:
    """`files` are relative to the folder. `size_of` says a picture's width and height, or None of one that cannot be read."""
    if below := _wrapping(files):
        inner = recognise([path.relative_to(below) for path in files], lambda path: size_of(below / path))
        parts = tuple(part._replace(files=tuple(below / path for path in part.files)) for part in inner.parts)
        return inner._replace(parts=parts, below=below / inner.below)
    parts = _parts(files)
    domains = [name for name in dict.fromkeys(part.domain for part in parts) if name]
    evidence = [*_unnamed_splits(files), *_loose(parts, domains), *_splits(parts)]
    if not domains:
        return _flat(parts, evidence, size_of)
    if len(domains) == 1:
        return Layout("flat", parts, (f"one folder with pictures, {domains[0]}", *evidence), ("vintage", "superres"))
    listed = ", ".join(domains[:8]) + (f" and {len(domains) - 8} more" if len(domains) > 8 else "")
    if len(domains) > 2:
        says = f"{len(domains)} folders of pictures: {listed}; each is a domain, or a class"
        return Layout("domains", parts, (says, *evidence), ("labelled", "flat"))
    if (named := {name.lower() for name in domains}) & CONTENTS and named & STYLES:
        return Layout("style", parts, (f"contents and styles: {listed}", *evidence), ("unpaired",))
    if any(SPLIT_AND_LETTER.fullmatch(path.parts[0]) for path in files):
        says = "folders as CycleGAN has them: " + ", ".join(
            dict.fromkeys(path.parts[0] for path in files if len(path.parts) > 1)
        )
        return Layout("unpaired", parts, (says, *evidence), ("domains", "labelled"))
    shared, of = _in_common(parts, domains)
    if shared > MATCHED * of:
        says = f"two folders of pictures, {listed}, with {shared:,} of {of:,} names in both: true pairs"
        return Layout("paired", parts, (says, *evidence), ("unpaired",))
    says = f"two folders of pictures, {listed}, with {f'only {shared:,} of {of:,}' if shared else 'no'} names in both: no pairs"
    return Layout("unpaired", parts, (says, *evidence), ("domains", "labelled"))


def place_of(path: Path) -> Place:
    """trainA/x.jpg, train/A/x.jpg and A/train/x.jpg are all x.jpg of A in train."""
    *folders, name = path.parts
    if folders and (both := SPLIT_AND_LETTER.fullmatch(folders[0])):
        return Place(both[1].lower(), both[2].upper(), Path(*folders[1:], name))
    if folders and folders[0].lower() in SPLITS:
        return Place(SPLITS[folders[0].lower()], folders[1] if folders[1:] else "", Path(*folders[2:], name))
    if folders[1:] and folders[1].lower() in SPLITS:
        return Place(SPLITS[folders[1].lower()], folders[0], Path(*folders[2:], name))
    return Place("", folders[0] if folders else "", Path(*folders[1:], name))


def mates(parts: Sequence[Part]) -> Iterator[tuple[str, tuple[Path | None, Path | None]]]:
    """(split, (a, b)) of two domains matched by their names without suffix; None where one is missing."""
    a, b = dict.fromkeys(part.domain for part in parts if part.domain)
    for split in dict.fromkeys(part.split for part in parts):
        here = {
            domain: {_stem(path): path for path in part.files}
            for part in parts
            for domain in (part.domain,)
            if part.split == split
        }
        for stem in sorted({*here.get(a, ()), *here.get(b, ())}):
            yield split, (here.get(a, {}).get(stem), here.get(b, {}).get(stem))


def _stem(path: Path) -> str:
    """By which mates are matched: where it lies in its domain, without the suffix."""
    return same_name(place_of(path).rest.with_suffix("").as_posix())


def _wrapping(files: Sequence[Path]) -> Path | None:
    """The one folder in which everything lies, again in folders."""
    tops = {path.parts[0] for path in files}
    if len(tops) != 1 or any(len(path.parts) < 3 for path in files):
        return None
    (top,) = tops
    return None if top.lower() in SPLITS or SPLIT_AND_LETTER.fullmatch(top) else Path(top)


def _unnamed_splits(files: Sequence[Path]) -> Iterator[str]:
    """Folders that hold folders of the same names are splits, most likely."""
    within: dict[str, set[str]] = {}
    for path in files:
        within.setdefault(path.parts[0], set()).add(path.parts[1] if len(path.parts) > 2 else "")
    (first, *others) = within.values()
    known = any(name.lower() in SPLITS for name in {*first, *within})
    if others and len(first) > 1 and all(names == first for names in others) and not known:
        outer, inner = " and ".join(sorted(within)), ", ".join(sorted(first))
        yield f"{outer} hold folders of the same names ({inner}); if these are the domains, rename {outer} to train and test"


def _parts(files: Sequence[Path]) -> tuple[Part, ...]:
    parts: dict[tuple[int, str], list[Path]] = {}
    for path in files:
        place = place_of(path)
        parts.setdefault((ORDER.index(place.split), place.domain), []).append(path)
    return tuple(Part(domain, ORDER[split], tuple(paths)) for (split, domain), paths in sorted(parts.items()))


def _loose(parts: Sequence[Part], domains: Sequence[str]) -> Iterator[str]:
    loose = sum(len(part.files) for part in parts if not part.domain)
    if domains and loose:
        yield f"{'1 picture lies' if loose == 1 else f'{loose:,} pictures lie'} beside the folders, in none of them"


def _splits(parts: Sequence[Part]) -> Iterator[str]:
    splits = [split for split in dict.fromkeys(part.split for part in parts) if split]
    if not splits:
        yield "no folders train, val and test: a part is set aside by name, for scores"
    elif splits == ["train"]:
        yield "train is the only split: a part of it is set aside by name, for scores"
    else:
        yield f"split by folder: {', '.join(splits)}"


def _flat(parts: tuple[Part, ...], evidence: Sequence[str], size_of: Sizes) -> Layout:
    files = [path for part in parts for path in part.files]
    if len(files) == 2:
        return Layout("single_pair", parts, ("two pictures: one pair",), ("flat",))
    sizes = [size for path in files[:ENOUGH] if (size := size_of(path)) is not None]
    twice = sum(width == 2 * height for width, height in sizes)
    if twice > MOSTLY * len(sizes):
        odd = f" (but {len(sizes) - twice} of the first {len(sizes)})" if twice < len(sizes) else ""
        says = f"pictures twice as wide as high{odd}, as pairs are that stand side by side in one picture"
        return Layout("paired", parts, (says, *evidence), ("flat",))
    says = "pictures in no folders for domains: to generate more of, or to make pairs of (vintage, superres)"
    return Layout("flat", parts, (says, *evidence), ("vintage", "superres"))


def _in_common(parts: Sequence[Part], domains: Sequence[str]) -> tuple[int, int]:
    """How many names both domains have, of how many the smaller one has."""
    a, b = ({(part.split, _stem(path)) for part in parts if part.domain == domain for path in part.files}
            for domain in domains)  # fmt: skip
    return len(a & b), min(len(a), len(b))
