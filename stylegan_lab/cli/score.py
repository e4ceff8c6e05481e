"""`stylegan-lab score`: compute metrics between two folders of images, without a run. Each score is reported with its protocol."""

import hashlib
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.console import format_json
from stylegan_lab.data.folders.listing import images_below, normalized_name
from stylegan_lab.data.folders.reading import image_size
from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.feature_extractors import EXTRACTORS, FILTERS, FeatureSet, MetricFeatures
from stylegan_lab.evaluation.feature_metrics import FEATURE_COMPARISONS, feature_metrics
from stylegan_lab.evaluation.metric_direction import ARROWS
from stylegan_lab.evaluation.metrics import METRICS, Metric, check_metric_inputs
from stylegan_lab.evaluation.perceptual_metrics import LPIPS_NETS, STYLE_NETS, lpips, style_distance
from stylegan_lab.files.atomic_write import check_writable, write_output_file
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.image_io import read_image
from stylegan_lab.images.open_image import UnreadableImageError, display_name
from stylegan_lab.images.transforms.resize import resize_images
from stylegan_lab.images.value_range import to_unit
from stylegan_lab.suggestions import lookup

IMAGE_METRICS = {name: metric for name, metric in METRICS.items() if metric.reference != "input"}

PERCEPTUAL_METRICS: dict[str, Callable[..., dict[str, Metric]]] = {
    **{f"lpips_{net}": partial(lpips, net) for net in LPIPS_NETS},
    **{f"style_{net}": partial(style_distance, net) for net in STYLE_NETS},
}

MAX_LISTED = 3  # unreadable files, or image sizes, in a message


def main(options: Namespace) -> int:
    if options.json is not None:
        check_writable("--json", options.json)
    metrics = _build_metrics(options)
    real = ImageFolder(options.real, options.size, options.batch_size, options.half)
    fake = ImageFolder(options.fake, options.size, options.batch_size, options.fake_half)
    if paired := [name for name, metric in metrics.items() if metric.reference == "truth"]:
        fake.sort_like(real, paired[0])
    width, height = _common_size(real, fake)
    for name, metric in metrics.items():
        try:
            check_metric_inputs(name, metric, min(width, height), len(real.paths), len(fake.paths))
        except UserError as error:
            raise UserError(error.code, f"{error}; choose other metrics with --metrics") from None
    scores = {name: _score(metric, fake, real) for name, metric in metrics.items()}
    document = {
        "schema": 1,
        "real": real.description,
        "fake": fake.description,
        "size": f"{width}x{height}",
        "metrics": scores,
        "protocol": {name: metric.protocol for name, metric in metrics.items()},
    }
    print(_table(document, metrics))
    if options.json is not None:
        write_output_file("--json", options.json, format_json(document, indent=2) + "\n")
    return 0


