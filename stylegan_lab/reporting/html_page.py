"""HTML pages from jinja2 templates. Images are embedded as data URIs: sample grids at the same iterations, and evaluation grids."""

import base64
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from stylegan_lab.console import format_json
from stylegan_lab.images.open_image import UnreadableImageError, open_image, read_row_names
from stylegan_lab.reporting.run_record import RunRecord, sample_grids

TEMPLATES = Path(__file__).parent / "templates"
MAX_WIDTH = 1056  # pixels: eight images of 128
MAX_SETS, MAX_IMAGES = 16, 400


def render_page(template: str, **values: Any) -> str:
    """Render a template to one file that works offline: style sheets, scripts and images are embedded."""
    return _environment().get_template(template).render(values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A style sheet or script of the templates folder, unescaped.
    environment.globals["embed"] = lambda name: Markup((TEMPLATES / name).read_text(encoding="utf-8"))
    environment.policies["json.dumps_function"] = format_json
    environment.policies["json.dumps_kwargs"] = {}
    return environment


@dataclass(frozen=True)
class SliderPosition:
    """One position of the page's slider, which is an iteration or the evaluation, with the image of each run by the run's
    index. `row_names` describes the rows of an image if the image file records them."""

    name: str
    images: Mapping[int, str]
    row_names: Mapping[int, Sequence[str]]


def sample_sets(runs: Sequence[RunRecord]) -> list[SliderPosition]:
    samples = {index: grids for index, run in enumerate(runs) if (grids := run.samples)}
    paths = {str(at): {index: each[at] for index, each in samples.items() if at in each} for at in _chosen(samples)}
    paths["evaluation"] = {index: path for index, run in enumerate(runs) if (path := evaluation_image(run.folder))}
    found = []
    for name, path_of in paths.items():
        images = {index: uri for index, path in path_of.items() if (uri := file_uri(path))}
        row_names = {index: names for index in images if (names := read_row_names(path_of[index]))}
        found.append(SliderPosition(name, images, row_names))
    return [each for each in found if each.images]


def evaluation_image(folder: Path) -> Path | None:
    """The evaluation grid of a run, with inputs, outputs and targets. The test split is preferred."""
    return next((path for split in ("test", "val", "train") if (path := folder / f"{split}.png").is_file()), None)


def last_image(folder: Path) -> Path | None:
    """The evaluation grid of the run in a folder, or the last sample grid if the run has no evaluation."""
    return evaluation_image(folder) or next(reversed(sample_grids(folder).values()), None)


def file_uri(path: Path) -> str | None:
    image = read_image(path)
    return None if image is None else image_uri(image)


def read_image(path: Path) -> Image.Image | None:
    """Read an image and shrink it for a page. None if the file cannot be read, for example because the run was killed while
    writing it."""
    try:
        with open_image(path) as file:
            image = file.convert("RGB")
    except UnreadableImageError:
        return None
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.LANCZOS)
    return image


def image_uri(image: Image.Image, lossless: bool = False) -> str:
    return f"data:image/webp;base64,{base64.b64encode(image_bytes(image, lossless)).decode()}"


def image_bytes(image: Image.Image, lossless: bool = False) -> bytes:
    """Encode an image as WebP, without the metadata of the file that it was read from."""
    out = io.BytesIO()
    image.save(out, "WEBP", quality=86, lossless=lossless)
    return out.getvalue()


def _chosen(samples: Mapping[int, Mapping[int, Path]]) -> list[int]:
    """Choose the iterations that the largest number of runs share, and the last iteration of each run. If there are too
    many, choose evenly spaced ones."""
    counts = Counter(at for each in samples.values() for at in each)
    if not counts:
        return []
    largest = max(counts.values())
    shared = sorted(at for at, count in counts.items() if count == largest)
    wanted = sorted({*shared, *(max(each) for each in samples.values())} if len(shared) > 1 else counts)
    limit = max(3, min(MAX_SETS, MAX_IMAGES // len(samples)))
    if len(wanted) <= limit:
        return wanted
    return [wanted[round(step * (len(wanted) - 1) / (limit - 1))] for step in range(limit)]
