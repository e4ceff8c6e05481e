"""Distances between two crowds of vectors, sorted along random directions (Rabin et al., 2011; Karras et al., 2018)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.gallery import PictureSet

PATCH = 7
PATCHES_PER_IMAGE = 128
DIRECTIONS = 256
COLOURS = 1 << 15
MOST = 2048  # pictures: within a minute
AT_ONCE = 64  # of them in memory
SMALLEST_LEVEL = 16  # pixels
SEED = 20180226


def sliced_wasserstein(images: PictureSet, target: PictureSet) -> float:
    """Between the patches of two sets of images in [0, 1], averaged over the levels of their Laplacian pyramids.

    Unlike the first published code, patches are not standardised per channel: palette counts, and so does contrast.
    """
    count = _as_many(images, target)
    levels = range(len(_laplacian_pyramid(images[:1])))
    apart = [crowd_distance(*(_patches_of(each, level, count) for each in (images, target))) for level in levels]
    return float(torch.stack(apart).mean())


def palette_distance(images: PictureSet, target: PictureSet) -> float:
    """Between the colours of two sets of images in [0, 1], wherever in the picture they stand."""
    count = _as_many(images, target)
    return float(crowd_distance(_colours(images, count), _colours(target, count)))


def _as_many(one: PictureSet, other: PictureSet) -> int:
    """Of each. The smaller set counts again from its beginning; of very many, some from all over the set count."""
    return min(max(len(one), len(other)), MOST)


def _some_at_a_time(images: PictureSet, count: int) -> Iterator[tuple[int, Tensor]]:
    """As many pictures, those at the number of the first and after it."""
    places = torch.arange(count)
    places = places % len(images) if len(images) < count else places * len(images) // count
    return ((first, images[places[first : first + AT_ONCE]]) for first in range(0, count, AT_ONCE))


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


def _patches_of(images: PictureSet, level: int, count: int) -> Tensor:
    some = _some_at_a_time(images, count)
    return torch.cat([_patches(_laplacian_pyramid(part)[level], first, count) for first, part in some])


def _patches(level: Tensor, first: int, count: int) -> Tensor:
    """Of pictures from the `first` on, at random places, the same for every set of `count`."""
    n, channels, height, width = level.shape
    dice = _dice()
    mine = slice(first * PATCHES_PER_IMAGE, (first + n) * PATCHES_PER_IMAGE)
    top = torch.randint(height - PATCH + 1, (count * PATCHES_PER_IMAGE,), generator=dice)[mine]
    left = torch.randint(width - PATCH + 1, (count * PATCHES_PER_IMAGE,), generator=dice)[mine]
    image, within = torch.arange(n).repeat_interleave(PATCHES_PER_IMAGE), torch.arange(PATCH)
    rows, columns = top[:, None, None] + within[:, None], left[:, None, None] + within
    cut = level.cpu()[image[:, None, None], :, rows, columns]
    return cut.reshape(len(image), PATCH * PATCH * channels)


def _colours(images: PictureSet, count: int) -> Tensor:
    """Of pixels drawn from all of them; of all, if they are few."""
    pixels = images.shape[-2] * images.shape[-1]
    there = count * pixels
    drawn = torch.arange(there) if there <= COLOURS else torch.randint(there, (COLOURS,), generator=_dice())
    parts = []
    for first, some in _some_at_a_time(images, count):
        mine = drawn[(drawn >= first * pixels) & (drawn < (first + len(some)) * pixels)] - first * pixels
        parts.append(some.movedim(1, -1).reshape(-1, some.shape[1])[mine.to(some.device)])
    return torch.cat(parts)


def _dice() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)
