"""Terms that a config adds to a model's losses: where they are computed, what they are given, what they change."""

from collections.abc import Callable
from functools import partial
from typing import Any

import lightning as L
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.images.batch import DomainBatch, ImageBatch, LabelledBatch
from stylegan_lab.losses.extra import ExtraLosses
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.models.base import BaseModel
from tests.models.test_base import small, weights
from tests.refusals import refused

IMAGES = ("fake", "input", "real")


class Distance:
    """The L1 distance of the images to their inputs."""

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, fake: Tensor, input: Tensor) -> Tensor:
        return self.weight * (fake - input).abs().mean()


class Brightness(nn.Module):
    """A module with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0))

    def forward(self, fake: Tensor, *, real: Tensor, margin: float = 0.1) -> Tensor:
        brighter: Tensor = (self.scale * (fake.mean() - real.mean()) - margin).square()
        return brighter


TRANSLATION, GENERATION = "experiment=smoke", "experiment=smoke_generation"
VARIANTS = {
    "CycleGAN": ([TRANSLATION], {"generators_a_edge", "generators_b_edge"}),
    "pix2pix": ([TRANSLATION, "model=pix2pix"], {"generators_edge"}),
    "CUT": ([TRANSLATION, "model=cut", "model.nce_channels=4", "model.nce_patches=8"], {"generators_edge"}),
    "FastCUT": ([TRANSLATION, "model=fastcut", "model.nce_channels=4", "model.nce_patches=8"], {"generators_edge"}),
    "UNSB": (
        [TRANSLATION, "model=unsb", "generator=unsb_tiny", "discriminator=unsb_tiny", "model.nce_patches=8"],
        {"generators_edge"},
    ),
    "perceptual": ([TRANSLATION, "model=perceptual"], {"generators_edge"}),
    "multidomain": ([TRANSLATION, "model=multidomain"], {"generators_edge"}),
    "StarGAN v2": ([TRANSLATION, "model=stargan2"], {"generators_latent_edge", "generators_reference_edge"}),
    "Johnson": ([TRANSLATION, "model=johnson"], {"generators_edge"}),
    "AdaIN": ([TRANSLATION, "model=adain", "generator=adain_decoder", "generator.width=0.1"], {"generators_edge"}),
    "DCGAN": ([GENERATION], {"generator_edge"}),
    "ProGAN": ([GENERATION, "model=progan", "generator.max_channels=4", "discriminator.max_channels=4"], {"generator_edge"}),
    "StyleGAN2": (
        [GENERATION, "model=stylegan2", "generator.max_channels=4", "discriminator.max_channels=4", "generator.w_dim=8"],
        {"generator_edge"},
    ),
}  # fmt: skip


def batch_of(model: BaseModel, channels: int) -> dict[str, Tensor]:
    torch.manual_seed(1)
    images = {name: torch.rand(2, channels, 32, 32) * 2 - 1 for name in ("a", "b", "other", "image")}
    labels = {"source": torch.tensor([0, 1]), "target": torch.tensor([1, 0]), "label": torch.tensor([0, 1])}
    if model.batch_type in (ImageBatch, LabelledBatch):
        return {"image": images["image"], "label": labels["label"]}
    if model.batch_type is DomainBatch:
        return {**images, **labels}
    return {name: images[name] for name in ("a", "b")} | dict.fromkeys(model.extra_draws, images["other"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_computes_them_and_logs_them_by_name(
    variant: str, compose_config: Callable[..., DictConfig]
) -> None:
    overrides, expected = VARIANTS[variant]
    config = compose_config(
        *overrides, "+model.extra_losses.edge={_target_: tests.models.test_extra_losses.Brightness}"
    )
    model = instantiate(config.model, ["tests"])
    samples = [
        {name: value[index] for name, value in batch_of(model, config.data.channels).items()} for index in (0, 1)
    ]
    fit(model, samples, iterations=1)
    assert {name for name in model.latest_losses if name.endswith("edge")} == expected
    assert {f"loss/{name}" for name in expected} <= model.step_metrics().keys()
    scale = model.extra_losses.networks["edge"].scale
    assert float(scale) == 2 and scale.grad is None, "the term itself is not trained"


def fit(model: BaseModel, samples: list[dict[str, Tensor]], iterations: int, size: int = 2) -> None:
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=-1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[StopAtMaxIterations(iterations)],
    )  # fmt: skip
    trainer.fit(model, DataLoader(samples, batch_size=size))  # type: ignore[arg-type]


def samples(dtype: torch.dtype = torch.float32) -> list[dict[str, Tensor]]:
    torch.manual_seed(1)
    return [{name: torch.rand(3, 16, 16, dtype=dtype) * 2 - 1 for name in ("a", "b")} for _ in range(4)]


def test_a_weight_of_0_changes_no_bit() -> None:
    without, weighted = small(), small(extra_losses={"edge": Distance(0.0)})
    for model in (without, weighted):
        fit(model, samples(), iterations=3)
    assert torch.equal(weights(without), weights(weighted))


def test_the_gradient_is_that_of_the_term_added_by_hand() -> None:
    """Under SGD the difference of two steps is the rate times the gradient of the term."""
    sgd = partial(torch.optim.SGD, lr=0.1)
    without, extended = (build_sgd(sgd, extra) for extra in ({}, {"edge": Distance(2.0)}))
    data = samples(torch.float64)[:2]
    a, b = (torch.stack([sample[name] for sample in data]) for name in ("a", "b"))
    term = 2 * (without.a_to_b(a) - a).abs().mean() + 2 * (without.b_to_a(b) - b).abs().mean()
    parameters = list(without.generators.parameters())
    gradient = torch.cat([each.flatten() for each in torch.autograd.grad(term, parameters)])
    for model in (without, extended):
        fit(model, data, iterations=1)
    difference = weights(without.a_to_b, without.b_to_a) - weights(extended.a_to_b, extended.b_to_a)
    assert torch.allclose(difference, 0.1 * gradient, rtol=1e-9, atol=1e-14)
    assert float(gradient.norm()) > 0.01


def build_sgd(sgd: Any, extra: dict[str, Distance]) -> Any:
    model = small(extra_losses=extra).double()
    for player in model.players:
        player.optimizer = sgd(list(player.parameters()))
        player.optimizer.param_groups[0]["initial_lr"] = 0.1
    return model


def test_micro_batches_equal_the_whole_batch() -> None:
    whole, split = (build_sgd(partial(torch.optim.SGD, lr=0.1), {"edge": Distance(2.0)}) for _ in range(2))
    split.micro_batches = 2
    for model in (whole, split):
        model.pool_a.size = model.pool_b.size = 0
        fit(model, samples(torch.float64), iterations=2, size=4)
    assert float((weights(whole) - weights(split)).abs().max()) < 1e-12
    assert float(whole.latest_losses["generators_a_edge"]) == pytest.approx(
        float(split.latest_losses["generators_a_edge"])
    )


def test_a_function_is_given_the_images_that_it_names() -> None:
    images = Output(*(torch.full((1, 1), value) for value in (1.0, 2.0, 4.0)))

    def real_first(real: Tensor, fake: Tensor) -> Tensor:
        return (real - fake).sum()

    losses = ExtraLosses({"one": real_first, "none": None, "all": lambda fake, input, real: input.sum()}, IMAGES)
    computed = losses({"fake": images, "a_fake": images}).losses
    assert {name: float(loss) for name, loss in computed.items()} == {"one": 3, "all": 2, "a_one": 3, "a_all": 2}


@pytest.mark.parametrize(
    ("loss", "available", "named"),
    [
        (Distance(), ("fake", "real"), ["model.extra_losses.edge", "input", "fake, real"]),
        (nn.L1Loss(), IMAGES, ["model.extra_losses.edge", "target"]),
        (lambda real: real, IMAGES, ["model.extra_losses.edge", "fake"]),
    ],
)
def test_a_loss_that_takes_something_else_is_refused(loss: Any, available: tuple[str, ...], named: list[str]) -> None:
    with refused("loss.unknown_argument", *named):
        ExtraLosses({"edge": loss}, available)


def test_a_loss_that_is_no_scalar_is_refused() -> None:
    losses = ExtraLosses({"edge": lambda fake: fake}, IMAGES)
    with refused("loss.not_a_scalar", "model.extra_losses.edge", "(2, 3)"):
        losses({"fake": Output(torch.ones(2, 3))})


def test_prefixes_and_weights_keep_the_outputs() -> None:
    output = Output(torch.ones(1))
    losses = Losses({"gan": torch.ones(())}, outputs={"fake": output})
    assert losses.with_prefix("a").scaled(2).outputs.keys() == {"a_fake"}
    assert (Losses({"cycle": torch.ones(())}) | losses).outputs == {"fake": output}


def test_the_config_has_them(compose_config: Callable[..., DictConfig]) -> None:
    term = "{_target_: tests.models.test_extra_losses.Distance, weight: 2}"
    config = compose_config(TRANSLATION, f"+model.extra_losses.edge={term}")
    with refused("security.untrusted_package", "model.extra_losses.edge._target_="):
        instantiate(config.model, where="model")
    model = instantiate(config.model, ["tests"], "model")
    assert model.extra_losses.losses["edge"].weight == 2
    config = compose_config(TRANSLATION, f"+model.extra_losses.edge={term.replace('weight', 'wieght')}")
    with refused("config.unknown_setting", "model.extra_losses.edge.wieght"):
        instantiate(config.model, ["tests"], "model")
