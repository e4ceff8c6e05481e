"""Parzen windows against torch's mixture of Gaussians."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from stylegan_lab.evaluation import parzen
from stylegan_lab.evaluation.parzen import WIDTHS, log_likelihood, parzen_log_densities


def random_images(count: int, seed: int, spread: float = 1.0) -> Tensor:
    return 0.5 + spread * (torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(seed)) - 0.5)


def test_densities_are_those_of_a_mixture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parzen, "CHUNK_SIZE", 3)
    generated, real = random_images(9, 0), random_images(7, 1)
    densities = parzen_log_densities(generated, real, [0.1, 0.5])
    for index, width in enumerate([0.1, 0.5]):
        kernels = Independent(Normal(generated.double().flatten(1), width), 1)
        mixture = MixtureSameFamily(Categorical(torch.ones(9, dtype=torch.float64)), kernels)
        torch.testing.assert_close(densities[:, index], mixture.log_prob(real.double().flatten(1)))


def test_the_width_is_chosen_on_one_half_and_the_score_is_of_the_other() -> None:
    generated, chosen, scored = random_images(50, 0), random_images(20, 1, spread=0.2), random_images(20, 2)
    real = torch.stack([chosen, scored], dim=1).flatten(0, 1)
    means = parzen_log_densities(generated, chosen, WIDTHS).mean(dim=0)
    width = WIDTHS[means.argmax()]
    assert 0.1 < width < 1, "neither the smallest nor the largest"
    assert log_likelihood(generated, real) == pytest.approx(
        float(parzen_log_densities(generated, scored, [width]).mean())
    )
