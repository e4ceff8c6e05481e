"""A folder of pictures checked before a minute is spent on it: everything is read once, and all that was found is told."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stylegan_lab.data.folders.findings import Finding, Item, Looks, of_files, of_halves, of_mates, of_pairs
from stylegan_lab.data.folders.layout import Layout, Part, mates, recognise
from stylegan_lab.data.folders.listing import pictures_below
from stylegan_lab.data.folders.looking import look_at_all
from stylegan_lab.data.folders.looks import Seen
from stylegan_lab.data.folders.strangers import strangers, strangers_below
from stylegan_lab.images.opening import SUFFIXES
from stylegan_lab.images.unreadable import shown
from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import progress


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


def check(root: Path) -> Report:
    files, others = _below(root)
    with progress("checking", len(files), in_bytes=False) as advance:
        found = look_at_all([root / path for path in files], advance)
    looks = {path.relative_to(root): look for path, look in found.items()}

    def size_of(path: Path) -> tuple[int, int] | None:
        look = looks[path]
        return (look.width, look.height) if isinstance(look, Seen) else None

    layout = recognise(files, size_of)
    findings = [*of_files(layout.parts, looks), *_of_layout(layout, looks), *strangers(root, others)]
    findings.sort(key=lambda finding: not finding.serious)
    return Report(root, layout, [_summary(part, looks) for part in layout.parts], findings)


def _below(root: Path) -> tuple[list[Path], list[Path]]:
    """Pictures, and what is none."""
    if not root.is_dir():
        raise Mistake(f"{shown(root)} {'is a file' if root.exists() else 'does not exist'}; give a folder of pictures")
    pictures = [path.relative_to(root) for path in pictures_below(root)]
    others = list(strangers_below(root))
    if not pictures:
        beside = "".join(f"; {finding.says}" for finding in strangers(root, others))
        raise Mistake(f"{shown(root)} holds no pictures ({', '.join(sorted(SUFFIXES))}){shown(beside)}")
    return pictures, others


def _of_layout(layout: Layout, looks: Looks) -> Iterator[Finding]:
    if layout.data != "paired":
        return
    if not any(layout.domains):
        yield from of_halves(layout.parts, looks)
        return
    yield from of_mates(layout.parts)
    a, b = (name for name in layout.domains if name)
    pairs: list[tuple[Path, Path]] = []
    alone: list[Item] = []
    for split, (in_a, in_b) in mates(layout.parts):
        if in_a is not None and in_b is not None:
            pairs.append((in_a, in_b))
        else:
            there = in_a or in_b
            assert there is not None
            alone.append(Item((there,), f"has no mate in {' '.join(filter(None, (split, b if in_a else a)))}"))
    yield from of_pairs(pairs, alone, looks)


def _summary(part: Part, looks: Looks) -> Summary:
    seen = [look for path in part.files if isinstance(look := looks[path], Seen)]
    sizes = sorted(((look.width, look.height) for look in seen), key=lambda size: (size[0] * size[1], size))
    return Summary(
        split=part.split,
        domain=part.domain,
        pictures=len(part.files),
        bad=len(part.files) - len(seen),
        smallest=sizes[0] if sizes else None,
        median=sizes[len(sizes) // 2] if sizes else None,
        largest=sizes[-1] if sizes else None,
        sizes=len(set(sizes)),
        modes=dict(Counter(look.mode for look in seen).most_common()),
        formats=dict(Counter(look.format for look in seen).most_common()),
        turned=sum(look.turned for look in seen),
    )
