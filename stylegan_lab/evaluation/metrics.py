"""The metrics: each compares pictures with their truth, with real ones of the domain they aim at, or with their inputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from stylegan_lab.evaluation.content import content_kept
from stylegan_lab.evaluation.fidelity import mean_absolute_error, psnr, ssim
from stylegan_lab.evaluation.sliced_wasserstein import (
    COLOURS,
    DIRECTIONS,
    PATCH,
    PATCHES_PER_IMAGE,
    SMALLEST_LEVEL,
    palette_distance,
    sliced_wasserstein,
)

Against = Literal["truth", "target", "input"]


@dataclass(frozen=True)
class Metric:
    measure: Callable[[Tensor, Tensor], float]  # images and what they are held against, in [0, 1] through 8 bits
    against: Against
    better: Literal["higher", "lower"]
    protocol: str


METRICS: dict[str, Metric] = {
    "l1": Metric(mean_absolute_error, "truth", "lower", "mean absolute difference, values in [0, 1]"),
    "psnr": Metric(psnr, "truth", "higher", "dB per picture, averaged"),
    "ssim": Metric(ssim, "truth", "higher", "Gaussian window 11, sigma 1.5, per RGB channel, averaged"),
    "sliced_wasserstein": Metric(
        sliced_wasserstein,
        "target",
        "lower",
        f"W1 of {PATCHES_PER_IMAGE} patches of {PATCH}x{PATCH} a picture and Laplacian level (to {SMALLEST_LEVEL} px), "
        f"{DIRECTIONS} directions, no standardisation per channel, values in [0, 1]",
    ),
    "palette_distance": Metric(
        palette_distance, "target", "lower", f"W1 of {COLOURS} RGB colours, {DIRECTIONS} directions"
    ),
    "content_kept": Metric(content_kept, "input", "higher", "correlation of Sobel gradient strengths of luminance"),
}
