"""Image grids."""

import torch
from PIL import Image

from stylegan_lab.images.grid import GAP, grid, split_cells


def test_a_grid_has_a_row_for_each_batch() -> None:
    assert grid([torch.zeros(3, 3, 8, 8)] * 2).shape == (3, 16 + GAP, 24 + 2 * GAP)


def test_a_grid_is_split_into_its_cells() -> None:
    cells = split_cells(Image.new("RGB", (24 + 2 * GAP, 16 + GAP)), rows=2, columns=3)
    assert [[cell.size for cell in row] for row in cells] == [[(8, 8)] * 3] * 2
