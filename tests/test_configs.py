"""Every config is a test by being there: composed, resolved, bound to the signatures it feeds, built and checked."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import pytest
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from PIL import Image

from stylegan_lab.conf_dir import CONF
from stylegan_lab.experiment import build
from stylegan_lab.instantiate import instantiate

CHOICES = sorted(f"{path.parent.relative_to(CONF)}={path.stem}" for path in CONF.rglob("*.yaml") if path.parent != CONF)
CIFAR10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NOT_BOUND = {"_target_", "_partial_"}


def targets(config: Any) -> Iterator[dict[str, Any]]:
    if isinstance(config, dict):
        if "_target_" in config:
            yield config
        for value in config.values():
            yield from targets(value)


def plain(config: DictConfig) -> dict[str, Any]:
    container = OmegaConf.to_container(config, resolve=True)
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize("choice", CHOICES)
def test_keys_are_the_signature_they_feed(choice: str, composed: Callable[..., DictConfig]) -> None:
    for config in targets(plain(composed(choice))):
        signature = inspect.signature(get_object(config["_target_"]))
        given = config.keys() - NOT_BOUND
        parameters = {name for name, p in signature.parameters.items() if p.kind is not p.VAR_KEYWORD}
        if config.get("_partial_"):
            assert given <= parameters, config["_target_"]
        else:
            signature.bind(**dict.fromkeys(given))
        if config["_target_"].startswith("stylegan_lab."):
            filled_in = {"run"} | ({"weights"} if ".features." in config["_target_"] else set())
            filled_in |= {"condition_channels"} if ".nets." in config["_target_"] else set()
            filled_in |= {"inputs", "doublings"} if ".decoder." in config["_target_"] else set()
            filled_in |= {"domains"} if ".style_coder." in config["_target_"] else set()
            filled_in |= (
                {"latent_size", "image_channels", "classes"} if ".nets.generation." in config["_target_"] else set()
            )
            expected = parameters - filled_in
            assert given == expected, f"{config['_target_']}: a knob without a key, or a key without a knob"


@pytest.mark.parametrize(
    "choice", [choice for choice in CHOICES if choice.split("=")[0] in ("loss", "critic", "adversary", "schedule")]
)
def test_groups_are_built(choice: str, composed: Callable[..., DictConfig]) -> None:
    group = choice.split("=")[0]
    built = instantiate(composed(choice)[group])
    assert callable(built() if group in ("critic", "adversary") else built) or group == "loss"


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
    folders |= dict.fromkeys(["coco/train2014", "wikiart", "photos", "old_photographs"], (8, 8))
    for name, size in folders.items():
        (root / name).mkdir(parents=True)
        for number in range(80 if "/train/" in name or "cifar10" in name else 20):  # more than a batch
            Image.new("RGB", size, (number, 0, 0)).save(root / name / f"{number:03d}.png")
    Image.new("RGB", (8, 8)).save(root / "style.jpg")
    return root


@pytest.mark.parametrize("experiment", sorted(path.stem for path in (CONF / "experiment").glob("*.yaml")))
def test_experiments_fit_together(
    experiment: str, composed: Callable[..., DictConfig], datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STYLEGAN_LAB_DATA", str(datasets))
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(datasets / "cache"))
    small = ("features.weights=random", "generator.channels=4", "adversary.channels=4")
    config = composed(f"experiment={experiment}", *small)
    config.data.batch_size = min(config.data.batch_size, 16)  # what was made is few
    built = build(config, {})
    assert built.iterations >= 1


def test_trainer_keys_are_lightning_s(composed: Callable[..., DictConfig]) -> None:
    config = composed()
    inspect.signature(L.Trainer).bind_partial(**{**config.trainer, **config.strategy})


def test_the_command_line_wins_over_the_experiment(composed: Callable[..., DictConfig]) -> None:
    config = composed("experiment=demo", "critic=pixel", "optimizer.lr=1", "loss=hinge")
    assert config.critic._target_.endswith("PixelCritic")
    assert config.optimizer.lr == 1
    assert config.model.optimizer.lr == 1
    assert config.model.loss.game._target_.endswith("Hinge")


def test_a_model_brings_its_own_choices(tmp_path: Path, composed: Callable[..., DictConfig]) -> None:
    """As a paper's model would; an experiment and the command line still win."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "defaults:\n  - cyclegan\n  - override /loss@_global_.loss: hinge\n"
        "  - override /translator@_global_.translator: resnet6\n  - _self_\n"
    )
    search = f"hydra.searchpath=[file://{tmp_path}]"
    assert composed(search, "model=mine").loss.game._target_.endswith("Hinge")
    assert composed(search, "model=mine").model.translator.blocks == 6
    assert composed(search, "model=mine", "loss=lsgan").loss.game._target_.endswith("LeastSquares")


def test_files_are_short() -> None:
    long = [
        str(path)
        for path in CONF.rglob("*.yaml")
        if len(path.read_text().splitlines()) > 45 and path.name != "train.yaml"
    ]
    assert not long
