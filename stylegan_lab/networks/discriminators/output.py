"""The output of a discriminator, and discriminators as callables."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from stylegan_lab.errors import UserError


class DiscriminatorOutput(NamedTuple):
    """Logits (high for real; several tensors for a multi-scale discriminator) and, where provided, intermediate features."""

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()


Discriminator = Callable[[Tensor], DiscriminatorOutput | Tensor]


def discriminate(discriminator: Discriminator, images: Tensor) -> DiscriminatorOutput:
    """Apply a discriminator. A tensor that it returns counts as its logits."""
    output = discriminator(images)
    if isinstance(output, Tensor):
        return DiscriminatorOutput((output,))
    if not isinstance(output, DiscriminatorOutput):
        raise UserError(
            "network.wrong_output",
            f"a discriminator returned a {type(output).__name__}; return a tensor of logits, or a DiscriminatorOutput",
        )
    return output


class ConditionedDiscriminator:
    """A discriminator that is given each image together with the image it was made from, as in pix2pix."""

    def __init__(self, discriminator: Discriminator, condition: Tensor) -> None:
        self.discriminator, self.condition = discriminator, condition

    def __call__(self, image: Tensor) -> DiscriminatorOutput | Tensor:
        return self.discriminator(torch.cat([self.condition, image], dim=1))

    def augmented(self, augment: Callable[[Tensor], Tensor]) -> "ConditionedDiscriminator":
        """The same discriminator with the augmentation applied to its condition."""
        return ConditionedDiscriminator(self.discriminator, augment(self.condition))
