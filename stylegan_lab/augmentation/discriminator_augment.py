"""Discriminator augmentation: random transforms of all images that a discriminator gets, so that it does not memorize a small
data set."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

Transform = Callable[[Tensor], Tensor]


class DiscriminatorAugment(Protocol):
    """Augments the images of a discriminator. `sample_transform` samples a transform for each image of a batch. The same
    transform is applied to an image and to the image it is conditioned on."""

    def sample_transform(self, images: Tensor) -> Transform: ...


@runtime_checkable
class AdaptiveAugment(DiscriminatorAugment, Protocol):
    """An augmentation with a probability `p`, which is adapted to the degree of overfitting.

    `update` gets the mean sign of this rank's real logits, from -1 to 1, and the number of real images over all ranks. It must
    not copy `real_sign` to the host, because that would wait for the device.
    """

    p: Tensor

    def update(self, real_sign: Tensor, images: int) -> None: ...

    def state_dict(self) -> dict[str, float]: ...

    def load_state_dict(self, state: dict[str, float]) -> None: ...


class NoAugment:
    """Passes images to the discriminator unchanged."""

    def sample_transform(self, images: Tensor) -> Transform:
        return lambda image: image
