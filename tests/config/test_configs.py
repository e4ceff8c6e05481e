"""Every config is a test by being there: composed, resolved, bound to the signatures it feeds, built and checked."""

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from itertools import zip_longest
from pathlib import Path
from typing import Any

import lightning as L
import pytest
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


def compositions() -> list[list[str]]:
    """Overrides that compose each choice of each group, except experiments, once. Most compositions have a choice of several
    groups. A model is composed with the data that it is made for."""
    groups = sorted({path.name for path in CONF.iterdir() if path.is_dir()} - {"experiment", "model"})
    columns = ([f"{group}={choice}" for choice in config_choices(group)] for group in groups)
    rows = [[choice for choice in row if choice] for row in zip_longest(*columns)]
    return [*rows, *([f"model={choice}"] for choice in config_choices("model"))]


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


@pytest.mark.parametrize("choices", compositions(), ids="+".join)
def test_keys_are_the_signature_they_feed(choices: list[str], compose_config: Callable[..., DictConfig]) -> None:
    config = compose_config(*choices)
    assert_keys_are_signatures(config)
    for group in {choice.split("=")[0] for choice in choices} & BUILT.keys():
        built = instantiate(config[group])
        assert isinstance(built() if isinstance(built, partial) else built, BUILT[group])


def assert_keys_are_signatures(composed: DictConfig) -> None:
    for config in targets(to_plain_container(composed)):
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
        for number in range(80 if "/train/" in name or "cifar10" in name else 20):  # more than a batch
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
    config.data.batch_size = min(config.data.batch_size, 16)  # what was made is few
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
