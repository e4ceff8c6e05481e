"""Pictures of a page: sample grids at equal iterations, and what evaluations showed, small enough to be sent, as data URIs."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from stylegan_lab.comparison.entrant import Entrant

WIDEST = 1056  # px: eight pictures of 128
MOST_STOPS, MOST_PICTURES = 16, 400
EVALUATION = "evaluation"


@dataclass(frozen=True)
class Stop:
    """Where the slider stands still: an iteration, or the evaluation; with each run's picture, by the run's index."""

    name: str
    pictures: Mapping[int, str]


def stops(runs: Sequence[Entrant]) -> list[Stop]:
    samples = {index: grids for index, run in enumerate(runs) if (grids := run.samples)}
    shown = {str(at): {index: each[at] for index, each in samples.items() if at in each} for at in _chosen(samples)}
    shown[EVALUATION] = {index: path for index, run in enumerate(runs) if (path := evaluated(run)) is not None}
    uris = {name: {index: data_uri(path) for index, path in paths.items()} for name, paths in shown.items()}
    found = [Stop(name, {index: uri for index, uri in each.items() if uri}) for name, each in uris.items()]
    return [stop for stop in found if stop.pictures]


def evaluated(run: Entrant) -> Path | None:
    """The picture of its latest evaluation: inputs, outputs, truths."""
    return next((path for split in ("test", "val", "train") if (path := run.folder / f"{split}.png").is_file()), None)


def data_uri(path: Path) -> str | None:
    """None: it cannot be read, as when a run was killed on old disks."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError:
        return None
    if picture.width > WIDEST:
        picture = picture.resize((WIDEST, round(picture.height * WIDEST / picture.width)), Image.Resampling.LANCZOS)
    return encoded(picture)


def encoded(picture: Image.Image, lossless: bool = False) -> str:
    """Nothing of the file it came from but its pixels."""
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=86, lossless=lossless)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"


def _chosen(samples: Mapping[int, Mapping[int, Path]]) -> list[int]:
    """Iterations that most runs share first, spread evenly, with the last of all."""
    counts = Counter(at for each in samples.values() for at in each)
    if not counts:
        return []
    many = max(counts.values())
    shared = sorted(at for at, count in counts.items() if count == many)
    wanted = sorted({*shared, *(max(each) for each in samples.values())} if len(shared) > 1 else counts)
    most = max(3, min(MOST_STOPS, MOST_PICTURES // len(samples)))
    if len(wanted) <= most:
        return wanted
    return [wanted[round(step * (len(wanted) - 1) / (most - 1))] for step in range(most)]
