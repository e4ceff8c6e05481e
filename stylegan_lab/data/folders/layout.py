"""Detects the layout of an image folder from file names. If the folder has no subfolders, image sizes are used too."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stylegan_lab.data.folders.listing import normalized_name

SPLIT_OF_FOLDER = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test", "testing": "test",
}  # fmt: skip

SPLIT_ORDER = ("", "train", "val", "test")
SPLIT_AND_LETTER = re.compile(r"(train|val|test)[ _-]?([ab])", re.IGNORECASE)
CONTENTS, STYLES = {"content", "contents"}, {"style", "styles"}
PAIRED_SHARE = 0.5  # two folders with a larger share of names in common are pairs, unless as many differ in shape
ASPECT_TOLERANCE = 0.02  # relative difference of the aspect ratios of a pair: a pixel or two
NAME_AND_WORD = re.compile(r"(.+?)[ _.-]?([A-Za-z]+)")  # 1_A and 1_B, 7-input and 7-target
SIDE_BY_SIDE_SHARE = 0.8  # a flat folder with a larger share of images twice as wide as high holds pairs
NUM_PROBED = 24  # images whose sizes are read to classify a flat folder
SizeOf = Callable[[Path], tuple[int, int] | None]


class LayoutPart(NamedTuple):
    """The images of one domain in one split. `split` is "" if there are no folders for splits."""

    domain: str
    split: str
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return " ".join(word for word in (self.split, self.domain) if word)


class Layout(NamedTuple):
    """The layout of a folder. `data` is the config that reads the folder, `also` are other configs that can read it, and `evidence`
    explains the choice to the user."""

    data: str
    parts: tuple[LayoutPart, ...]
    evidence: tuple[str, ...]
    also: tuple[str, ...] = ()
    root: Path = Path()  # the subfolder that holds everything

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.domain for part in self.parts))


class ImageLocation(NamedTuple):
    """The split and the domain of an image, and the rest of its path. Pairs are matched by this rest."""

    split: str
    domain: str
    rest: Path


def detect_layout(files: Sequence[Path], image_size: SizeOf) -> Layout:
    """Return the layout of files whose paths are relative to the folder. `image_size` returns the width and height of an image, or
    None if the image cannot be read."""
    if root := _outer_folder(files):
        inner = detect_layout([path.relative_to(root) for path in files], lambda path: image_size(root / path))
        parts = tuple(part._replace(files=tuple(root / path for path in part.files)) for part in inner.parts)
        return inner._replace(parts=parts, root=root / inner.root)
    parts = _parts(files)
    domains = [name for name in dict.fromkeys(part.domain for part in parts) if name]
    evidence = [*_possible_splits(files), *_outside_folders(parts, domains), *_splits(parts)]
    if not domains:
        return _flat(parts, evidence, image_size)
    if len(domains) == 1:
        return Layout("flat", parts, (f"one folder with images, {domains[0]}", *evidence), ("vintage", "superres"))
    listed = ", ".join(domains[:8]) + (f" and {len(domains) - 8} more" if len(domains) > 8 else "")
    if len(domains) > 2:
        summary = f"{len(domains)} folders of images: {listed}; each is a domain, or a class"
        return Layout("domains", parts, (summary, *evidence), ("labelled", "flat"))
    if (named := {name.lower() for name in domains}) & CONTENTS and named & STYLES:
        return Layout("style", parts, (f"contents and styles: {listed}", *evidence), ("unpaired",))
    if any(SPLIT_AND_LETTER.fullmatch(path.parts[0]) for path in files):
        folders = dict.fromkeys(path.parts[0] for path in files if len(path.parts) > 1)
        summary = f"folders named as in CycleGAN: {', '.join(folders)}"
        hints = (*evidence, *_splits_with_shared_names(parts, domains), *pairs_by_word(files))
        return Layout("unpaired", parts, (summary, *hints), ("domains", "labelled"))
    shared, of = _shared_names(parts, domains)
    if shared > PAIRED_SHARE * of:
        odd, seen = _pairs_of_other_shape(parts, image_size)
        if odd > PAIRED_SHARE * seen:
            unlike = f"but {odd} of the first {seen} pairs differ in shape: no pairs"
            summary = f"two folders of images, {listed}, with {shared:,} of {of:,} names in both, {unlike}"
            return Layout("unpaired", parts, (summary, *evidence), ("domains", "labelled"))
        summary = f"two folders of images, {listed}, with {shared:,} of {of:,} names in both: true pairs"
        return Layout("paired", parts, (summary, *evidence), ("unpaired",))
    summary = f"two folders of images, {listed}, with {f'only {shared:,} of {of:,}' if shared else 'no'} names in both: no pairs"
    return Layout("unpaired", parts, (summary, *evidence, *pairs_by_word(files)), ("domains", "labelled"))


def parse_image_path(path: Path) -> ImageLocation:
    """Return the location of an image from its path: trainA/x.jpg, train/A/x.jpg and A/train/x.jpg all are image x.jpg of domain A
    in split train."""
    *folders, name = path.parts
    if folders and (match := SPLIT_AND_LETTER.fullmatch(folders[0])):
        return ImageLocation(match[1].lower(), match[2].upper(), Path(*folders[1:], name))
    if folders and folders[0].lower() in SPLIT_OF_FOLDER:
        domain = folders[1] if folders[1:] else ""
        return ImageLocation(SPLIT_OF_FOLDER[folders[0].lower()], domain, Path(*folders[2:], name))
    if folders[1:] and folders[1].lower() in SPLIT_OF_FOLDER:
        return ImageLocation(SPLIT_OF_FOLDER[folders[1].lower()], folders[0], Path(*folders[2:], name))
    return ImageLocation("", folders[0] if folders else "", Path(*folders[1:], name))


def matched_pairs(parts: Sequence[LayoutPart]) -> Iterator[tuple[str, tuple[Path | None, Path | None]]]:
    """Yield each pair of two domains as its split and two paths, matched by name without suffix. The path of a missing counterpart
    is None."""
    a, b = dict.fromkeys(part.domain for part in parts if part.domain)
    for split in dict.fromkeys(part.split for part in parts):
        here = {part.domain: {_stem(path): path for path in part.files} for part in parts if part.split == split}
        for stem in sorted({*here.get(a, ()), *here.get(b, ())}):
            yield split, (here.get(a, {}).get(stem), here.get(b, {}).get(stem))


def ambiguous_names(parts: Sequence[LayoutPart]) -> list[list[Path]]:
    """Return the groups of images in one part whose names differ only in the suffix. The counterpart of such an image is
    ambiguous."""
    groups: dict[tuple[str, str, str], list[Path]] = defaultdict(list)
    for part in parts:
        for path in part.files:
            groups[part.split, part.domain, _stem(path)].append(path)
    return [group for group in groups.values() if len(group) > 1]


def same_aspect(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether two sizes (width, height) have the same aspect ratio. Both images of a pair need the same one, because
    resizing would hide that they do not match."""
    return abs(one[0] / one[1] * other[1] / other[0] - 1) <= ASPECT_TOLERANCE


