"""Distances between two crowds of vectors, sorted along random directions (Rabin et al., 2011; Karras et al., 2018)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.album import Pictures

PATCH = 7
PATCHES_PER_IMAGE = 128
DIRECTIONS = 256
COLOURS = 1 << 15
MOST = 2048  # pictures: within a minute and some gigabytes
SMALLEST_LEVEL = 16  # pixels
SEED = 20180226


def sliced_wasserstein(images: Pictures, target: Pictures) -> float:
    """Between the patches of two sets of images in [0, 1], averaged over the levels of their Laplacian pyramids.

    Unlike the first published code, patches are not standardised per channel: palette counts, and so does contrast.
    """
    levels = zip(*map(_laplacian_pyramid, _as_many(images, target)), strict=True)
    return float(torch.stack([crowd_distance(_patches(one), _patches(other)) for one, other in levels]).mean())


def palette_distance(images: Pictures, target: Pictures) -> float:
    """Between the colours of two sets of images in [0, 1], wherever in the picture they stand."""
    colours = [_thinned(each.movedim(1, -1).reshape(-1, each.shape[1])) for each in _as_many(images, target)]
    return float(crowd_distance(*colours))


def _as_many(one: Pictures, other: Pictures) -> list[Tensor]:
    """As many of each. The smaller set counts again from its beginning; of very many, some from all over the set count."""
    count = min(max(len(one), len(other)), MOST)
    return [each[:] if len(each) == count else each[_places(len(each), count)] for each in (one, other)]


def _places(among: int, count: int) -> Tensor:
    places = torch.arange(count)
    return places % among if among < count else places * among // count


def crowd_distance(one: Tensor, other: Tensor) -> Tensor:
    """The Wasserstein-1 distance of two equally large crowds (N, D), averaged over random directions."""
    directions = F.normalize(torch.randn(DIRECTIONS, one.shape[1], generator=_dice()), dim=1)
    crowds, apart = [crowd.cpu().float().T for crowd in (one, other)], []
    for some in directions.split(32):
        shadows = [(some @ crowd).sort(dim=1).values for crowd in crowds]
        apart.append((shadows[0] - shadows[1]).abs().mean(dim=1))
    return torch.cat(apart).mean()


def _laplacian_pyramid(images: Tensor) -> list[Tensor]:
    levels = []
    while min(images.shape[-2:]) // 2 >= SMALLEST_LEVEL:
        smaller = _halved(images)
        levels.append(images - F.interpolate(smaller, size=images.shape[-2:], mode="bilinear", align_corners=False))
        images = smaller
    return [*levels, images]


def _halved(images: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    kernel = torch.outer(row, row).expand(images.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=images.shape[1])


def _patches(level: Tensor) -> Tensor:
    """Patches at random places, the same for every set of as many images."""
    n, channels, height, width = level.shape
    dice = _dice()
    image = torch.arange(n).repeat_interleave(PATCHES_PER_IMAGE)
    top = torch.randint(height - PATCH + 1, (len(image),), generator=dice)
    left = torch.randint(width - PATCH + 1, (len(image),), generator=dice)
    within = torch.arange(PATCH)
    rows, columns = top[:, None, None] + within[:, None], left[:, None, None] + within
    cut = level.cpu()[image[:, None, None], :, rows, columns]
    return cut.reshape(len(image), PATCH * PATCH * channels)


def _thinned(colours: Tensor, most: int = COLOURS) -> Tensor:
    return colours if len(colours) <= most else colours[torch.randint(len(colours), (most,), generator=_dice())]


def _dice() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)
