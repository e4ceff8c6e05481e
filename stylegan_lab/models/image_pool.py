"""A pool of past generated images (Shrivastava et al., 2017), so that discriminators do not forget earlier fakes."""

import torch
from torch import Tensor


class ImagePool:
    """A pool of generated images (Shrivastava et al., 2017). Until the pool is full, images are stored and returned. After that,
    each image is swapped with a stored image with probability 0.5. Size 0 disables the pool."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def __call__(self, images: Tensor) -> Tensor:
        if self.size == 0:
            return images
        return torch.stack([self._exchange(image) for image in images.detach()])

    def _exchange(self, image: Tensor) -> Tensor:
        if len(self.images) < self.size:
            self.images.append(image.clone())
            return image
        if torch.rand(()) < 0.5:
            return image
        index = int(torch.randint(self.size, ()))
        old, self.images[index] = self.images[index], image.clone()
        return old

    def state(self) -> list[Tensor]:
        return [image.cpu() for image in self.images]

    def restore(self, state: list[Tensor]) -> None:
        self.images = list(state)

    def to(self, device: torch.device) -> None:
        """Move the images to the training device, after `restore` has loaded them from a checkpoint."""
        self.images = [image.to(device) for image in self.images]
