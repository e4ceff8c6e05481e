"""The metrics: each compares pictures with their truth, with real ones of the domain they aim at, or with their inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stylegan_lab.better import Better
from stylegan_lab.evaluation.content import content_kept
from stylegan_lab.evaluation.diversity import SIDE, diversity
from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.evaluation.fidelity import EXPONENTS, WINDOW, mean_absolute_error, ms_ssim, psnr, ssim
from stylegan_lab.evaluation.sliced_wasserstein import (
    COLOURS,
    DIRECTIONS,
    MOST,
    PATCH,
    PATCHES_PER_IMAGE,
    SMALLEST_LEVEL,
    palette_distance,
    sliced_wasserstein,
)
from stylegan_lab.images.gallery import PictureSet
from stylegan_lab.mistake import Mistake

Against = Literal["truth", "target", "input"]


@dataclass(frozen=True)
class Metric:
    """`measure` takes images and what they are held against, in [0, 1] through 8 bits; or, of a metric that `sees` them through
    an embedding, the two crowds of vectors."""

    measure: Callable[[Any, Any], float]
    against: Against
    better: Better
    protocol: str
    sees: Embedding | None = None
    least: int = 1  # pictures on either side
    smallest: int = 1  # pixels a side of them
    in_parts: bool = False  # whether it looks at some pictures at a time, else it is given all as tensors

    def __call__(self, images: PictureSet, other: PictureSet) -> float:
        if self.sees is None:
            return self.measure(images, other) if self.in_parts else self.measure(images[:], other[:])
        return self.measure(self.sees(images), self.sees.known(other))


METRICS: dict[str, Metric] = {
    "l1": Metric(mean_absolute_error, "truth", "lower", "mean absolute difference, values in [0, 1]"),
    "psnr": Metric(psnr, "truth", "higher", "dB per picture, averaged"),
    "ssim": Metric(
        ssim, "truth", "higher", "Gaussian window 11, sigma 1.5, per RGB channel, averaged", smallest=WINDOW // 2 + 1
    ),
    "ms_ssim": Metric(
        ms_ssim,
        "truth",
        "higher",
        f"{len(EXPONENTS)} scales, or as many as there is room for, their exponents summing to 1",
        smallest=WINDOW,
    ),
    "sliced_wasserstein": Metric(
        sliced_wasserstein,
        "target",
        "lower",
        f"W1 of {PATCHES_PER_IMAGE} patches of {PATCH}x{PATCH} a picture and Laplacian level (to {SMALLEST_LEVEL} px), "
        f"{DIRECTIONS} directions, no standardisation per channel, values in [0, 1], at most {MOST:,} pictures",
        smallest=PATCH,
        in_parts=True,
    ),
    "palette_distance": Metric(
        palette_distance,
        "target",
        "lower",
        f"W1 of {COLOURS} RGB colours of at most {MOST:,} pictures, {DIRECTIONS} directions",
        in_parts=True,
    ),
    "diversity": Metric(
        diversity,
        "target",
        "higher",
        f"root mean square distance within the set over that within the target's, at {SIDE}x{SIDE}; about 1, 0 when all are one",
        in_parts=True,
    ),
    "content_kept": Metric(
        content_kept, "input", "higher", "correlation of Sobel gradient strengths of luminance", smallest=2
    ),
}


Entry = Metric | Mapping[str, Metric]  # of a config: one metric, or several of a kind


def chosen(entries: Mapping[str, Entry]) -> dict[str, Metric]:
    """The built-in metrics, and those of a config's entries."""
    metrics = dict(METRICS)
    for name, entry in entries.items():
        metrics |= {name: entry} if isinstance(entry, Metric) else entry
    return metrics


def check_enough(name: str, metric: Metric, side: int, *counts: int) -> None:
    """Whether pictures of that side, so many to be measured and so many that they are held against, can be."""
    if min(counts) < metric.least:
        there = " and ".join(map(str, dict.fromkeys(counts)))
        raise Mistake(f"{name} needs at least {metric.least} pictures on either side; there are {there}")
    if side < metric.smallest:
        raise Mistake(f"{name} needs pictures of at least {metric.smallest} pixels a side; they have {side}")
