"""The family of plain GANs: whose turn it is, what is demanded of discriminators, and what each turn moves."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.losses.gan_loss import AdversarialLoss, WassersteinLoss
from stylegan_lab.losses.n_critic import WGANSchedule
from stylegan_lab.losses.regularizers import GradientPenalty
from stylegan_lab.models.generation.gan import GAN
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.rng import BatchPosition, batch_position
from stylegan_lab.training.experiment import build_experiment
from tests.refusals import refused

Composed = Callable[..., DictConfig]
ONE_TURN = "loss.n_critic=1"
MODELS = {
    "gan": ["model=gan"],
    "dcgan": ["model=dcgan"],
    "dcgan, 7x7": ["model=dcgan", "generator=dcgan_7x7", "discriminator=dcgan_7x7"],
    "wgan": ["model=wgan", ONE_TURN],
    "wgan_gp": ["model=wgan_gp", ONE_TURN],
    "wgan_gp, convolutional": ["model=wgan_gp", ONE_TURN, "generator=cnn", "discriminator=cnn"],
    "sngan": ["model=sngan", ONE_TURN],
    "sngan, by class": ["model=sngan", ONE_TURN, "model.classes=${data.classes}"],
    "cgan": ["model=cgan"],
    "cgan, beside": ["model=cgan", "generator=dcgan", "discriminator=dcgan"],
    "cgan, first": ["model=cgan", "generator=fully_connected", "discriminator=fully_connected"],
    "lsgan": ["model=dcgan", "loss=lsgan"],
}


@pytest.fixture
def model(compose_config: Composed) -> Callable[..., GAN]:
    def build_model(*overrides: str, size: int = 16) -> GAN:
        module: Any = build_experiment(
            compose_config("experiment=smoke_generation", f"data.size={size}", *overrides), {}
        ).module
        module.manual_backward = lambda loss: loss.backward()
        module._lightning_optimizer = lambda player: player.optimizer
        module._without_ddp_sync = torch.enable_grad  # outside of a trainer
        module.iteration = 1
        gan: GAN = module
        return gan

    return build_model


def batch(count: int = 4, size: int = 16) -> Any:
    return {"image": torch.rand(count, 1, size, size) * 2 - 1, "label": torch.arange(count) % 10}


def weights(module: GAN) -> dict[str, Tensor]:
    return {
        player.name: torch.cat([parameter.detach().flatten().clone() for parameter in player.parameters()])
        for player in module.players
    }


@pytest.mark.parametrize("name", MODELS)
def test_each_step_updates_one_player(name: str, model: Callable[..., GAN]) -> None:
    module = model(*MODELS[name])
    start = weights(module)
    real, condition = batch()["image"], module.condition(batch())
    module.optimize_discriminators(module.discriminators, module.discriminator_losses, real, condition)
    between = weights(module)
    assert torch.equal(start["generator"], between["generator"]) and not torch.equal(
        start["discriminator"], between["discriminator"]
    )
    module.optimize(module.generators, module.generator_losses, real, condition)
    end = weights(module)
    assert torch.equal(between["discriminator"], end["discriminator"]) and not torch.equal(
        between["generator"], end["generator"]
    )


def test_wgan_s_weights_are_within_bounds_from_the_beginning_and_after_each_step(model: Callable[..., GAN]) -> None:
    module = model("model=wgan", "optimizer.lr=0.1")
    for module.iteration in range(1, 4):
        assert max(float(each.detach().abs().max()) for each in module.discriminator.parameters()) <= 0.01 + 1e-9
        module.training_step(batch(), 0)
    assert max(float(each.detach().abs().max()) for each in module.discriminator.parameters()) <= 0.01 + 1e-9


def published_generator_steps(iterations: int) -> list[int]:
    """Arjovsky et al.'s loop: the numbers of the discriminator steps that a generator step follows on."""
    steps, generator_steps, now = list[int](), 0, 0
    while now < iterations:
        now += 100 if generator_steps < 25 or generator_steps % 500 == 0 else 5
        generator_steps += 1
        steps.append(now)
    return steps


def test_wgan_schedule_is_the_published_one(model: Callable[..., GAN]) -> None:
    schedule = WGANSchedule()
    assert [i for i in range(1, 12_001) if schedule(i)] == [i for i in published_generator_steps(12_000) if i <= 12_000]
    assert isinstance(model("model=wgan").adversarial_loss.is_generator_step, WGANSchedule)
    assert model("model=wgan", "loss.n_critic=3").adversarial_loss.is_generator_step(3)
    with refused("config.too_small", "loss.n_critic=0"):
        AdversarialLoss(WassersteinLoss(), n_critic=0)


