"""The output of a discriminator, and ways to call a discriminator."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from stylegan_lab.errors import UserError


class DiscriminatorOutput(NamedTuple):
    """Logits, which are high for real images, and optionally intermediate features. A multi-scale discriminator has several
    tensors of logits."""

    logits: tuple[Tensor, ...]
    features: tuple[Tensor, ...] = ()


Discriminator = Callable[[Tensor], DiscriminatorOutput | Tensor]


def discriminate(discriminator: Discriminator, images: Tensor) -> DiscriminatorOutput:
    """Apply a discriminator. If it returns a tensor, this is used as the logits."""
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
    """A discriminator whose input is each image concatenated with the image it was made from, as in pix2pix."""

    def __init__(self, discriminator: Discriminator, condition: Tensor) -> None:
        self.discriminator, self.condition = discriminator, condition

    def __call__(self, image: Tensor) -> DiscriminatorOutput | Tensor:
        return self.discriminator(torch.cat([self.condition, image], dim=1))

    def augmented(self, augment: Callable[[Tensor], Tensor]) -> "ConditionedDiscriminator":
        """Return the same discriminator with the augmentation applied to its condition."""
        return ConditionedDiscriminator(self.discriminator, augment(self.condition))
