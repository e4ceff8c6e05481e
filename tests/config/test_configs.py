"""Every config is a test by being there: composed, resolved, bound to the signatures it feeds, built and checked."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import yaml
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from PIL import Image
from torch import nn

from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.training.experiment import build_experiment

CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
BUILT: dict[str, Any] = {"loss": AdversarialLoss, "discriminator": nn.Module, "schedule": Callable}  # by group
NOT_BOUND = {"_target_", "_partial_"}


GROUPS = sorted({path.name for path in CONF.iterdir() if path.is_dir()} - {"experiment"})


def targets(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if config.get("_target_", "???") != "???":  # that one is the user's own class
            yield config
        for value in config.values():
            yield from targets(value)


GENERATION_NETWORKS = {"cnn", "dcgan", "fully_connected", "progan", "r3gan", "stylegan2", "wgan_gp_resnet"}


def to_plain_container(config: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("group", sorted({*GROUPS} - {"data"}))
def test_keys_are_the_signature_they_feed(
    group: str, tmp_path: Path, compose_config: Callable[..., DictConfig]
) -> None:
    """All choices of a group are composed into one config, side by side."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    choices = config_choices(group)
    data = ("data=domains", f"data.root={tmp_path}", "+data.classes=[a,b]")
    config = compose_config(*data, *(f"+{group}@vars.{each}={each}" for each in choices))
    assert config.vars.keys() == set(choices)
    for each in choices:
        assert_keys_are_signatures(config.vars[each])
        if group in BUILT:
            built = instantiate(config.vars[each])
            assert isinstance(built() if isinstance(built, partial) else built, BUILT[group])


@pytest.mark.parametrize("choice", config_choices("data"))
def test_keys_of_data_are_the_signature_they_feed(choice: str, compose_config: Callable[..., DictConfig]) -> None:
    """In their place, since many of their keys are copied from others of the same data."""
    assert_keys_are_signatures(compose_config(f"data={choice}"), "data")


@pytest.mark.parametrize("group", [*GROUPS, "experiment"])
def test_choices_that_a_config_overrides_exist(group: str) -> None:
    for path in (CONF / group).glob("*.yaml"):
        defaults = (yaml.safe_load(path.read_text()) or {}).get("defaults", [])
        entries = [entry for default in defaults if isinstance(default, dict) for entry in default.items()]
        for key, choice in entries:
            if choice is not None and key.startswith("override /"):
                overridden = key.removeprefix("override /").split("@")[0]
                assert choice in config_choices(overridden), f"{path}: {key}: {choice}"


def assert_keys_are_signatures(composed: DictConfig, *keys: str) -> None:
    """Check the config, or only the part of it that the keys name."""
    whole = to_plain_container(composed)
    for config in targets({key: whole[key] for key in keys} if keys else whole):
        signature = inspect.signature(get_object(config["_target_"]))
        given = config.keys() - NOT_BOUND
        parameters = {name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD}
        if config.get("_partial_"):
            assert given <= parameters, config["_target_"]
        else:
            signature.bind(**dict.fromkeys(given))
        if config["_target_"].startswith("stylegan_lab."):
            filled_in = {"run"} | ({"weights"} if ".features." in config["_target_"] else set())
            filled_in |= {"condition_channels", "num_timesteps"} if ".networks." in config["_target_"] else set()
            filled_in |= {"in_channels", "n_upsample"} if ".adain_decoder." in config["_target_"] else set()
            filled_in |= {"domains"} if ".style_encoder." in config["_target_"] else set()
            if ".networks." in config["_target_"] and config["_target_"].split(".")[-2] in GENERATION_NETWORKS:
                filled_in |= {"latent_dim", "image_channels", "classes"}
            expected = parameters - filled_in
            assert given == expected, f"{config['_target_']}: a knob without a key, or a key without a knob"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A few pictures where each of the papers' data sets has its own."""
    root = tmp_path_factory.mktemp("datasets")
    unpaired = ["horse2zebra", "summer2winter_yosemite", "monet2photo", "facades_unpaired"]
    folders = {f"{name}/{split}{side}": (8, 8) for name in unpaired for split in ("train", "test") for side in "AB"}
    folders |= {f"{name}/{split}": (16, 8) for name in ("facades", "maps") for split in ("train", "val", "test")}
    folders |= {f"afhq/{split}/{animal}": (8, 8) for split in ("train", "val") for animal in ("cat", "dog", "wild")}
    folders |= {f"cifar10/{name}": (8, 8) for name in CIFAR10} | {f"mnist/{digit}": (8, 8) for digit in range(10)}
    folders |= {f"celeba_hq/train/{name}": (8, 8) for name in ("female", "male")}
    folders |= dict.fromkeys(["coco/train2014", "wikiart", "photos", "paintings", "old_photographs"], (8, 8))
    for name, size in folders.items():
        (root / name).mkdir(parents=True)
        for number in range(20):  # more than a batch of the held-out images too
            Image.new("RGB", size, (number, 0, 0)).save(root / name / f"{number:03d}.png")
    Image.new("RGB", (8, 8)).save(root / "style.jpg")
    return root


@pytest.mark.parametrize("experiment", config_choices("experiment"))
def test_experiments_fit_together(
    experiment: str, compose_config: Callable[..., DictConfig], datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_DATA", str(datasets))
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(datasets / "cache"))
    width = "generator.width=0.1" if experiment.startswith("adain") else "generator.channels=4"
    small = ("features.weights=random", width, "discriminator.channels=4")
    config = compose_config(f"experiment={experiment}", *small)
    assert_keys_are_signatures(config)
    config.data.batch_size = min(config.data.batch_size, 4)  # what was made is few
    built = build_experiment(config, {})
    assert built.iterations >= 1


def test_trainer_keys_are_lightning_s(compose_config: Callable[..., DictConfig]) -> None:
    config = compose_config()
    inspect.signature(L.Trainer).bind_partial(**{**config.trainer, **config.strategy})


def test_the_command_line_wins_over_the_experiment(compose_config: Callable[..., DictConfig]) -> None:
    config = compose_config("experiment=demo", "discriminator=pixel", "optimizer.lr=1", "loss=hinge")
    assert config.discriminator._target_.endswith("PixelDiscriminator")
    assert config.optimizer.lr == 1
    assert config.model.optimizer.lr == 1
    assert config.model.loss.gan_loss._target_.endswith("HingeLoss")


def test_a_model_brings_its_own_choices(tmp_path: Path, compose_config: Callable[..., DictConfig]) -> None:
    """As a paper's model would; an experiment and the command line still win."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "defaults:\n  - cyclegan\n  - override /loss@_global_.loss: hinge\n"
        "  - override /generator@_global_.generator: resnet6\n  - _self_\n"
    )
    search = f"hydra.searchpath=[file://{tmp_path}]"
    assert compose_config(search, "model=mine").loss.gan_loss._target_.endswith("HingeLoss")
    assert compose_config(search, "model=mine").model.generator.blocks == 6
    assert compose_config(search, "model=mine", "loss=lsgan").loss.gan_loss._target_.endswith("LSGANLoss")


def test_files_are_short() -> None:
    long = [
        str(path)
        for path in CONF.rglob("*.yaml")
        if len(path.read_text().splitlines()) > 45 and path.name != "train.yaml"
    ]
    assert not long
