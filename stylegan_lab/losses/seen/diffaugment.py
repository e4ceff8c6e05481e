"""DiffAugment (Zhao et al., 2020): colour, translation and cutout on all that a critic sees, differentiable."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.losses.draws import for_each
from stylegan_lab.losses.seen import Change
from stylegan_lab.losses.terms import precise

DRAWN = 7  # numbers a picture
SHIFT = 1 / 8  # of a side, at most
CUT = 1 / 2  # of a side


def colour(images: Tensor, chance: Tensor) -> Tensor:
    """Brightness by -0.5 to 0.5, saturation 0 to 2 times, contrast 0.5 to 1.5 times."""
    brightness, saturation, contrast = (number[:, None, None, None] for number in chance.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation * 2
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * (contrast + 0.5)


def translation(images: Tensor, chance: Tensor) -> Tensor:
    """By up to an eighth of either side; zeros come in."""
    rows = _shifted(images, chance[:, 0], axis=2)
    return _shifted(rows, chance[:, 1], axis=3)


def cutout(images: Tensor, chance: Tensor) -> Tensor:
    """A square of half the side, somewhere, perhaps in part outside, becomes zero."""
    height, width = images.shape[-2:]
    inside = [_within(chance[:, place], length, images.device) for place, length in enumerate((height, width))]
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images * ~hole


CHANGES: Mapping[str, tuple[Callable[[Tensor, Tensor], Tensor], slice]] = {
    "colour": (colour, slice(0, 3)),
    "translation": (translation, slice(3, 5)),
    "cutout": (cutout, slice(5, 7)),
}


class DiffAugment:
    def __init__(self, colour: bool = True, translation: bool = True, cutout: bool = True) -> None:
        wanted = {"colour": colour, "translation": translation, "cutout": cutout}
        self.changes = [choose("critics_see", name, CHANGES) for name, is_wanted in wanted.items() if is_wanted]

    def draw(self, images: Tensor) -> Change:
        chance = for_each(len(images), lambda count, dice: torch.rand(count, DRAWN, generator=dice)).to(precise(images))

        def change(image: Tensor) -> Tensor:
            image = precise(image)
            for made, mine in self.changes:
                image = made(image, chance[:, mine])
            return image

        return change


def _shifted(images: Tensor, chance: Tensor, axis: int) -> Tensor:
    length = images.shape[axis]
    most = int(length * SHIFT + 0.5)
    shift = torch.floor(chance * (2 * most + 1)).long() - most
    source = torch.arange(length, device=images.device)[None] - shift[:, None]
    is_there = (source >= 0) & (source < length)
    shape = [len(images), 1, 1, 1]
    shape[axis] = length
    index = source.clamp(0, length - 1).reshape(shape).expand_as(images)
    return images.gather(axis, index) * is_there.reshape(shape)


def _within(chance: Tensor, length: int, device: torch.device) -> Tensor:
    cut = int(length * CUT + 0.5)
    begin = torch.floor(chance * (length + 1 - cut % 2)).long() - cut // 2
    place = torch.arange(length, device=device)[None]
    return (place >= begin[:, None]) & (place < begin[:, None] + cut)