class ImageFolder:
    """The images below a folder, read in batches as tensors in [0, 1]. They are resized to `size`, unless `size` is None.

    If each image shows a pair side by side, `half` selects the half to read.
    """

    def __init__(self, folder: Path, size: int | None, batch_size: int, half: str | None = None) -> None:
        self.folder, self.size, self.batch_size, self.half = folder, size, batch_size, half
        self.paths = images_below(folder)
        if not self.paths:
            raise UserError("data.no_images", f"{display_name(folder)} contains no images; give a folder of images")

    @cached_property
    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        unreadable = []
        for path in self.paths:
            try:
                width, height = image_size(path)
                sizes[width // 2 if self.half else width, height] += 1
            except UnreadableImageError as error:
                unreadable.append(str(error))
        if unreadable:
            others = f"\nand {len(unreadable) - MAX_LISTED} others" if len(unreadable) > MAX_LISTED else ""
            advice = "\nremove unreadable files, or the scores would describe another set"
            raise UserError("data.unreadable_images", "\n".join(unreadable[:MAX_LISTED]) + others + advice)
        return sizes

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256("".join(file_digest(path) for path in self.paths).encode()).hexdigest()

    @property
    def description(self) -> dict[str, Any]:
        whole = {"folder": str(self.folder), "n": len(self.paths), "sha256": self.sha256}
        return whole | ({"half": self.half} if self.half else {})

    def sort_like(self, other: "ImageFolder", metric: str) -> None:
        """Sort the images like the images of the same names in the other folder. `metric` is the metric that needs this order, for
        messages."""
        by_name = {self._name(path): path for path in self.paths}
        names = [other._name(path) for path in other.paths]
        if unpaired := sorted(set(names) ^ by_name.keys()):
            raise UserError(
                "evaluation.image_names_differ",
                f"{metric} compares images of the same name, but {display_name(unpaired[0])} is in only one of "
                f"{display_name(other.folder)} and {display_name(self.folder)}"
                + (f", like {len(unpaired) - 1} others" if len(unpaired) > 1 else ""),
            )
        self.paths = [by_name[name] for name in names]

    def _name(self, path: Path) -> str:
        return normalized_name(path.relative_to(self.folder).with_suffix("").as_posix())

    def batches(self) -> Iterator[Tensor]:
        for start in range(0, len(self.paths), self.batch_size):
            yield torch.stack([self._read(path) for path in self.paths[start : start + self.batch_size]])

    def feature_set(self, features: MetricFeatures) -> FeatureSet:
        """Compute the features of all images, or read them from the cache."""
        content = f"{self.sha256} {self.size}" + (f" {self.half}" if self.half else "")
        return features.cached_by_hash(content, lambda: features.extract(self.batches()))

    @cached_property
    def images(self) -> Tensor:
        return torch.cat(list(self.batches()))

    def _read(self, path: Path) -> Tensor:
        image = read_image(path)
        if self.half:
            half = image.shape[-1] // 2
            image = image[..., :half] if self.half == "left" else image[..., -half:]
        return to_unit(image if self.size is None else resize_images(image, self.size, self.size))


def _build_metrics(options: Namespace) -> dict[str, Metric]:
    """Build the metrics of --metrics: image metrics, perceptual metrics, and feature metrics with the network of --features."""
    build = lookup("--features", options.features, EXTRACTORS, "cli.unknown_choice")
    names = list(FEATURE_COMPARISONS) if options.metrics is None else options.metrics.split(",")
    weights = {} if options.weights is None else {"weights": options.weights}
    metrics = {name: IMAGE_METRICS[name] for name in names if name in IMAGE_METRICS}
    for name in names:
        metrics |= PERCEPTUAL_METRICS[name](**weights) if name in PERCEPTUAL_METRICS else {}
    if others := [name for name in names if name not in IMAGE_METRICS and name not in PERCEPTUAL_METRICS]:
        if weights and "weights" not in signature(build).parameters:
            raise UserError(
                "evaluation.weights_not_used",
                f"--weights {options.weights}: --features {options.features} uses no weights file; leave out --weights",
            )
        resize = lookup("--resize", options.resize, dict.fromkeys(FILTERS, options.resize), "cli.unknown_choice")
        metrics |= feature_metrics(build(resize=resize, **weights), others)
    return metrics


def _score(metric: Metric, fake: ImageFolder, real: ImageFolder) -> float:
    if metric.features is None:
        return metric(fake.images, real.images)
    return metric.compute(fake.feature_set(metric.features), real.feature_set(metric.features))


def _common_size(real: ImageFolder, fake: ImageFolder) -> tuple[int, int]:
    """The (width, height) of all images. Images of several sizes are compared only with --size."""
    sizes = real.sizes + fake.sizes
    if real.size is not None:
        return real.size, real.size
    if len(sizes) > 1:
        listed = ", ".join(f"{width}x{height}" for (width, height), _ in sizes.most_common(MAX_LISTED))
        raise UserError(
            "evaluation.image_sizes_differ",
            f"{display_name(real.folder)} and {display_name(fake.folder)} contain images of {len(sizes)} sizes ({listed}"
            f"{', ...' if len(sizes) > MAX_LISTED else ''}); give --size N to resize all of them first",
        )
    (size,) = sizes
    return size


def _table(document: dict[str, Any], metrics: Mapping[str, Metric]) -> str:
    width = max(map(len, metrics)) + 4
    labels = {name: f"{name} {ARROWS[metric.direction]}" for name, metric in metrics.items()}
    lines = [f"{label:{width}}{document['metrics'][name]:.5g}" for name, label in labels.items()]
    protocols = {metric.features.protocol: None for metric in metrics.values() if metric.features is not None}
    counts = f"{document['fake']['n']} images compared with {document['real']['n']} real images, {document['size']}"
    return "\n".join([*lines, counts, *(f"features: {protocol}" for protocol in protocols)])
