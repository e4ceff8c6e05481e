import pytest
import torch

from stylegan_lab.losses.terms import Terms, precise


def test_the_total_is_the_sum_of_the_losses_and_not_of_the_notes() -> None:
    terms = Terms({"x": torch.tensor(1.0), "y": torch.tensor(2.0)}, {"logits": torch.tensor(100.0)})
    assert terms.total() == 3


def test_two_losses_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name: x"):
        Terms({"x": torch.tensor(1.0)}) | Terms({"x": torch.tensor(2.0)})


def test_precise_raises_halves_and_keeps_doubles() -> None:
    assert precise(torch.ones(1, dtype=torch.bfloat16)).dtype == torch.float32
    assert precise(torch.ones(1, dtype=torch.float64)).dtype == torch.float64
