"""Every model with every generator and discriminator: the pair is built, or refused with the choices that fit."""

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn

from stylegan_lab.cli.main import run
from stylegan_lab.config.instantiate import to_plain_container
from stylegan_lab.config.paths import CONF
from stylegan_lab.errors import UserError
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.run import Run
from stylegan_lab.training.checks import sanity_check, target_of_choice
from stylegan_lab.training.experiment import build_experiment, build_module, build_trainer, restore_module
from stylegan_lab.training.image_translator import pad_to_multiple
from stylegan_lab.training.loaded_model import load
from stylegan_lab.training.network_checks import check_networks_fit_model
from tests.refusals import assert_refused, refused


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


TIME_CONDITIONED = {"unsb", "unsb_small", "unsb_tiny"}
RESNETS = {"resnet6", "resnet9", "resnet9_antialiased", "resnet_small", "resnet_tiny"}
UNETS = {"unet128", "unet256", "unet32"}
IMAGE_TO_IMAGE = RESNETS | UNETS | {"johnson", "fast_neural_style"}
WITH_CLASSES = {
    "dcgan", "dcgan_small", "dcgan_projection", "dcgan_projection_small", "fully_connected", "r3gan", "r3gan_small",
    "stylegan2", "stylegan2_small", "wgan_gp_resnet",
}  # fmt: skip
NOISE_TO_IMAGE = WITH_CLASSES | {"cnn", "dcgan_7x7"}
GENERATORS = {
    "adain": {"adain_decoder"},
    "cgan": WITH_CLASSES,
    **dict.fromkeys(["cut", "fastcut"], RESNETS),
    "unsb": TIME_CONDITIONED,
    **dict.fromkeys(["cyclegan", "pix2pix", "johnson"], IMAGE_TO_IMAGE),
    "perceptual": IMAGE_TO_IMAGE | {"srresnet", "srresnet_small"},
    **dict.fromkeys(["multidomain", "stargan2"], RESNETS | UNETS | {"stargan2", "stargan2_small"}),
    **dict.fromkeys(["gan", "dcgan", "wgan", "wgan_gp", "sngan", "r3gan"], NOISE_TO_IMAGE),
    "progan": {"progan", "progan_small"},
    "stylegan2": {"stylegan2", "stylegan2_small"},
}
DOMAIN_DISCRIMINATORS = {"stargan2", "stargan2_small", "patch_domains", "patch_domains_small"}
PROGRESSIVE = {"progan", "progan_small"}
CLASS_DISCRIMINATORS = (WITH_CLASSES - {"dcgan_7x7"}) | {"sngan_resnet"}
UNCONDITIONAL = set(choices("discriminator")) - DOMAIN_DISCRIMINATORS - PROGRESSIVE - TIME_CONDITIONED
DISCRIMINATORS = {
    **dict.fromkeys(GENERATORS.keys() - {"adain", "johnson"}, UNCONDITIONAL),
    **dict.fromkeys(["multidomain", "stargan2"], UNCONDITIONAL | DOMAIN_DISCRIMINATORS),
    "unsb": TIME_CONDITIONED,
    "progan": PROGRESSIVE,
    "cgan": CLASS_DISCRIMINATORS,
}


@cache
def composed_once(*overrides: str) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", overrides=[*overrides, "features=untrained", "data.size=32"])


@cache
def generator_settings() -> DictConfig:
    """The settings of each generator, by the name of the choice. They are composed at once, since composing takes long."""
    return composed_once(*(f"+generator@generators.{choice}={choice}" for choice in choices("generator"))).generators


@cache
def model_settings(model: str) -> dict[str, Any]:
    """The settings of a model that decide which networks fit, read without composing its config."""
    found = OmegaConf.to_container(OmegaConf.load(CONF / "model" / f"{model}.yaml"))
    assert isinstance(found, dict)
    return {
        "_target_": target_of_choice("model", model, inherited=True),
        "classes": ["a"] if found.get("classes") else [],
    }


def config_with(model: str, generator: str | None = None) -> DictConfig:
    """A config of small networks. Choices are composed once and put together, since there are hundreds of pairs."""
    config = deepcopy(composed_once(f"model={model}"))
    if generator is not None:
        config.generator = deepcopy(generator_settings()[generator])
    for role in ("generator", "discriminator"):
        for key in {"channels", "max_channels"} & config[role].keys():
            config[role][key] = 16
    return config


def refusal(model: str, role: str, choice: str) -> UserError | None:
    """The error that refuses a pair, or None."""
    settings = {**model_settings(model), role: {"_target_": target_of_choice(role, choice, inherited=True)}}
    try:
        check_networks_fit_model(OmegaConf.create({"model": settings}), {"model": model, role: choice})
    except UserError as error:
        return error
    return None


@pytest.mark.parametrize("model", choices("model"))
@pytest.mark.parametrize(("role", "table"), [("generator", GENERATORS), ("discriminator", DISCRIMINATORS)])
def test_what_does_not_fit_is_refused_with_all_that_fits(model: str, role: str, table: dict[str, set[str]]) -> None:
    if model not in table:
        return  # a model without a discriminator
    answers = {choice: refusal(model, role, choice) for choice in choices(role)}
    assert {choice for choice, error in answers.items() if error is None} == table[model]
    for choice, error in answers.items():
        if error is not None:
            assert_refused(error.with_code(), "model.network_mismatch", f"{role}={choice} ", f"model={model} ")
            assert set(str(error).rpartition(": ")[2].split(", ")) == table[model]


# Every class of model once; the others differ from these in their defaults.
BUILT = ("adain", "cgan", "cut", "cyclegan", "gan", "multidomain", "perceptual", "progan", "stargan2", "stylegan2")


