"""Discriminator augmentation: random transforms of everything a discriminator is shown, so that it does not memorize a small
data set."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

Transform = Callable[[Tensor], Tensor]


class DiscriminatorAugment(Protocol):
    """`sample_transform` samples a transform for each image of a batch. It is applied to the images and to the images they
    are conditioned on alike."""

    def sample_transform(self, images: Tensor) -> Transform: ...


@runtime_checkable
class AdaptiveAugment(DiscriminatorAugment, Protocol):
    """An augmentation with a probability `p` that is adapted to overfitting.

    `update` gets the mean sign of this rank's real logits, from -1 to 1, and the number of real images over all ranks. It must not
    read `real_sign` on the host, which would wait for the device.
    """

    p: Tensor

    def update(self, real_sign: Tensor, images: int) -> None: ...

    def state_dict(self) -> dict[str, float]: ...

    def load_state_dict(self, state: dict[str, float]) -> None: ...


class NoAugment:
    """Shows the discriminator its images unchanged."""

    def sample_transform(self, images: Tensor) -> Transform:
        return lambda image: image
