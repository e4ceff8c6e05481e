"""What a close look at all pictures found: what stops a training or spoils its scores, and what is only good to know."""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from stylegan_lab.data.folders.layout import Part
from stylegan_lab.data.folders.listing import same_name
from stylegan_lab.data.folders.looks import SUFFIXES_OF, Bad, Seen
from stylegan_lab.data.folders.splitting import likeness

Thing = TypeVar("Thing")
UNBALANCED = 10  # times as many


class Item(NamedTuple):
    files: Sequence[Path]
    note: str = ""


class Finding(NamedTuple):
    """`serious`: it stops a training or spoils its scores."""

    kind: str
    serious: bool
    says: str
    items: Sequence[Item] = ()


Looks = Mapping[Path, Seen | Bad]


def of_files(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """What can be found whatever the pictures are for."""
    yield from _bad(parts, looks)
    yield from _twins(parts, looks)
    yield from _like_names(parts, looks)
    yield from _case(looks)
    yield from _suffixes(looks)
    yield from _mixture(parts, looks)
    yield from _turned(looks)
    yield from _numbers(parts, looks)


def of_mates(parts: Sequence[Part]) -> Iterator[Finding]:
    many = [Item(paths) for part in parts for paths in _alike(part.files, lambda path: path.with_suffix(""))]
    if many:
        says = f"{number(many, 'name')} with several suffixes in one folder, so that it is not clear which is the mate"
        yield Finding("many_mates", True, says, many)


def of_pairs(pairs: Sequence[tuple[Path, Path]], alone: Sequence[Item], looks: Looks) -> Iterator[Finding]:
    """`alone` are those that should have a mate."""
    if alone:
        yield Finding(
            "missing_mates",
            True,
            f"{number(alone, 'picture')} without a mate; give the mate the same name, or remove what is alone",
            alone,
        )
    seen = [(a, b, x, y) for a, b in pairs if isinstance(x := looks[a], Seen) and isinstance(y := looks[b], Seen)]
    unlike = [Item((a, b), f"{x.size} and {y.size}") for a, b, x, y in seen if x.size != y.size]
    if unlike:
        says = (
            f"{number(unlike, 'pair')} of two sizes; what is at one place in one must be at the same place in the other"
        )
        yield Finding("pair_sizes", True, says, unlike)
    same = [Item((a, b)) for a, b, x, y in seen if x.pixels == y.pixels]
    if same:
        yield Finding("pairs_alike", False, f"{number(same, 'pair')} of twice the same picture", same)


def of_halves(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """Of pictures that hold a pair each, side by side."""
    odd = [Item((path,), look.size) for path, look in _seen(parts, looks) if look.width != 2 * look.height]
    if odd:
        says = (
            f"{number(odd, 'picture')} not twice as wide as high, as the others are: no pair, or one of another shape"
        )
        yield Finding("pair_sizes", True, says, odd)


def number(things: Sequence[object] | int, noun: str) -> str:
    """1 picture, 2 pictures, 1,000 pictures"""
    count = things if isinstance(things, int) else len(things)
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _bad(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    bad = [Item((path,), look.reason) for path, look in _looks(parts, looks) if isinstance(look, Bad)]
    if bad:
        says = (
            f"{number(bad, 'bad picture')}; a training refuses to begin with {'it' if len(bad) == 1 else 'them'}, or passes over "
            f"{'it' if len(bad) == 1 else 'them'} with data.bad_files=skip"
        )
        yield Finding("bad", True, says, sorted(bad))


def _twins(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """The same picture more than once; told apart by how much harm that does."""
    places = {path: part for part in parts for path in part.files}
    leaks, across, within = [], [], []
    for twins in _alike(_seen(parts, looks), lambda each: each[1].pixels):
        files = [path for path, _ in twins]
        saved_again = len({look.content for _, look in twins}) > 1
        note = "the same pixels, saved again" if saved_again else "the same file"
        if len({places[path].split for path in files}) > 1:
            leaks.append(Item(files, note))
        elif len({places[path].domain for path in files}) > 1:
            across.append(Item(files, note))
        else:
            within.append(Item(files, note))
    if leaks:
        says = f"{number(leaks, 'picture')} in more than one split, so that scores are taken on what was trained on"
        yield Finding("leaks", True, says, leaks)
    if across:
        yield Finding("in_two_domains", False, f"{number(across, 'picture')} in more than one domain", across)
    if within:
        says = f"{number(within, 'picture')} more than once in the same domain, seen that much more often in training"
        if not any(part.split for part in parts):
            says += "; a split by chance may put one copy into train and another into test"
        yield Finding("duplicates", False, says, within)


def _like_names(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """photo.jpg in train and photo (2).jpg in test. Equal names are none of these: splits are often numbered alike."""
    places = [(path, part) for part in parts for path in part.files]
    alike = [
        [path for path, _ in group]
        for group in _alike(places, lambda place: (place[1].domain, likeness(place[0], takes=False)))
        if len({part.split for _, part in group}) > 1
        and len({path.stem.casefold() for path, _ in group}) > 1
        and len({getattr(looks[path], "pixels", path) for path, _ in group}) > 1
    ]
    if alike:
        says = f"{number(alike, 'picture')} in one split whose copy, by its name, is in another; see whether they show the same"
        yield Finding("names_alike", False, says, [Item(paths) for paths in alike])


def _case(looks: Looks) -> Iterator[Finding]:
    alike = [Item(files) for files in _alike(looks, lambda path: same_name(str(path)).casefold())]
    if alike:
        says = (
            f"{number(alike, 'name')} written in two ways that differ by upper and lower case, or by how an accent is encoded; "
            "on macOS and Windows one file would replace the other"
        )
        yield Finding("case", False, says, alike)


def _suffixes(looks: Looks) -> Iterator[Finding]:
    wrong = [
        Item((path,), f"holds {look.format}")
        for path, look in looks.items()
        if isinstance(look, Seen) and path.suffix.lower() not in SUFFIXES_OF[look.format]
    ]
    if wrong:
        says = f"{number(wrong, 'name')} whose suffix is not what the file holds; read all the same"
        yield Finding("suffixes", False, says, wrong)


def _mixture(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """Modes that most pictures do not have, such as some gray photos among colour ones."""
    modes = Counter(look.mode for _, look in _seen(parts, looks))
    if len(modes) < 2:
        return
    usual = modes.most_common(1)[0][0]
    rare = [Item((path,), look.mode) for path, look in _seen(parts, looks) if look.mode != usual]
    told = ", ".join(f"{count:,} {mode}" for mode, count in modes.most_common())
    says = f"pictures of {len(modes)} modes ({told}); all are read as RGB unless data.channels says otherwise"
    if any("alpha" in mode or mode == "RGBA" for mode in modes):
        says += ", transparent ones over data.background"
    yield Finding("modes", False, says, rare)


def _turned(looks: Looks) -> Iterator[Finding]:
    turned = [Item((path,)) for path, look in looks.items() if isinstance(look, Seen) and look.turned]
    if turned:
        says = f"{number(turned, 'picture')} that EXIF says to turn; they are read upright, as viewers show them"
        yield Finding("turned", False, says, turned)


def _numbers(parts: Sequence[Part], looks: Looks) -> Iterator[Finding]:
    """Domains that are hardly any, or much smaller than others of their split."""
    for split in dict.fromkeys(part.split for part in parts):
        counts = {part.name: len(_seen([part], looks)) for part in parts if part.split == split}
        least, most = min(counts, key=counts.__getitem__), max(counts, key=counts.__getitem__)
        if counts[most] > UNBALANCED * counts[least]:
            told = f"{most} has {number(counts[most], 'picture')}, {least} only {counts[least]:,}"
            says = f"{told}; those few are soon learnt by heart"
            yield Finding("unbalanced", False, says)


def _looks(parts: Iterable[Part], looks: Looks) -> list[tuple[Path, Seen | Bad]]:
    return [(path, looks[path]) for part in parts for path in part.files]


def _seen(parts: Iterable[Part], looks: Looks) -> list[tuple[Path, Seen]]:
    return [(path, look) for path, look in _looks(parts, looks) if isinstance(look, Seen)]


def _alike(things: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[list[Thing]]:
    """Those of one key, where there are several."""
    groups: dict[Hashable, list[Thing]] = defaultdict(list)
    for thing in things:
        groups[key(thing)].append(thing)
    return [group for group in groups.values() if len(group) > 1]