def built_pairs() -> list[tuple[str, str]]:
    """Every choice of a generator with one of these models, and every model with one choice of each class that fits it."""
    by_class, by_choice = {}, {}
    for model in BUILT:
        for choice in sorted(GENERATORS[model]):
            by_class.setdefault((model, target_of_choice("generator", choice, inherited=True)), (model, choice))
            by_choice.setdefault(choice, (model, choice))
    return sorted({*by_class.values(), *by_choice.values()})


@pytest.mark.parametrize(("model", "choice"), built_pairs())
def test_what_fits_is_built_and_runs(model: str, choice: str) -> None:
    config = config_with(model, generator=choice)
    if choice.startswith("srresnet"):
        config.model.paired = True
    if choice == "dcgan_7x7":
        config.data.size = 28
    module = build_module(config)
    factor = max(getattr(each, "factor", 1) for each in module.children())
    size = max(config.data.size, *(factor * getattr(each, "min_size", 1) for each in module.children()))
    sanity_check(module, SimpleNamespace(channels=config.data.channels, size=size, factor=factor))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        (["model=cyclegan", "generator=dcgan"], "resnet9"),
        (["model=dcgan", "generator=resnet9"], "dcgan_small"),
        (["model=adain", "generator=unet256"], "adain_decoder"),
        (["model=stargan2", "generator=johnson"], "stargan2_small"),
        (["model=gan", "discriminator=stargan2"], "fully_connected"),
        (["model=cgan", "discriminator=cnn"], "dcgan_projection"),
    ],
)
def test_the_command_line_refuses_them(overrides: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "logger=none", *overrides, "dry_run=true"]) == 2
    assert_refused(capsys.readouterr().err, "model.network_mismatch", overrides[1], named)


class OwnGenerator(PatchDiscriminator):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()


def test_classes_of_the_user_s_are_not_judged() -> None:
    config = config_with("dcgan")
    config.generator = OmegaConf.create({"_target_": f"{__name__}.OwnGenerator", "_partial_": True})
    check_networks_fit_model(config, {})
    config = config_with("dcgan", generator="resnet9")
    config.model._target_ = "somewhere.else.Model"
    check_networks_fit_model(config, {})


class Halving(nn.Module):
    """Like a network that forgets odd sizes: 34 pixels become 32."""

    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(3, 4, 4, 4), nn.ConvTranspose2d(4, 3, 4, 4)

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.up(self.down(image))
        return out


class Judging(nn.Module):
    """A discriminator for images of 32 pixels, which returns a tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 1))

    def forward(self, image: Tensor) -> Tensor:
        out: Tensor = self.layers(image)
        return out


def plain_networks(compose_config: Callable[..., DictConfig], *overrides: str) -> DictConfig:
    config = compose_config("experiment=smoke", "trust=[tests]", "logger=none", *overrides)
    config.generator, config.discriminator = (
        {"_target_": f"{__name__}.{name}", "_partial_": True} for name in ("Halving", "Judging")
    )
    return config


@pytest.mark.parametrize(
    ("overrides", "code", "names"),
    [
        (["data.size=34"], "model.output_size_mismatch", ["a_to_b (Halving)", "3x34x34", "3x32x32"]),
        (["data.size=64"], "network.forward_failed", ["discriminator_a (Judging)", "3x64x64"]),
        (["data.size=64", "model=perceptual"], "network.forward_failed", ["discriminator (Judging)", "3x64x64"]),
    ],
)
def test_a_network_that_cannot_take_the_data_s_size_is_named_before_training(
    overrides: list[str], code: str, names: list[str], compose_config: Callable[..., DictConfig]
) -> None:
    with refused(code, *names):
        build_experiment(plain_networks(compose_config, *overrides), {})


def test_plain_networks_train_and_translate(compose_config: Callable[..., DictConfig], tmp_path: Path) -> None:
    """Networks without this package's attributes, and a discriminator without its output type."""
    config = plain_networks(
        compose_config, "loss=wgan_gp", "iterations=2", "model.cycle_weight=1", f"output_dir={tmp_path}/run"
    )
    experiment = build_experiment(config, {})
    new_run = Run(tmp_path / "run")
    new_run.create()
    new_run.record_config(to_plain_container(config), [], describe_environment(1))
    build_trainer(experiment, new_run).fit(experiment.module, datamodule=experiment.data)
    module = restore_module(read_checkpoint(new_run.checkpoints / "last.ckpt"), trust=["tests"])
    image = torch.rand(1, 3, 64, 32)
    assert module.translate(pad_to_multiple(module, image)).shape == image.shape
    with refused("translate.size_unsupported", "Halving", "35x64", "multiple_of"):
        load(new_run.folder, trust=["tests"]).translate(torch.rand(3, 64, 35))


def test_a_model_without_ema_networks_is_trained(compose_config: Callable[..., DictConfig], tmp_path: Path) -> None:
    config = compose_config("experiment=smoke", "logger=none", "iterations=2", "callbacks.validation=null",
                      "callbacks.checkpointing.monitor=null", "trust=[tests]")  # fmt: skip
    config.model._target_ = f"{__name__}.WithoutAverages"
    experiment = build_experiment(config, {})
    new_run = Run(tmp_path / "run")
    new_run.create()
    new_run.record_config(to_plain_container(config), [], describe_environment(1))
    build_trainer(experiment, new_run).fit(experiment.module, datamodule=experiment.data)
    module = restore_module(read_checkpoint(new_run.checkpoints / "last.ckpt"), trust=["tests"])
    image = torch.rand(1, 3, 32, 32)
    assert module.iteration == 2 and module.translate(pad_to_multiple(module, image)).shape == image.shape


class WithoutAverages(CycleGAN):
    ema_networks = ()
