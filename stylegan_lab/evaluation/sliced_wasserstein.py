"""Sliced Wasserstein distance and palette distance between two sets of images (Rabin et al., 2011; Karras et al., 2018)."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.image_store import ImageSet

PATCH_SIZE = 7  # pixels
PATCHES_PER_IMAGE = 128
NUM_DIRECTIONS = 256
NUM_COLORS = 1 << 15
MAX_IMAGES = 2048  # of each set; the distance then takes at most a minute
CHUNK_SIZE = 64  # images in memory
MIN_LEVEL_SIZE = 16  # pixels
SEED = 20180226


def sliced_wasserstein(images: ImageSet, target: ImageSet) -> float:
    """Return the distance between the patches of two sets of images in [0, 1], averaged over the levels of Laplacian pyramids.

    Unlike in the first published code, patches are not standardized per channel, so differences of palette and contrast count.
    """
    count = _compared_count(images, target)
    levels = range(len(_laplacian_pyramid(images[:1])))
    distances = [sliced_distance(*(_patches_of(each, level, count) for each in (images, target))) for level in levels]
    return float(torch.stack(distances).mean())


def palette_distance(images: ImageSet, target: ImageSet) -> float:
    """Return the distance between the pixel colors of two sets of images in [0, 1]. The positions of the pixels do not matter."""
    count = _compared_count(images, target)
    return float(sliced_distance(_colors(images, count), _colors(target, count)))


def _compared_count(one: ImageSet, other: ImageSet) -> int:
    """Return how many images of each set are compared: a smaller set is repeated, a very large one is subsampled evenly."""
    return min(max(len(one), len(other)), MAX_IMAGES)


def _chunks(images: ImageSet, count: int) -> Iterator[tuple[int, Tensor]]:
    """Yield `count` images in chunks, each with the index of its first image."""
    indices = torch.arange(count)
    indices = indices % len(images) if len(images) < count else indices * len(images) // count
    return ((first, images[indices[first : first + CHUNK_SIZE]]) for first in range(0, count, CHUNK_SIZE))


def sliced_distance(one: Tensor, other: Tensor) -> Tensor:
    """Return the Wasserstein-1 distance between two sets of N vectors (N, D), averaged over random directions."""
    directions = F.normalize(torch.randn(NUM_DIRECTIONS, one.shape[1], generator=_rng()), dim=1)
    columns, distances = [vectors.cpu().float().T for vectors in (one, other)], []
    for chunk in directions.split(32):
        # NumPy sorts several times as fast as torch on a CPU.
        projections = [torch.from_numpy(np.sort((chunk @ vectors).numpy(), axis=1)) for vectors in columns]
        distances.append((projections[0] - projections[1]).abs().mean(dim=1))
    return torch.cat(distances).mean()


def _laplacian_pyramid(images: Tensor) -> list[Tensor]:
    levels = []
    while min(images.shape[-2:]) // 2 >= MIN_LEVEL_SIZE:
        smaller = _downsample(images)
        levels.append(images - F.interpolate(smaller, size=images.shape[-2:], mode="bilinear", align_corners=False))
        images = smaller
    return [*levels, images]


def _downsample(images: Tensor) -> Tensor:
    row = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0], device=images.device) / 16
    kernel = torch.outer(row, row).expand(images.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(images, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=images.shape[1])


def _patches_of(images: ImageSet, level: int, count: int) -> Tensor:
    chunks = _chunks(images, count)
    return torch.cat([_patches(_laplacian_pyramid(chunk)[level], first, count) for first, chunk in chunks])


def _patches(level: Tensor, first: int, count: int) -> Tensor:
    """Cut patches at random positions, which depend on an image's index (from `first` on) and on `count` only."""
    n, channels, height, width = level.shape
    rng = _rng()
    rows_of_chunk = slice(first * PATCHES_PER_IMAGE, (first + n) * PATCHES_PER_IMAGE)
    top = torch.randint(height - PATCH_SIZE + 1, (count * PATCHES_PER_IMAGE,), generator=rng)[rows_of_chunk]
    left = torch.randint(width - PATCH_SIZE + 1, (count * PATCHES_PER_IMAGE,), generator=rng)[rows_of_chunk]
    image, within = torch.arange(n).repeat_interleave(PATCHES_PER_IMAGE), torch.arange(PATCH_SIZE)
    rows, columns = top[:, None, None] + within[:, None], left[:, None, None] + within
    patches = level.cpu()[image[:, None, None], :, rows, columns]
    return patches.reshape(len(image), PATCH_SIZE * PATCH_SIZE * channels)


def _colors(images: ImageSet, count: int) -> Tensor:
    """Return the colors of pixels drawn from all images, or of every pixel if there are few."""
    pixels = images.shape[-2] * images.shape[-1]
    total = count * pixels
    drawn = torch.arange(total) if total <= NUM_COLORS else torch.randint(total, (NUM_COLORS,), generator=_rng())
    parts = []
    for first, chunk in _chunks(images, count):
        within = drawn[(drawn >= first * pixels) & (drawn < (first + len(chunk)) * pixels)] - first * pixels
        parts.append(chunk.movedim(1, -1).reshape(-1, chunk.shape[1])[within.to(chunk.device)])
    return torch.cat(parts)


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)
