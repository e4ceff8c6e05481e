"""Tiles: a function of a neighborhood gives the result of the whole image, and nothing is left out or doubled."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.tiles import apply_in_tiles, tile_ranges


@pytest.mark.parametrize("length", [1, 16, 17, 31, 40, 100, 257])
def test_tiles_cover_the_length_and_overlap_only_the_next(length: int) -> None:
    ranges = tile_ranges(length, 16, 6)
    assert ranges[0][0] == 0 and ranges[-1][1] == length
    assert all(end - start == min(16, length) for start, end in ranges)
    assert all(after[0] <= before[1] - 6 for before, after in itertools.pairwise(ranges))
    assert all(after[0] >= before[1] - 16 for before, after in itertools.pairwise(ranges))


@pytest.mark.parametrize("scale", [1, 2])
def test_a_function_of_pixels_gives_the_whole_image(scale: int) -> None:
    image = torch.rand(1, 3, 75, 53)

    def function(x: Tensor) -> Tensor:
        return F.interpolate(x * x, scale_factor=scale)

    tiles = apply_in_tiles(function, lambda a, b, c, d: image[:, :, a:b, c:d], 75, 53, tile_size=24, overlap=8)
    torch.testing.assert_close(torch.cat(list(tiles), dim=2), function(image))


def test_tones_of_tiles_are_blended_without_an_edge() -> None:
    """Each tile becomes constant. Neighboring pixels then differ by no more than a step of the ramp."""
    values = iter(torch.linspace(0, 1, 100))
    tiles = apply_in_tiles(
        lambda x: torch.full_like(x, next(values).item()),
        lambda a, b, c, d: torch.zeros(1, 1, b - a, d - c), 90, 90, tile_size=40, overlap=16,
    )  # fmt: skip
    blended = torch.cat(list(tiles), dim=2)
    assert blended.shape == (1, 1, 90, 90) and blended.max() > 0
    assert max(blended.diff(dim=2).abs().max(), blended.diff(dim=3).abs().max()) <= blended.max() / 12
