"""A folder of pictures checked before a minute is spent on it: everything is read once, and all that was found is told."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stylegan_lab.data.folders.findings import Finding, Item, Looks, number, of_files, of_halves, of_pairs
from stylegan_lab.data.folders.layout import Layout, Part, mates, recognise
from stylegan_lab.data.folders.looking import look_at_all
from stylegan_lab.data.folders.looks import Seen
from stylegan_lab.data.folders.strangers import strangers
from stylegan_lab.images.read import SUFFIXES, picture_files
from stylegan_lab.images.unreadable import shown
from stylegan_lab.mistake import Mistake


class Summary(NamedTuple):
    """Of one domain in one split. Sizes are (width, height), by area; `sizes` counts how many there are."""

    split: str
    domain: str
    pictures: int
    bad: int
    smallest: tuple[int, int] | None
    median: tuple[int, int] | None
    largest: tuple[int, int] | None
    sizes: int
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    turned: int


class Report(NamedTuple):
    """Files are relative to the root."""

    root: Path
    layout: Layout
    summaries: Sequence[Summary]
    findings: Sequence[Finding]

    @property
    def clean(self) -> bool:
        return not any(finding.serious for finding in self.findings)


def check(root: Path, watched: Callable[[int], Callable[[int], None]] = lambda total: lambda more: None) -> Report:
    """`watched` is told how many files there are, and gives what is to hear how many more are done."""
    files, others = _below(root)
    looks = {
        path.relative_to(root): look
        for path, look in look_at_all([root / path for path in files], watched(len(files))).items()
    }

    def size_of(path: Path) -> tuple[int, int] | None:
        look = looks[path]
        return (look.width, look.height) if isinstance(look, Seen) else None

    layout = recognise(files, size_of)
    found = [*of_files(layout.parts, looks), *_of_layout(layout, looks), *strangers(root, others)]
    found.sort(key=lambda finding: not finding.serious)
    return Report(root, layout, [_summary(part, looks) for part in layout.parts], found)


def _below(root: Path) -> tuple[list[Path], list[Path]]:
    """Pictures, and what is none."""
    if not root.is_dir():
        raise Mistake(f"{shown(root)} {'is a file' if root.exists() else 'does not exist'}; give a folder of pictures")
    pictures = [path.relative_to(root) for path in picture_files(root)]
    others = [
        path.relative_to(root)
        for path in sorted(root.rglob("*"))
        if path.suffix.lower() not in SUFFIXES and path.is_file() and not path.name.startswith(".")
    ]
    if not pictures:
        kinds = ", ".join(sorted({path.suffix or path.name for path in others})[:5])
        beside = f"; it holds {number(others, 'other file')} ({shown(Path(kinds))})" if others else ""
        raise Mistake(f"{shown(root)} holds no pictures ({', '.join(sorted(SUFFIXES))}){beside}")
    return pictures, others


def _of_layout(layout: Layout, looks: Looks) -> Iterator[Finding]:
    if layout.data != "paired":
        return
    if not any(layout.domains):
        yield from of_halves(layout.parts, looks)
        return
    a, b = (name for name in layout.domains if name)
    pairs: list[tuple[Path, Path]] = []
    alone: list[Item] = []
    for split, (in_a, in_b) in mates(layout.parts):
        if in_a is not None and in_b is not None:
            pairs.append((in_a, in_b))
        else:
            there = in_a or in_b
            assert there is not None
            alone.append(Item((there,), f"has no mate in {' '.join(filter(None, (b if in_a else a, split)))}"))
    yield from of_pairs(pairs, alone, looks)


def _summary(part: Part, looks: Looks) -> Summary:
    seen = [look for path in part.files if isinstance(look := looks[path], Seen)]
    sizes = sorted(((look.width, look.height) for look in seen), key=lambda size: (size[0] * size[1], size))
    return Summary(
        part.split,
        part.domain,
        len(part.files),
        len(part.files) - len(seen),
        *((sizes[0], sizes[len(sizes) // 2], sizes[-1]) if sizes else (None, None, None)),
        len(set(sizes)),
        dict(Counter(look.mode for look in seen).most_common()),
        dict(Counter(look.format for look in seen).most_common()),
        sum(look.turned for look in seen),
    )