def pairs_by_word(files: Sequence[Path]) -> Iterator[str]:
    """Yield a hint if most images have a counterpart whose name differs only in its last word, such as 1_A and 1_B."""
    words: dict[str, set[str]] = defaultdict(set)
    for path in files:
        rest = parse_image_path(path).rest
        if match := NAME_AND_WORD.fullmatch(rest.stem):
            words[(rest.parent / match[1]).as_posix()].add(match[2])
    found = Counter(tuple(sorted(pair)) for pair in words.values() if len(pair) == 2)
    for (a, b), count in found.most_common(1):
        if 2 * count > PAIRED_SHARE * len(files):
            yield (
                f"{count:,} names end in {a} and in {b}: if these are pairs, put them into two folders under the same name, "
                "without the ending, for data=paired"
            )


def _stem(path: Path) -> str:
    """The key that matches pairs: the path within the domain, without suffix."""
    return normalized_name(parse_image_path(path).rest.with_suffix("").as_posix())


def _outer_folder(files: Sequence[Path]) -> Path | None:
    """The single top folder, if everything lies in subfolders of it."""
    tops = {path.parts[0] for path in files}
    if len(tops) != 1 or any(len(path.parts) < 3 for path in files):
        return None
    (top,) = tops
    return None if top.lower() in SPLIT_OF_FOLDER or SPLIT_AND_LETTER.fullmatch(top) else Path(top)


