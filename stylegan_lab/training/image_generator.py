"""Generates images with a trained noise-to-image model: numbered samples of a seed, and interpolations between the samples."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.suggestions import lookup

BATCH_SIZE = 16


class ImageGenerator:
    """Generates images that depend only on the seed and their index. Without a label, successive images cycle through the
    classes."""

    def __init__(
        self,
        module: GenerativeModel,
        label: str | None = None,
        seed: int = 0,
        truncation: float | None = None,
        style_mixing: bool = False,
        label_setting: str = "label",
    ) -> None:
        self.module, self.seed, self.truncation, self.style_mixing = module, seed, truncation, style_mixing
        self.label = None if label is None else _class_index(module, label, label_setting)

    def images(self, count: int) -> Iterator[Tensor]:
        for indices in torch.arange(count).split(BATCH_SIZE):
            latents = self.module.numbered_latents(self.seed, int(indices[0]), len(indices) + 1)
            yield from self._generate(latents[:-1], latents[1:], self._labels(indices))

    def interpolate(self, count: int, frames: int) -> Iterator[Tensor]:
        """Interpolate from each image to the next, and from the last to the first. The class changes at each image."""
        latents = self.module.numbered_latents(self.seed, 0, count)
        labels = self._labels(torch.arange(count))
        for index in range(count):
            start, end, after_end = (latents[(index + offset) % count] for offset in range(3))
            for steps in torch.arange(frames).split(BATCH_SIZE):
                weights = (steps / frames).tolist()
                batch = torch.stack([slerp(start, end, weight) for weight in weights])
                next_batch = torch.stack([slerp(end, after_end, weight) for weight in weights])
                label = None if labels is None else labels[index].expand(len(steps))
                yield from self._generate(batch, next_batch, label)

    def grid_rows(self, images: Tensor) -> list[Tensor]:
        """Split images into the rows of a square grid. If all classes are shown, the grid has one column for each class instead."""
        classes = len(self.module.classes)
        columns = classes if self.label is None and 1 < classes <= len(images) else math.ceil(len(images) ** 0.5)
        return list(images.split(columns))

    def _labels(self, indices: Tensor) -> Tensor | None:
        if not self.module.classes:
            return None
        labels = indices % len(self.module.classes) if self.label is None else torch.full_like(indices, self.label)
        return labels.to(self.module.device)

    @torch.no_grad()
    def _generate(self, latents: Tensor, next_latents: Tensor, labels: Tensor | None) -> Tensor:
        if self.style_mixing:
            return self.module.mix(latents, next_latents, labels, self.truncation).float().cpu()
        return self.module.generate(latents, labels, self.truncation).float().cpu()


def slerp(start: Tensor, end: Tensor, weight: float) -> Tensor:
    """Interpolate spherically (White, 2016). The result keeps the length of the latents, which linear interpolation would
    shorten."""
    angle = torch.acos(F.cosine_similarity(start, end, dim=0).clamp(-1, 1))
    if angle.sin() < 1e-4:
        return torch.lerp(start, end, weight)
    return (torch.sin((1 - weight) * angle) * start + torch.sin(weight * angle) * end) / torch.sin(angle)


def _class_index(module: GenerativeModel, label: str, setting: str) -> int:
    names = module.classes
    if not names:
        raise UserError(
            "generate.no_classes",
            f"{setting} {label} cannot be used: this run has no classes; leave {setting} out, or give a run that was "
            "trained with model.classes",
        )
    if label not in names and label.isdecimal() and int(label) < len(names):
        return int(label)
    return lookup(setting, label, {name: index for index, name in enumerate(names)}, "cli.unknown_choice")
