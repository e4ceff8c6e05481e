import pytest
import torch

from stylegan_lab.losses.losses import Losses
from stylegan_lab.precision import to_float32


def test_the_total_is_the_sum_of_losses_without_stats() -> None:
    losses = Losses({"x": torch.tensor(1.0), "y": torch.tensor(2.0)}, {"logits": torch.tensor(100.0)})
    assert losses.total() == 3


def test_two_losses_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name: x"):
        Losses({"x": torch.tensor(1.0)}) | Losses({"x": torch.tensor(2.0)})


def test_to_float32_converts_half_precision_and_keeps_float64() -> None:
    assert to_float32(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert to_float32(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
