"""The family of plain GANs: whose turn it is, what is demanded of critics, and what each turn moves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.experiment import build
from stylegan_lab.losses.contest import Contest, WellAdvised
from stylegan_lab.losses.draws import Place, drawing
from stylegan_lab.losses.games import Wasserstein
from stylegan_lab.losses.penalties import GradientPenalty
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.gan import GAN
from stylegan_lab.nets.verdict import Verdict

Composed = Callable[..., DictConfig]
ONE_TURN = "loss.critic_turns=1"
MODELS = {
    "gan": ["model=gan"],
    "dcgan": ["model=dcgan"],
    "dcgan, 7x7": ["model=dcgan", "generator=dcgan_7x7", "adversary=dcgan_7x7"],
    "wgan": ["model=wgan", ONE_TURN],
    "wgan_gp": ["model=wgan_gp", ONE_TURN],
    "wgan_gp, convolutional": ["model=wgan_gp", ONE_TURN, "generator=convolutional", "adversary=convolutional"],
    "sngan": ["model=sngan", ONE_TURN],
    "sngan, by class": ["model=sngan", ONE_TURN, "model.classes=${data.classes}"],
    "cgan": ["model=cgan"],
    "cgan, beside": ["model=cgan", "generator=dcgan", "adversary=dcgan"],
    "cgan, first": ["model=cgan", "generator=fully_connected", "adversary=fully_connected"],
    "lsgan": ["model=dcgan", "loss=lsgan"],
}


@pytest.fixture
def model(composed: Composed) -> Callable[..., GAN]:
    def of(*overrides: str, size: int = 16) -> GAN:
        module: Any = build(composed("experiment=smoke", f"data.size={size}", *overrides), {}).module
        module.manual_backward = lambda loss: loss.backward()
        module._lightning_optimizer = lambda player: player.optimizer
        module._alone = torch.enable_grad  # outside of a trainer
        module.iteration = 1
        gan: GAN = module
        return gan

    return of


def batch(count: int = 4, size: int = 16) -> Any:
    return {"image": torch.rand(count, 1, size, size) * 2 - 1, "label": torch.arange(count) % 10}


def weights(module: GAN) -> dict[str, Tensor]:
    return {
        player.name: torch.cat([parameter.detach().flatten().clone() for parameter in player.parameters()])
        for player in module.players
    }


@pytest.mark.parametrize("name", MODELS)
def test_each_turn_moves_its_player_alone(name: str, model: Callable[..., GAN]) -> None:
    module = model(*MODELS[name])
    start = weights(module)
    real, condition = batch()["image"], module.condition(batch())
    module.descend_critics(module.critics, module.critic_terms, real, condition)
    between = weights(module)
    assert torch.equal(start["generator"], between["generator"]) and not torch.equal(start["critic"], between["critic"])
    module.descend(module.generators, module.generator_terms, real, condition)
    end = weights(module)
    assert torch.equal(between["critic"], end["critic"]) and not torch.equal(between["generator"], end["generator"])


def test_wgan_s_weights_are_within_bounds_from_the_beginning_and_after_each_step(model: Callable[..., GAN]) -> None:
    module = model("model=wgan", "optimizer.lr=0.1")
    for module.iteration in range(1, 4):
        assert max(float(each.detach().abs().max()) for each in module.critic.parameters()) <= 0.01 + 1e-9
        module.training_step(batch(), 0)
    assert max(float(each.detach().abs().max()) for each in module.critic.parameters()) <= 0.01 + 1e-9


def published(iterations: int) -> list[int]:
    """Arjovsky et al.'s loop: the numbers of the critic steps that a generator step follows on."""
    steps, generator_steps, now = list[int](), 0, 0
    while now < iterations:
        now += 100 if generator_steps < 25 or generator_steps % 500 == 0 else 5
        generator_steps += 1
        steps.append(now)
    return steps


def test_wgan_s_critic_is_given_the_turns_that_were_published(model: Callable[..., GAN]) -> None:
    turns = WellAdvised()
    assert [i for i in range(1, 12_001) if turns(i)] == [i for i in published(12_000) if i <= 12_000]
    assert isinstance(model("model=wgan").contest.generators_play, WellAdvised)
    assert model("model=wgan", "loss.critic_turns=3").contest.generators_play(3)
    with pytest.raises(Mistake, match=r"loss.critic_turns=0: at least 1 is expected"):
        Contest(Wasserstein(), critic_turns=0)


