"""Path lengths beside closed forms: of a linear generator they are what its matrix makes of a random direction."""

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.path_length import PathLengthRegularizer, path_lengths

MATRIX = torch.randn(12, 5, generator=torch.Generator().manual_seed(1))


def linear(styles: Tensor) -> Tensor:
    """Of the sum over layers, which all mean the same."""
    return (styles.sum(dim=1) @ MATRIX.T).unflatten(1, (3, 2, 2))


def test_the_path_length_of_a_linear_generator_is_its_matrix_times_the_direction() -> None:
    styles = torch.randn(4, 3, 5, requires_grad=True)
    torch.manual_seed(0)
    lengths = path_lengths(linear, styles)
    torch.manual_seed(0)
    direction = torch.randn(4, 3, 2, 2).flatten(1) / 2  # by the root of its places
    assert torch.allclose(lengths, (direction @ MATRIX).norm(dim=1), rtol=1e-5)


def test_its_mean_square_is_the_matrix_s_norm_over_the_places() -> None:
    torch.manual_seed(0)
    lengths = path_lengths(linear, torch.randn(20_000, 1, 5, requires_grad=True))
    assert float(lengths.square().mean()) == pytest.approx(float(MATRIX.square().sum()) / 4, rel=0.02)


def test_the_length_does_not_depend_on_the_number_of_identical_layers() -> None:
    def lengths_for(layers: int) -> Tensor:
        torch.manual_seed(0)
        styles = torch.randn(4, layers, 5, requires_grad=True)
        torch.manual_seed(1)
        return path_lengths(linear, styles)

    assert torch.allclose(lengths_for(1), lengths_for(7), rtol=1e-5)


def test_the_penalty_is_zero_at_the_mean_length() -> None:
    paths = PathLengthRegularizer(weight=3.0, interval=4)
    assert paths.penalty(torch.full((2,), 1.5), torch.tensor(1.5)) == 0
    assert paths.penalty(torch.tensor([1.0, 2.0]), torch.tensor(1.5)) == 3 * 4 * 0.25
    assert [paths.is_due(iteration) for iteration in range(1, 5)] == [False, False, False, True]
    assert not PathLengthRegularizer(weight=0.0).is_due(4)
