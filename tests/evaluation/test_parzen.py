"""Parzen windows against the mixture of Gaussians that they are."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from stylegan_lab.evaluation import parzen
from stylegan_lab.evaluation.parzen import WIDTHS, log_densities, log_likelihood


def pictures(count: int, seed: int, spread: float = 1.0) -> Tensor:
    return 0.5 + spread * (torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) - 0.5)


def test_densities_are_those_of_a_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parzen, "AT_ONCE", 3)
    made, real = pictures(9, 0), pictures(7, 1)
    ours = log_densities(made, real, [0.1, 0.5])
    for place, width in enumerate([0.1, 0.5]):
        around = Independent(Normal(made.double().flatten(1), width), 1)
        mixture = MixtureSameFamily(Categorical(torch.ones(9, dtype=torch.float64)), around)
        torch.testing.assert_close(ours[:, place], mixture.log_prob(real.double().flatten(1)))


def test_the_width_is_the_likeliest_of_one_half_and_the_score_is_of_the_other() -> None:
    made, chosen, scored = pictures(50, 0), pictures(20, 1, spread=0.2), pictures(20, 2)
    real = torch.stack([chosen, scored], dim=1).flatten(0, 1)
    means = log_densities(made, chosen, WIDTHS).mean(dim=0)
    width = WIDTHS[means.argmax()]
    assert 0.1 < width < 1, "neither end of those tried"
    assert log_likelihood(made, real) == pytest.approx(float(log_densities(made, scored, [width]).mean()))