def test_whose_turn_it_is_depends_on_the_iteration_alone() -> None:
    """So that a resumed training asks as one that was never stopped."""
    turns = WellAdvised(turns=2, many=6, first=3, again=7)
    asked = [i for i in range(1, 200) if turns(i)]
    assert asked[:8] == [6, 12, 18, 20, 22, 24, 26, 32]
    assert [i for i in range(199, 0, -1) if turns(i)] == asked[::-1]


def test_the_gradient_penalty_of_a_unit_slope_is_zero() -> None:
    direction = torch.randn(1, 3, 8, 8)
    direction /= direction.norm()

    def judge(image: Tensor) -> Verdict:
        return Verdict(((image * direction).flatten(1).sum(1, keepdim=True),))

    real, fake = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    assert float(GradientPenalty()(judge, real, fake)) == pytest.approx(0, abs=1e-8)
    twice = GradientPenalty()(lambda image: judge(2 * image), real, fake)
    assert float(twice) == pytest.approx(10, rel=1e-5)


def test_a_generator_s_turn_may_have_more_pictures_than_the_critic_s(model: Callable[..., GAN]) -> None:
    module = model("model=cgan", "model.fakes_per_real=3")
    shown: list[tuple[int, int]] = []
    module.critic.register_forward_hook(lambda _, given, __: shown.append((len(given[0]), len(given[1]))))
    module.training_step(batch(), 0)
    assert shown == [(4, 4), (4, 4), (12, 12)]


def test_ranks_and_parts_draw_the_same_pictures_of_the_same_classes(model: Callable[..., GAN]) -> None:
    """`each` of a picture's latents goes with the picture."""
    module = model("model=gan")
    with drawing(Place(0, 1)):
        whole = module.latents(4, each=2).unflatten(0, (4, 2))
    with drawing(Place(0, 1, rank=1, ranks=2)):
        second = module.latents(2, each=2).unflatten(0, (2, 2))
    with drawing(Place(0, 1, part=1, parts=2)):
        later = module.latents(2, each=2).unflatten(0, (2, 2))
    assert torch.equal(second, whole[1::2]) and torch.equal(later, whole[2:])


def test_dequantisation_fills_the_step_between_two_levels(model: Callable[..., GAN]) -> None:
    module, real = model("model=wgan_gp"), batch(32)["image"]
    added = module.dequantised(real) - real
    assert float(added.min()) >= 0 and float(added.max()) <= 1 / 128 + 1e-6
    assert float(added.mean()) == pytest.approx(1 / 256, rel=0.1)
    plain = model("model=gan")
    assert plain.dequantised(real) is real


def test_critics_are_shown_dequantised_pictures(model: Callable[..., GAN], monkeypatch: pytest.MonkeyPatch) -> None:
    module, met, given = model("model=wgan_gp"), [], batch()
    critic = module.contest.critic
    monkeypatch.setattr(
        module.contest, "critic", lambda judge, real, *more: met.append(real) or critic(judge, real, *more)
    )
    module.training_step(given, 0)
    added = met[0] - given["image"]
    assert float(added.min()) > 0 and float(added.max()) <= 1 / 128 + 1e-6


@pytest.mark.parametrize("models", ["cgan", "sngan, by class"])
def test_a_step_teaches_the_classes_that_were_asked_for_alone(models: str, model: Callable[..., GAN]) -> None:
    module = model(*MODELS[models], "optimizer=sgd")
    rows = [
        (name, parameter.detach().clone()) for name, parameter in module.generator.named_parameters() if "scale" in name
    ]
    given = batch()
    given["label"] = torch.tensor([2, 2, 5, 5])
    module.training_step(given, 0)
    now = dict(module.generator.named_parameters())
    assert rows
    for name, before in rows:
        moved = (now[name].detach() != before).any(dim=1)
        assert moved.tolist() == [label in (2, 5) for label in range(10)]


def test_spectral_norm_follows_each_step_of_its_critic(model: Callable[..., GAN]) -> None:
    module = model("model=sngan", "optimizer.lr=0.01", ONE_TURN)
    left = {name: value.clone() for name, value in module.critic.named_buffers()}
    module.training_step(batch(), 0)
    assert left and all(
        not torch.equal(value, left[name]) for name, value in module.critic.named_buffers() if value.numel() > 1
    )


def test_nets_that_cannot_be_told_a_class_say_so(composed: Composed) -> None:
    with pytest.raises(Mistake, match=r"ConvolutionalGenerator cannot be told a class"):
        build(composed("experiment=smoke", "model=cgan", "generator=convolutional"), {})
