"""Which runs are meant: run folders, folders that hold some, a sweep's, and patterns."""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from stylegan_lab.mistake import Mistake

OF_A_RUN = ("config.yaml", "metrics.jsonl", "environment.json")


def find_runs(places: Sequence[str]) -> list[Path]:
    """Each once, in the order in which they were named; below a folder, by name, with numbers in their order."""
    found = [run for place in places for run in _runs_of(place)]
    return list({run.resolve(): run for run in reversed(found)}.values())[::-1]


def _runs_of(place: str) -> list[Path]:
    named = [place] if Path(place).exists() else glob.glob(place, recursive=True)  # noqa: PTH207  absolute ones too
    paths = sorted(map(Path, named), key=_order)
    if not paths:
        raise Mistake(f"{place}: there is no such run, nor a folder that holds runs")
    runs = [run for path in paths if path.is_dir() for run in _below(path)]
    if not runs:
        raise Mistake(f"{place} holds no runs (folders with config.yaml, metrics.jsonl or environment.json in them)")
    return runs


def _below(folder: Path) -> Iterator[Path]:
    """A run's own folders, such as those of W&B, hold no runs."""
    if any((folder / name).is_file() for name in OF_A_RUN):
        yield folder
        return
    for child in sorted(folder.iterdir(), key=_order):
        if child.is_dir() and not child.name.startswith("."):
            yield from _below(child)


def _order(path: Path) -> tuple[str, int, str]:
    return (str(path.parent), int(path.name) if path.name.isdigit() else -1, path.name)
