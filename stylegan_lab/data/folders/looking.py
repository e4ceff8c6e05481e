"""Every file of a folder looked at, on all cores, in bounded memory; a file that kills its reader is one bad file more."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from stylegan_lab.data.folders.looks import Bad, Large, Seen, look_at
from stylegan_lab.data.folders.many_hands import Lost, by_many_hands, cores
from stylegan_lab.images.opening import MOST_PIXELS

LARGE = 32_000_000  # pixels; a picture of more takes up to a gigabyte while it is read
FEW_HANDS = 2  # that read large pictures at the same time
PATIENCE = 60.0  # seconds for one file


def look_at_all(
    paths: Sequence[Path], advance: Callable[[int], None] = lambda more: None, patience: float = PATIENCE
) -> dict[Path, Seen | Bad]:
    """`advance` hears how many more are done."""
    looks: dict[Path, Seen | Bad] = {}
    for path, look in _in_three_rounds(paths, patience):
        looks[path] = look
        advance(1)
    return {path: looks[path] for path in paths}


def _in_three_rounds(paths: Sequence[Path], patience: float) -> Iterator[tuple[Path, Seen | Bad]]:
    """All; then what is large; then, one at a time, what was lost: its reader may have been killed for another file's sake."""
    large: list[Path] = []
    lost: list[Path] = []
    for path, look in _looks(paths, cores(), patience, most_pixels=LARGE):
        if isinstance(look, Large):
            large.append(path)
        elif isinstance(look, Lost):
            lost.append(path)
        else:
            yield path, look
    for path, look in _looks(large, min(cores(), FEW_HANDS), patience):
        if isinstance(look, Seen | Bad):
            yield path, look
        else:
            lost.append(path)
    for path, look in _looks(lost, 1, patience):
        yield path, look if isinstance(look, Seen | Bad) else Bad(getattr(look, "how", "is too large"))


def _looks(
    paths: Sequence[Path], hands: int, patience: float, most_pixels: int = MOST_PIXELS
) -> Iterator[tuple[Path, Seen | Bad | Large | Lost]]:
    for index, look in by_many_hands(partial(look_at, most_pixels=most_pixels), paths, hands, patience):
        yield paths[index], look
