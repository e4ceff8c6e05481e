"""Penalties beside closed forms: of a linear critic the gradient is its weight, everywhere."""

from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.losses.constraints import WeightClipping
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import LeastSquares, Wasserstein
from stylegan_lab.losses.penalties import R1, R2, GradientPenalty, Penalty
from stylegan_lab.modules.cyclegan import CycleGAN
from stylegan_lab.modules.schedules import Constant
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator
from stylegan_lab.nets.verdict import Verdict

REAL, FAKE = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
WEIGHT = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(1)).requires_grad_(True)


def linear(images: Tensor) -> Verdict:
    return Verdict(((images * WEIGHT).flatten(1).sum(1, keepdim=True),))


def test_r1_and_r2_of_a_linear_critic_are_half_its_squared_weight() -> None:
    expected = 7.0 / 2 * WEIGHT.square().sum()
    assert torch.allclose(R1(7.0)(linear, REAL, FAKE), expected)
    assert torch.allclose(R2(7.0)(linear, REAL, FAKE), expected)


def test_gradient_penalty_of_a_linear_critic_is_its_norm_s_distance_from_1() -> None:
    assert torch.allclose(GradientPenalty(3.0)(linear, REAL, FAKE), 3.0 * (WEIGHT.norm() - 1).square())


def test_r1_looks_at_reals_and_r2_at_fakes() -> None:
    def quadratic(images: Tensor) -> Verdict:
        return Verdict((images.square().flatten(1).sum(1, keepdim=True) / 2,))

    assert torch.allclose(R1(2.0)(quadratic, REAL, FAKE), REAL.square().flatten(1).sum(1).mean())
    assert torch.allclose(R2(2.0)(quadratic, REAL, FAKE), FAKE.square().flatten(1).sum(1).mean())


def test_gradient_penalty_does_not_shrink_with_the_number_of_patches() -> None:
    """Averaged over a patch critic's logits, as if it had one."""

    def patches(images: Tensor) -> Verdict:
        return Verdict((linear(images).logits[0][:, :, None, None].expand(-1, -1, 5, 5),))

    assert torch.allclose(GradientPenalty()(patches, REAL, FAKE), GradientPenalty()(linear, REAL, FAKE), rtol=1e-4)


@pytest.mark.parametrize("penalty", [GradientPenalty, R1, R2])
def test_lazy_penalties_weigh_the_same_in_the_long_run(penalty: type[R1]) -> None:
    lazy = Contest(Wasserstein(), {"p": penalty(5.0, every=4)})
    eager = Contest(Wasserstein(), {"p": penalty(5.0, every=1)})

    def total(contest: Contest) -> Tensor:
        taken = [contest.critic(linear, REAL, FAKE, iteration).losses.get("p") for iteration in range(1, 9)]
        return torch.stack([each for each in taken if each is not None]).sum()

    assert torch.allclose(total(lazy), total(eager))


@pytest.mark.parametrize("penalty", [GradientPenalty(), R1(), R2()], ids=["gradient_penalty", "r1", "r2"])
def test_penalties_change_gradients_in_translation_too(penalty: Penalty) -> None:
    def critic_gradient(contest: Contest) -> Tensor:
        torch.manual_seed(0)
        module = CycleGAN(
            partial(ResNetTranslator, channels=4, blocks=1),
            partial(PatchCritic, channels=4, layers=2),
            contest,
            partial(torch.optim.Adam, lr=1e-3),
            Constant(),
        )
        images = torch.randn(4, 2, 3, 16, 16)
        module.critic_terms(*images).total().backward()
        return torch.cat([parameter.grad.flatten() for parameter in module.critic_a.parameters()])  # type: ignore[union-attr]

    plain = critic_gradient(Contest(LeastSquares()))
    penalised = critic_gradient(Contest(LeastSquares(), {"p": penalty}))
    assert (plain - penalised).abs().max() > 1e-3 * plain.abs().max()


def test_a_penalty_that_is_none_is_left_out() -> None:
    assert not Contest(LeastSquares(), {"r1": None}).penalties


def test_clipping_keeps_every_weight_within_its_limit() -> None:
    critic = nn.Linear(10, 10)
    WeightClipping(0.01)(critic)
    assert max(float(weight.detach().abs().max()) for weight in critic.parameters()) == pytest.approx(0.01)


def test_generators_play_once_after_so_many_critic_turns() -> None:
    contest = Contest(Wasserstein(), critic_turns=5)
    assert [i for i in range(1, 16) if contest.generators_play(i)] == [5, 10, 15]
