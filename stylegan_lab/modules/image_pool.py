"""A pool of past fakes (Shrivastava et al., 2017): critics see some of them again, so that they do not forget."""

import torch
from torch import Tensor


class ImagePool:
    """While it fills, images pass through; then each is swapped with an old one half of the time. Size 0: no pool."""

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
        place = int(torch.randint(self.size, ()))
        old, self.images[place] = self.images[place], image.clone()
        return old.to(image.device)

    def state(self) -> list[Tensor]:
        return [image.cpu() for image in self.images]

    def restore(self, state: list[Tensor]) -> None:
        self.images = list(state)
