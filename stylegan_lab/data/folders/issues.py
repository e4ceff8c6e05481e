"""The issues that `data check` finds in image files. Serious issues stop training or distort its scores; the others are hints."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from stylegan_lab.data.folders.layout import LayoutPart, ambiguous_names, same_aspect
from stylegan_lab.data.folders.listing import normalized_name
from stylegan_lab.data.folders.scan import SUFFIXES_OF, BadFile, ProbedImage
from stylegan_lab.data.folders.splitting import SplitSettings, duplicate_key
from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import SUFFIXES

Item = TypeVar("Item")
FEW_IMAGES = 500  # below: too few to train a generator from noise on
IMBALANCE_RATIO = 10  # report a domain if another one has more than this many times its images


class IssueItem(NamedTuple):
    files: Sequence[Path]
    note: str = ""


class DataIssue(NamedTuple):
    """An issue of one kind, and the files that have it. A `serious` issue stops training or distorts its scores."""

    kind: str
    serious: bool
    message: str
    items: Sequence[IssueItem] = ()


Probes = Mapping[Path, ProbedImage | BadFile]


def file_issues(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Yield the issues that do not depend on the layout of the folder."""
    yield from _bad(parts, probes)
    yield from _duplicates(parts, probes)
    yield from _similar_names(parts, probes)
    groups = [IssueItem(files) for files in _groups_by(probes, lambda path: normalized_name(str(path)).casefold())]
    by_case = (
        "that differ only by case or by the encoding of accents; on macOS and Windows one file would replace the other"
    )
    yield from _issue("case", False, groups, "name", by_case)
    images = [(path, probe) for path, probe in probes.items() if isinstance(probe, ProbedImage)]
    wrong = [
        IssueItem((path,), f"holds {probe.format}")
        for path, probe in images
        if path.suffix.lower() not in SUFFIXES_OF[probe.format]
    ]
    unlike = "whose suffix does not match the content of the file; the file is read anyway"
    yield from _issue("suffixes", False, wrong, "name", unlike)
    yield from _mixed_modes(parts, probes)
    rotated = [IssueItem((path,)) for path, probe in images if probe.rotated]
    yield from _issue(
        "rotated", False, rotated, "image", "rotated by EXIF; they are read upright, as viewers show them"
    )
    yield from _imbalance(parts, probes)


def pair_name_issues(parts: Sequence[LayoutPart]) -> Iterator[DataIssue]:
    groups = ambiguous_names(parts)
    why = "with several suffixes in one folder, so the counterpart is ambiguous"
    return _issue("ambiguous_pairs", True, list(map(IssueItem, groups)), "name", why)


def pair_issues(
    pairs: Sequence[tuple[Path, Path]], missing: Sequence[IssueItem], probes: Probes
) -> Iterator[DataIssue]:
    """Yield the issues of image pairs: images without a counterpart (`missing`), different shapes, and identical images."""
    advice = "without a counterpart; give both images of a pair the same name, or remove the image"
    yield from _issue("missing_pairs", True, missing, "image", advice)
    readable = [
        (a, b, x, y)
        for a, b in pairs
        if isinstance(x := probes[a], ProbedImage) and isinstance(y := probes[b], ProbedImage)
    ]
    different = [IssueItem((a, b), f"{x.size} and {y.size}") for a, b, x, y in readable if not _same_shape(x, y)]
    unlike = "of different shapes; both images of a pair must show the same part of the scene"
    yield from _issue("pair_sizes", True, different, "pair", unlike)
    same = [IssueItem((a, b)) for a, b, x, y in readable if x.pixels == y.pixels]
    yield from _issue("identical_pairs", False, same, "pair", "of two identical images")


