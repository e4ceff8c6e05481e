"""Applies a function to a large image in overlapping tiles, and blends their outputs where they overlap."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

TILE_SIZE = 1024
OVERLAP = 128


def apply_in_tiles(
    function: Callable[[Tensor], Tensor],
    read: Callable[[int, int, int, int], Tensor],
    height: int,
    width: int,
    tile_size: int = TILE_SIZE,
    overlap: int = OVERLAP,
) -> Iterator[Tensor]:
    """Yield the output (1, C, rows, W) from top to bottom. `read(top, bottom, left, right)` returns that part of the input.

    Weights rise linearly across an overlap, so there is no edge where two tiles meet. The output may be an integer number of
    times larger than the input. If an output pixel depends on input pixels at most `overlap` / 2 away, the tile with the larger
    weight at this pixel contains all of them.
    """
    carried: Tensor | None = None  # the weighted rows that the next band of tiles overlaps
    bands = tile_ranges(height, tile_size, overlap)
    for number, (top, bottom) in enumerate(bands):
        band = _apply_to_band(function, read, top, bottom, tile_ranges(width, tile_size, overlap))
        scale = band.shape[2] // (bottom - top)
        if carried is not None:
            shared = carried.shape[2]
            weight = _ramp(shared).to(band)[:, None]
            band[:, :, :shared] = torch.lerp(carried, band[:, :, :shared], weight)
        is_last = number == len(bands) - 1
        kept = band.shape[2] - (0 if is_last else (bottom - bands[number + 1][0]) * scale)
        carried = band[:, :, kept:].clone()
        yield band[:, :, :kept]


def tile_ranges(length: int, tile_size: int, overlap: int) -> list[tuple[int, int]]:
    """Cover `length` with tiles of one size, each of which overlaps only the next one, by at least `overlap`."""
    if length <= tile_size:
        return [(0, length)]
    overlap = min(overlap, tile_size // 2)
    count = -(-(length - overlap) // (tile_size - overlap))
    starts = [round(index * (length - tile_size) / (count - 1)) for index in range(count)]
    return [(start, start + tile_size) for start in starts]


def _apply_to_band(
    function: Callable[[Tensor], Tensor],
    read: Callable[[int, int, int, int], Tensor],
    top: int,
    bottom: int,
    columns: list[tuple[int, int]],
) -> Tensor:
    parts: list[Tensor] = []
    carried: Tensor | None = None
    for number, (left, right) in enumerate(columns):
        tile = function(read(top, bottom, left, right)).float()
        scale = tile.shape[3] // (right - left)
        if carried is not None:
            shared = carried.shape[3]
            tile[..., :shared] = torch.lerp(carried, tile[..., :shared], _ramp(shared).to(tile))
        kept = tile.shape[3] - (0 if number == len(columns) - 1 else (right - columns[number + 1][0]) * scale)
        carried = tile[..., kept:].clone()
        parts.append(tile[..., :kept])
    return torch.cat(parts, dim=3)


def _ramp(length: int) -> Tensor:
    return (torch.arange(length) + 0.5) / length
