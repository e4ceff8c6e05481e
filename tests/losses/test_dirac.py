"""The Dirac-GAN (Mescheder et al., 2018): a point plays a linear critic for a real point at 0. Theory says which games find it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import Game, NonSaturating, Relativistic, Wasserstein
from stylegan_lab.losses.penalties import R1, R2, GradientPenalty, Penalty
from stylegan_lab.nets.verdict import Verdict

STEP, STEPS = 0.05, 1000


def distances(game: Game, start: float = 1.0, **penalties: Penalty) -> Tensor:
    """From the equilibrium (0, 0), while point and slope move at once; both begin at `start`."""
    contest = Contest(game, penalties)
    theta, psi = (torch.full((1,), start, dtype=torch.float64, requires_grad=True) for _ in range(2))
    judge: Any = lambda image: Verdict((psi * image.flatten(1),))  # noqa: E731
    real = torch.zeros(1, 1, 1, 1, dtype=torch.float64)
    seen = []
    for iteration in range(STEPS):
        fake = theta.view(1, 1, 1, 1)
        (slope,) = torch.autograd.grad(contest.critic(judge, real, fake, iteration).total(), psi)
        (way,) = torch.autograd.grad(contest.generator(judge, real, fake).total(), theta)
        with torch.no_grad():
            psi -= STEP * slope
            theta -= STEP * way
        seen.append(torch.cat([theta, psi]).norm().detach())
    return torch.stack(seen)


@pytest.mark.parametrize("game", [NonSaturating(), Wasserstein(), Relativistic()], ids=lambda game: type(game).__name__)
def test_without_a_penalty_they_go_round_and_never_arrive(game: Game) -> None:
    """Near the equilibrium eigenvalues are imaginary: a circle, and with steps of finite length a slow spiral outwards."""
    start = 1e-3
    assert distances(game, start).min() > 0.99 * start * 2**0.5


@pytest.mark.parametrize("penalty", [R1(1.0), R2(1.0)], ids=["R1", "R2"])
@pytest.mark.parametrize("game", [NonSaturating(), Wasserstein(), Relativistic()], ids=lambda game: type(game).__name__)
def test_a_gradient_penalty_on_reals_or_fakes_leads_home(game: Game, penalty: Penalty) -> None:
    assert distances(game, penalty=penalty)[-1] < 1e-2


def test_the_penalty_of_wgan_gp_goes_round_in_the_end() -> None:
    """Its slope is pulled to 1, and the equilibrium has slope 0."""
    assert distances(Wasserstein(), penalty=GradientPenalty(1.0))[-200:].max() > 0.1


def test_the_rate_of_convergence_is_that_of_theory() -> None:
    """Wasserstein with R1 of weight g: eigenvalues -g/2 +- sqrt(g^2/4 - 1), so the distance falls as exp(-g t / 2) for g < 2."""
    seen = distances(Wasserstein(), r1=R1(1.0))
    rate = (seen[100] / seen[300]).log() / (200 * STEP)
    assert float(rate) == pytest.approx(0.5 - STEP / 2 * (1 - 0.5), abs=0.03)