def test_the_wgan_schedule_depends_on_the_iteration_only() -> None:
    """So that a resumed training continues as if it had never stopped."""
    schedule = WGANSchedule(n_critic=2, warmup_n_critic=6, warmup_steps=3, warmup_every=7)
    steps = [i for i in range(1, 200) if schedule(i)]
    assert steps[:8] == [6, 12, 18, 20, 22, 24, 26, 32]
    assert [i for i in range(199, 0, -1) if schedule(i)] == steps[::-1]


def test_the_gradient_penalty_of_a_unit_slope_is_zero() -> None:
    direction = torch.randn(1, 3, 8, 8)
    direction /= direction.norm()

    def discriminator(image: Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput(((image * direction).flatten(1).sum(1, keepdim=True),))

    real, fake = torch.randn(4, 3, 8, 8), torch.randn(4, 3, 8, 8)
    assert float(GradientPenalty()(discriminator, real, fake)) == pytest.approx(0, abs=1e-8)
    twice = GradientPenalty()(lambda image: discriminator(2 * image), real, fake)
    assert float(twice) == pytest.approx(10, rel=1e-5)


def test_fakes_per_real_multiplies_the_images_of_a_generator_step(model: Callable[..., GAN]) -> None:
    module = model("model=cgan", "model.fakes_per_real=3")
    shown: list[tuple[int, int]] = []
    module.discriminator.register_forward_hook(lambda _, given, __: shown.append((len(given[0]), len(given[1]))))
    module.training_step(batch(), 0)
    assert shown == [(4, 4), (4, 4), (12, 12)]


def test_ranks_and_micro_batches_draw_the_same_images_of_the_same_classes(model: Callable[..., GAN]) -> None:
    """All `per_image` latents of an image go with the image."""
    module = model("model=gan")
    with batch_position(BatchPosition(0, 1)):
        full = module.sample_latents(4, per_image=2).unflatten(0, (4, 2))
    with batch_position(BatchPosition(0, 1, rank=1, world_size=2)):
        second = module.sample_latents(2, per_image=2).unflatten(0, (2, 2))
    with batch_position(BatchPosition(0, 1, micro_batch=1, micro_batches=2)):
        later = module.sample_latents(2, per_image=2).unflatten(0, (2, 2))
    assert torch.equal(second, full[1::2]) and torch.equal(later, full[1::2])


def test_dequantization_fills_the_step_between_two_levels(model: Callable[..., GAN]) -> None:
    module, real = model("model=wgan_gp"), batch(32)["image"]
    added = module.dequantize(real) - real
    assert float(added.min()) >= 0 and float(added.max()) <= 1 / 128 + 1e-6
    assert float(added.mean()) == pytest.approx(1 / 256, rel=0.1)
    plain = model("model=gan")
    assert plain.dequantize(real) is real


def test_discriminators_get_dequantized_images(model: Callable[..., GAN], monkeypatch: pytest.MonkeyPatch) -> None:
    module, met, given = model("model=wgan_gp"), [], batch()
    loss = module.adversarial_loss.discriminator_loss
    monkeypatch.setattr(
        module.adversarial_loss,
        "discriminator_loss",
        lambda discriminator, real, *more: met.append(real) or loss(discriminator, real, *more),
    )
    module.training_step(given, 0)
    added = met[0] - given["image"]
    assert float(added.min()) > 0 and float(added.max()) <= 1 / 128 + 1e-6


@pytest.mark.parametrize("models", ["cgan", "sngan, by class"])
def test_a_step_trains_the_classes_of_its_batch_only(models: str, model: Callable[..., GAN]) -> None:
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


def test_spectral_norm_follows_each_step_of_its_discriminator(model: Callable[..., GAN]) -> None:
    module = model("model=sngan", "optimizer.lr=0.01", ONE_TURN)
    left = {name: value.clone() for name, value in module.discriminator.named_buffers()}
    module.training_step(batch(), 0)
    assert left and all(
        not torch.equal(value, left[name]) for name, value in module.discriminator.named_buffers() if value.numel() > 1
    )


def test_networks_without_classes_are_refused_for_a_conditional_model(compose_config: Composed) -> None:
    with refused("model.network_mismatch", "generator=StandardCNNGenerator", "model.classes"):
        build_experiment(compose_config("experiment=smoke_generation", "model=cgan", "generator=cnn"), {})
