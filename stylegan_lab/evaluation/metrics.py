"""The metrics. Each metric compares images with their ground truth, with real images of the target domain, or with their inputs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from stylegan_lab.errors import UserError
from stylegan_lab.evaluation import image_metrics as pixels
from stylegan_lab.evaluation import sliced_wasserstein as sliced
from stylegan_lab.evaluation.feature_extractors import MetricFeatures
from stylegan_lab.evaluation.metric_direction import Direction
from stylegan_lab.images.image_store import ImageSet

ReferenceSet = Literal["truth", "target", "input"]


@dataclass(frozen=True)
class Metric:
    """A metric and the reference set that it compares images with.

    `compute` is called with images and references, or with their features. Images are in [0, 1] and quantized to 8 bits.
    """

    compute: Callable[[Any, Any], float]
    reference: ReferenceSet
    direction: Direction  # that is better
    protocol: str  # how the value is computed, recorded with every score
    features: MetricFeatures | None = None  # whose `FeatureSet`s are compared
    min_images: int = 1  # and references
    min_size: int = 1  # pixels of an image's shorter side
    chunked: bool = False  # `compute` reads an `ImageSet` in chunks, and not all images as one tensor

    def __call__(self, images: ImageSet, other: ImageSet) -> float:
        if self.features is None:
            return self.compute(images, other) if self.chunked else self.compute(images[:], other[:])
        return self.compute(self.features(images), self.features.cached(other))


METRICS: dict[str, Metric] = {
    "l1": Metric(pixels.mean_absolute_error, "truth", "lower", "mean absolute difference, values in [0, 1]"),
    "psnr": Metric(pixels.psnr, "truth", "higher", "dB per image, averaged"),
    "ssim": Metric(
        pixels.ssim,
        "truth",
        "higher",
        "Gaussian window 11, sigma 1.5, at each pixel, borders mirrored, per RGB channel, averaged",
        min_size=pixels.WINDOW // 2 + 1,
    ),
    "ms_ssim": Metric(
        pixels.ms_ssim,
        "truth",
        "higher",
        f"{len(pixels.EXPONENTS)} scales, or as many as there is room for, their exponents summing to 1, borders left out but at "
        "the coarsest scale",
        min_size=pixels.WINDOW,
    ),
    "sliced_wasserstein": Metric(
        sliced.sliced_wasserstein,
        "target",
        "lower",
        f"W1 of {sliced.PATCHES_PER_IMAGE} patches of {sliced.PATCH_SIZE}x{sliced.PATCH_SIZE} per image and Laplacian level "
        f"(to {sliced.MIN_LEVEL_SIZE} px), {sliced.NUM_DIRECTIONS} directions, no standardization per channel, values in [0, 1], "
        f"at most {sliced.MAX_IMAGES:,} images",
        min_size=sliced.PATCH_SIZE,
        chunked=True,
    ),
    "palette_distance": Metric(
        sliced.palette_distance,
        "target",
        "lower",
        f"W1 of {sliced.NUM_COLORS} RGB colors of at most {sliced.MAX_IMAGES:,} images, {sliced.NUM_DIRECTIONS} directions",
        chunked=True,
    ),
    "diversity": Metric(
        pixels.diversity,
        "target",
        "higher",
        "root mean square distance within the set over that within the target's, at "
        f"{pixels.DIVERSITY_SIZE}x{pixels.DIVERSITY_SIZE}; about 1, 0 when all are one",
        chunked=True,
    ),
    "edge_correlation": Metric(
        pixels.edge_correlation, "input", "higher", "correlation of Sobel gradient strengths of luminance", min_size=2
    ),
}

MetricEntry = Metric | Mapping[str, Metric]  # an entry of the config group `metrics`: one metric, or several by name


def select_metrics(entries: Mapping[str, MetricEntry]) -> dict[str, Metric]:
    """Return the built-in metrics and the metrics of the config's entries, by name."""
    metrics = dict(METRICS)
    for name, entry in entries.items():
        metrics |= {name: entry} if isinstance(entry, Metric) else entry
    return metrics


def check_metric_inputs(name: str, metric: Metric, size: int, *counts: int) -> None:
    """Raise an error if there are too few images or references for a metric (`counts`), or if their shorter side, `size` pixels, is
    too small."""
    if min(counts) < metric.min_images:
        found = " and ".join(map(str, dict.fromkeys(counts)))
        raise UserError(
            "evaluation.too_few_images",
            f"{name} needs at least {metric.min_images} images and as many references; there are {found}. Use more "
            "images, or leave this metric out",
        )
    if size < metric.min_size:
        raise UserError(
            "evaluation.images_too_small",
            f"{name} needs images of at least {metric.min_size}x{metric.min_size} pixels; these have {size}. Use "
            "larger images, or leave this metric out",
        )
