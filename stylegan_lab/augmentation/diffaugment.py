"""DiffAugment (Zhao et al., 2020): differentiable color, translation and cutout transforms of discriminator inputs."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from stylegan_lab.augmentation.discriminator_augment import Transform
from stylegan_lab.precision import to_float32
from stylegan_lab.rng import rand

NUM_RANDOM = 7  # uniform random numbers for each image
MAX_SHIFT = 1 / 8  # of a side
CUTOUT_SIZE = 1 / 2  # of a side


def random_color(images: Tensor, u: Tensor) -> Tensor:
    """Add a number between -0.5 and 0.5 to the brightness, and multiply the saturation by a factor between 0 and 2 and the
    contrast by one between 0.5 and 1.5."""
    brightness, saturation, contrast = (number[:, None, None, None] for number in u.unbind(1))
    images = images + (brightness - 0.5)
    gray = images.mean(dim=1, keepdim=True)
    images = gray + (images - gray) * saturation * 2
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def random_translation(images: Tensor, u: Tensor) -> Tensor:
    """Shift images by up to 1/8 of each side, with zero padding."""
    rows = _shift(images, u[:, 0], axis=2)
    return _shift(rows, u[:, 1], axis=3)


def random_cutout(images: Tensor, u: Tensor) -> Tensor:
    """Set a random square of half the side to zero. The square may lie partly outside of the image."""
    height, width = images.shape[-2:]
    inside = [_in_cutout(u[:, index], length, images.device) for index, length in enumerate((height, width))]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images * ~hole


TRANSFORMS: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], slice]] = {
    "color": (random_color, slice(0, 3)),
    "translation": (random_translation, slice(3, 5)),
    "cutout": (random_cutout, slice(5, 7)),
}


class DiffAugment:
    """Applies the chosen transforms to every image, with random parameters for each."""

    def __init__(self, color: bool = True, translation: bool = True, cutout: bool = True) -> None:
        enabled = {"color": color, "translation": translation, "cutout": cutout}
        self.transforms = [TRANSFORMS[name] for name, is_enabled in enabled.items() if is_enabled]

    def sample_transform(self, images: Tensor) -> Transform:
        u = rand(len(images), NUM_RANDOM, device=images.device).to(to_float32(images))

        def transform(image: Tensor) -> Tensor:
            image = to_float32(image)
            for apply, columns in self.transforms:
                image = apply(image, u[:, columns])
            return image

        return transform


def _shift(images: Tensor, u: Tensor, axis: int) -> Tensor:
    length = images.shape[axis]
    max_shift = int(length * MAX_SHIFT + 0.5)
    shift = torch.floor(u * (2 * max_shift + 1)).long() - max_shift
    source = torch.arange(length, device=images.device)[None] - shift[:, None]
    is_inside = (source >= 0) & (source < length)
    shape = [len(images), 1, 1, 1]
    shape[axis] = length
    index = source.clamp(0, length - 1).reshape(shape).expand_as(images)
    return images.gather(axis, index) * is_inside.reshape(shape)


def _in_cutout(u: Tensor, length: int, device: torch.device) -> Tensor:
    size = int(length * CUTOUT_SIZE + 0.5)
    start = torch.floor(u * (length + 1 - size % 2)).long() - size // 2
    position = torch.arange(length, device=device)[None]
    return (position >= start[:, None]) & (position < start[:, None] + size)
