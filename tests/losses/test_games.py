"""Each game's losses and gradients beside their closed forms."""

import math

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.games import Game, Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein
from stylegan_lab.nets.verdict import Verdict


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def judge(images: Tensor) -> Verdict:
    """Says of an image what it is: its own values are the logits."""
    return Verdict((images,))


# For one real logit r and one fake logit f: the critic's loss and its slopes in r and f; the generator's and its slope in f.
R, F = 0.3, -0.6
CLOSED = {
    "lsgan": (LeastSquares(), ((R - 1) ** 2 + F**2) / 2, R - 1, F, (F - 1) ** 2, 2 * (F - 1)),
    "nonsaturating": (
        NonSaturating(),
        softplus(-R) + softplus(F),
        -sigmoid(-R),
        sigmoid(F),
        softplus(-F),
        -sigmoid(-F),
    ),
    "hinge": (Hinge(), (1 - R) + (1 + F), -1.0, 1.0, -F, -1.0),
    "wasserstein": (Wasserstein(), F - R, -1.0, 1.0, -F, -1.0),
    "relativistic": (
        Relativistic(),
        softplus(F - R),
        -sigmoid(F - R),
        sigmoid(F - R),
        softplus(R - F),
        -sigmoid(R - F),
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_values_and_gradients_are_the_closed_forms(name: str) -> None:
    game, critic, slope_real, slope_fake, generator, slope_generated = CLOSED[name]
    real, fake = torch.full((1, 1, 1, 1), R, requires_grad=True), torch.full((1, 1, 1, 1), F, requires_grad=True)
    loss = game.critic(judge, real, fake).total()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(critic, rel=1e-6)
    assert (float(real.grad), float(fake.grad)) == pytest.approx((slope_real, slope_fake), rel=1e-6)  # type: ignore[arg-type]
    fake.grad = None
    loss = game.generator(judge, real.detach(), fake).total()
    loss.backward()
    assert float(loss.detach()) == pytest.approx(generator, rel=1e-6)
    assert float(fake.grad) == pytest.approx(slope_generated, rel=1e-6)  # type: ignore[arg-type]


def test_hinge_rests_beyond_the_margin() -> None:
    real, fake = torch.full((1, 1), 1.5, requires_grad=True), torch.full((1, 1), -1.5, requires_grad=True)
    loss = Hinge().critic(judge, real, fake).total()
    loss.backward()
    assert float(loss.detach()) == 0 and not real.grad.any() and not fake.grad.any()  # type: ignore[union-attr]


@pytest.mark.parametrize("game", [each[0] for each in CLOSED.values()], ids=list(CLOSED))
def test_patches_are_averaged_and_scales_are_added(game: Game) -> None:
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 4, 4), torch.randn(2, 1, 4, 4)
    once = game.critic(judge, real, fake).total()
    tiled = game.critic(judge, real.repeat(1, 1, 3, 3), fake.repeat(1, 1, 3, 3)).total()
    twice = game.critic(lambda images: Verdict((images, images)), real, fake).total()
    assert torch.allclose(once, tiled, atol=1e-6)
    assert torch.allclose(2 * once, twice, atol=1e-6)


@pytest.mark.parametrize("game", [each[0] for each in CLOSED.values()], ids=list(CLOSED))
def test_a_generator_is_better_off_where_its_fakes_look_more_real(game: Game) -> None:
    real = torch.zeros(1, 1)
    assert (
        game.generator(judge, real, torch.full((1, 1), 0.5)).total()
        < game.generator(judge, real, -torch.ones(1, 1)).total()
    )


def test_losses_of_half_precision_logits_are_taken_in_float32() -> None:
    logits = torch.full((1, 1), 0.1, dtype=torch.bfloat16)
    assert LeastSquares().generator(judge, logits, logits).total().dtype == torch.float32