def _possible_splits(files: Sequence[Path]) -> Iterator[str]:
    """A hint if folders hold subfolders of the same names, which probably are splits."""
    within: dict[str, set[str]] = {}
    for path in files:
        within.setdefault(path.parts[0], set()).add(path.parts[1] if len(path.parts) > 2 else "")
    (first, *others) = within.values()
    known = any(name.lower() in SPLIT_OF_FOLDER for name in {*first, *within})
    if others and len(first) > 1 and all(names == first for names in others) and not known:
        outer, inner = " and ".join(sorted(within)), ", ".join(sorted(first))
        yield f"{outer} hold folders of the same names ({inner}); if these are the domains, rename {outer} to train and test"


def _parts(files: Sequence[Path]) -> tuple[LayoutPart, ...]:
    parts: dict[tuple[int, str], list[Path]] = {}
    for path in files:
        place = parse_image_path(path)
        parts.setdefault((SPLIT_ORDER.index(place.split), place.domain), []).append(path)
    ordered = sorted(parts.items())
    return tuple(LayoutPart(domain, SPLIT_ORDER[split], tuple(paths)) for (split, domain), paths in ordered)


def _outside_folders(parts: Sequence[LayoutPart], domains: Sequence[str]) -> Iterator[str]:
    loose = sum(len(part.files) for part in parts if not part.domain)
    if domains and loose:
        yield f"{'1 image lies' if loose == 1 else f'{loose:,} images lie'} outside the folders of the domains"


def _splits(parts: Sequence[LayoutPart]) -> Iterator[str]:
    splits = [split for split in dict.fromkeys(part.split for part in parts) if split]
    if not splits:
        yield "no folders train, val and test: some images are held out by name for evaluation"
    elif splits == ["train"]:
        yield "train is the only split: some images of it are held out by name for evaluation"
    else:
        yield f"split by folder: {', '.join(splits)}"


def _flat(parts: tuple[LayoutPart, ...], evidence: Sequence[str], image_size: SizeOf) -> Layout:
    files = [path for part in parts for path in part.files]
    if len(files) == 2:
        return Layout("single_pair", parts, ("two images: one pair",), ("flat",))
    sizes = [size for path in files[:NUM_PROBED] if (size := image_size(path)) is not None]
    twice = sum(same_aspect(size, (2, 1)) for size in sizes)
    if twice > SIDE_BY_SIDE_SHARE * len(sizes):
        odd = f" (but {len(sizes) - twice} of the first {len(sizes)})" if twice < len(sizes) else ""
        summary = f"images twice as wide as high{odd}, as images are that hold a pair side by side"
        return Layout("paired", parts, (summary, *evidence), ("flat",))
    summary = "no folders for domains: images to generate from, or to make pairs of (vintage, superres)"
    return Layout("flat", parts, (summary, *evidence, *pairs_by_word(files)), ("vintage", "superres"))


def _pairs_of_other_shape(parts: Sequence[LayoutPart], image_size: SizeOf) -> tuple[int, int]:
    """How many of the first pairs are of two images that differ in shape, and how many were looked at."""
    pairs = [(a, b) for _, (a, b) in matched_pairs(parts) if a and b][: NUM_PROBED // 2]
    sizes = [(x, y) for a, b in pairs if (x := image_size(a)) is not None and (y := image_size(b)) is not None]
    return sum(not same_aspect(*pair) for pair in sizes), len(sizes)


def _splits_with_shared_names(parts: Sequence[LayoutPart], domains: Sequence[str]) -> Iterator[str]:
    for split in dict.fromkeys(part.split for part in parts):
        shared, of = _shared_names([part for part in parts if part.split == split], domains)
        if shared > PAIRED_SHARE * of:
            a, b = domains
            both = f"{shared:,} of {of:,} names in {split}{a} are in {split}{b} too"
            yield f"{both}; if these are true pairs in every split, data=paired uses them as such"


def _shared_names(parts: Sequence[LayoutPart], domains: Sequence[str]) -> tuple[int, int]:
    """The number of names in both domains, and the number of names in the smaller one."""
    a, b = ({(part.split, _stem(path)) for part in parts if part.domain == domain for path in part.files}
            for domain in domains)  # fmt: skip
    return len(a & b), min(len(a), len(b))
