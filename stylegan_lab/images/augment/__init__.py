"""What changes a sample by chance each time it is drawn: the same generator, the same change, for all pictures of the sample."""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor


class Augmentation(Protocol):
    def __call__(self, images: Tensor, chance: torch.Generator) -> Tensor:
        """The K pictures of one sample (K, C, H, W), uint8 or floats in [-1, 1]. The type stays; nothing is written in place."""
        ...


def augmented(images: Tensor, augmentations: Mapping[str, Augmentation | None], chance: torch.Generator) -> Tensor:
    """All of them in their order; one that is null is left out. Degradations are played in the same way."""
    for augmentation in augmentations.values():
        if augmentation is not None:
            images = augmentation(images, chance)
    return images