def side_by_side_issues(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Yield an issue for images that should show a pair side by side but are not twice as wide as high."""
    readable = _readable(parts, probes)
    odd = [
        IssueItem((path,), probe.size)
        for path, probe in readable
        if not same_aspect((probe.width, probe.height), (2, 1))
    ]
    why = "not twice as wide as high, unlike the others: no pair, or a pair of another shape"
    return _issue("pair_sizes", True, odd, "image", why)


def single_pair_issues(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Yield an issue if the two images of the only pair differ in size. They are cropped together, so their sizes must be equal."""
    readable = _readable(parts, probes)
    if len({probe.size for _, probe in readable}) > 1:
        item = IssueItem([path for path, _ in readable], " and ".join(probe.size for _, probe in readable))
        yield from _issue(
            "pair_sizes", True, [item], "pair", "of two sizes; as a single pair the two images must have the same"
        )


def split_issues(parts_by_name: Mapping[str, Sequence[LayoutPart]]) -> Iterator[DataIssue]:
    """Yield an issue for each domain with too few images to be split in the way that training splits them."""
    for name, parts in parts_by_name.items():
        try:
            SplitSettings().split(parts, name, {path: path for part in parts for path in part.files})
        except UserError as error:
            yield DataIssue("too_few", True, str(error))


def few_images_issue(layout_data: str, count: int) -> Iterator[DataIssue]:
    if layout_data == "flat" and count < FEW_IMAGES:
        few = f"{format_count(count, 'image')} are few to generate such images from: a GAN memorizes them"
        yield DataIssue("few_images", False, f"{few}; data=vintage and data=superres make pairs of them instead")


def _same_shape(x: ProbedImage, y: ProbedImage) -> bool:
    return same_aspect((x.width, x.height), (y.width, y.height))


def _issue(kind: str, serious: bool, items: Sequence[IssueItem], noun: str, why: str) -> Iterator[DataIssue]:
    """The issue of these items, if there are any."""
    if items:
        yield DataIssue(kind, serious, f"{format_count(items, noun)} {why}", items)


def format_count(items: Sequence[object] | int, noun: str) -> str:
    """Return a count with its noun, such as "1 image", "2 images" or "1,000 images"."""
    count = items if isinstance(items, int) else len(items)
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bad(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    bad = [IssueItem((path,), probe.reason) for path, probe in _probed(parts, probes) if isinstance(probe, BadFile)]
    if bad:
        skipped = f"training does not start, or skips {'it' if len(bad) == 1 else 'them'} with data.bad_files=skip"
        yield DataIssue("bad", True, f"{format_count(bad, 'unreadable image')}; {skipped}", sorted(bad))


def _duplicates(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Duplicates across splits (data leaks), across domains, and within a domain."""
    part_of = {path: part for part in parts for path in part.files}
    leaks, across_domains, within_domain = [], [], []
    for copies in _groups_by(_readable(parts, probes), lambda each: each[1].pixels):
        files = [path for path, _ in copies]
        saved_again = len({probe.content for _, probe in copies}) > 1
        note = "the same pixels, saved again" if saved_again else "the same file"
        if len({part_of[path].split for path in files}) > 1:
            leaks.append(IssueItem(files, note))
        elif len({part_of[path].domain for path in files}) > 1:
            across_domains.append(IssueItem(files, note))
        else:
            within_domain.append(IssueItem(files, note))
    twice = "more than once in the same domain, used more often in training"
    if not any(part.split for part in parts):
        twice += "; a random split may put one copy into train and another into test"
    yield from _issue(
        "leaks", True, leaks, "image", "in more than one split, so scores are computed on training images"
    )
    yield from _issue("in_two_domains", False, across_domains, "image", "in more than one domain")
    yield from _issue("duplicates", False, within_domain, "image", twice)


def _similar_names(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """photo.jpg in train and photo (2).jpg in test. Equal names are ignored: splits are often numbered alike."""
    part_of = [(path, part) for part in parts for path in part.files]
    similar = _groups_by(part_of, lambda each: (each[1].domain, duplicate_key(each[0], ignore_second_number=False)))
    groups = [
        [path for path, _ in group]
        for group in similar
        if len({part.split for _, part in group}) > 1
        and len({path.stem.casefold() for path, _ in group}) > 1
        and len({getattr(probes[path], "pixels", path) for path, _ in group}) > 1
    ]
    why = "in one split with a copy, judged by its name, in another split; check whether they show the same"
    return _issue("similar_names", False, list(map(IssueItem, groups)), "image", why)


def _mixed_modes(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Modes that differ from the most frequent one, such as some gray photos among color ones."""
    modes = Counter(probe.mode for _, probe in _readable(parts, probes))
    if len(modes) < 2:
        return
    usual = modes.most_common(1)[0][0]
    rare = [IssueItem((path,), probe.mode) for path, probe in _readable(parts, probes) if probe.mode != usual]
    listed = ", ".join(f"{count:,} {mode}" for mode, count in modes.most_common())
    message = f"images of {len(modes)} modes ({listed}); all are read as RGB unless data.channels is set"
    if any("alpha" in mode or mode == "RGBA" for mode in modes):
        message += ", transparent ones over data.background"
    yield DataIssue("modes", False, message, rare)


def _imbalance(parts: Sequence[LayoutPart], probes: Probes) -> Iterator[DataIssue]:
    """Domains that are much smaller than others of their split. Images outside of the domains are left out."""
    domains = [part for part in parts if part.domain]
    for split in dict.fromkeys(part.split for part in domains):
        counts = {part.name: len(_readable([part], probes)) for part in domains if part.split == split}
        smallest, largest = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[largest] > IMBALANCE_RATIO * counts[smallest]:
            listed = f"{largest} has {format_count(counts[largest], 'image')}, {smallest} only {counts[smallest]:,}"
            yield DataIssue("unbalanced", False, f"{listed}; a model may memorize the few images")


def _probed(parts: Iterable[LayoutPart], probes: Probes) -> list[tuple[Path, ProbedImage | BadFile]]:
    return [(path, probes[path]) for part in parts for path in part.files]


def _readable(parts: Iterable[LayoutPart], probes: Probes) -> list[tuple[Path, ProbedImage]]:
    return [(path, probe) for path, probe in _probed(parts, probes) if isinstance(probe, ProbedImage)]


def _groups_by(items: Iterable[Item], key: Callable[[Item], Hashable]) -> list[list[Item]]:
    """Groups of several items with the same key."""
    groups: dict[Hashable, list[Item]] = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return [group for group in groups.values() if len(group) > 1]


class MagicBytes(NamedTuple):
    """The bytes that identify a file type, with their offset in the file and advice to the user."""

    kind: str
    advice: str
    start: int
    magic: bytes


CONVERT, UNPACK = "save it as PNG or JPEG", "unpack it"

FILE_SIGNATURES = (
    MagicBytes("JPEG", "name it .jpg so that it is read", 0, b"\xff\xd8\xff"),
    MagicBytes("PNG", "name it .png so that it is read", 0, b"\x89PNG"),
    MagicBytes("GIF", "name it .gif so that it is read", 0, b"GIF8"),
    MagicBytes("WebP", "name it .webp so that it is read", 8, b"WEBP"),
    MagicBytes("TIFF", "name it .tif so that it is read", 0, b"II*\0"),
    MagicBytes("TIFF", "name it .tif so that it is read", 0, b"MM\0*"),
    MagicBytes("AVIF", CONVERT, 4, b"ftypavif"),
    MagicBytes("HEIC", CONVERT, 4, b"ftyphei"),
    MagicBytes("HEIC", CONVERT, 4, b"ftypmif1"),
    MagicBytes("JPEG XL", CONVERT, 4, b"JXL "),
    MagicBytes("JPEG 2000", CONVERT, 4, b"jP  "),
    MagicBytes("a Photoshop file", CONVERT, 0, b"8BPS"),
    MagicBytes("a zip archive", UNPACK, 0, b"PK\3\4"),
    MagicBytes("a gzip archive", UNPACK, 0, b"\x1f\x8b"),
    MagicBytes("a tar archive", UNPACK, 257, b"ustar"),
)

SIGNATURE_BYTES = max(signature.start + len(signature.magic) for signature in FILE_SIGNATURES)


def find_other_files(root: Path, files: Sequence[Path]) -> Iterator[DataIssue]:
    """Yield an issue that lists files without the suffix of an image type. `files` are relative to the root."""
    if not files:
        return
    kinds = Counter(path.suffix.lower() or "without a suffix" for path in files).most_common()
    listed = ", ".join(f"{count:,} {kind}" for kind, count in kinds[:6]) + (", ..." if kinds[6:] else "")
    items = sorted((IssueItem((path,), _file_kind(root / path)) for path in files), key=lambda item: not item.note)
    note = f"; {items[0].files[0]} {items[0].note}" if items[0].note else ""
    yield DataIssue("other_files", False, f"{format_count(files, 'other file')} ({listed}) skipped{note}", items)


def other_files_below(root: Path) -> Iterator[Path]:
    """Yield the files below a root, relative to it, that do not have the suffix of an image type. Hidden files and links to folders
    are skipped."""
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() not in SUFFIXES:
                yield (Path(folder) / name).relative_to(root)


def _file_kind(path: Path) -> str:
    try:
        with path.open("rb") as file:
            head = file.read(SIGNATURE_BYTES)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    for signature in FILE_SIGNATURES:
        if head[signature.start :].startswith(signature.magic):
            return f"holds {signature.kind}: {signature.advice}"
    return ""
