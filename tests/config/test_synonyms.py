"""Names from other projects are answered with the setting of this one, by the real command."""

import re

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from stylegan_lab.cli.main import run
from stylegan_lab.config.flatten import flatten
from stylegan_lab.config.paths import CONF
from stylegan_lab.config.synonyms import SYNONYMS, synonym_error
from tests.refusals import assert_refused

ADDED = [
    "max_epochs",
    "trainer.max_epochs",
    "trainer.max_steps",
    "trainer.devices",
    "trainer.fast_dev_run",
    "image_size",
    "data.image_size",
    "optimizer.lr_d",
    "tags",
]


BELOW = ["callbacks.early_stopping.patience", "callbacks.model_checkpoint.save_top_k", "ema.decay.x"]


def typed(name: str) -> str:
    return name if "=" in name else f"{name}=1"


@pytest.mark.parametrize("argument", [*map(typed, SYNONYMS), *(f"+{name}=1" for name in ADDED)])
def test_a_synonym_is_answered_with_the_setting_to_use(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    name = argument.lstrip("+")
    sentence = SYNONYMS.get(name) or SYNONYMS[name.split("=")[0]]
    assert run(["train", argument]) == 2
    answer = capsys.readouterr().err
    assert_refused(answer, "config.synonym", sentence)
    assert "did you mean" not in answer


@pytest.mark.parametrize("key", BELOW)
def test_a_key_below_a_synonym_is_answered_like_it(key: str) -> None:
    error = synonym_error(key)
    assert error is not None and str(error) == f"{key}: {SYNONYMS[key.rpartition('.')[0]]}"
    assert synonym_error("data.size") is None and synonym_error("loss=mine") is None


@pytest.mark.parametrize("sentence", sorted(set(SYNONYMS.values())))
def test_the_settings_that_a_synonym_names_exist(sentence: str) -> None:
    data = ["data=unpaired", "data.a=a", "data.b=b"] if "data=unpaired" in sentence else []
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", data))
    assert isinstance(config, dict)
    known = {key for key, _ in flatten(config)} | {path.name for path in CONF.iterdir() if path.is_dir()}
    assert (keys := set(re.findall(r"[\w.]+(?==)", sentence))) and keys <= known


@pytest.mark.parametrize("argument", ["generator=resnet9", "discriminator=patch", "callbacks.ema=null", "logger=csv"])
def test_these_names_work_as_they_are(argument: str) -> None:
    assert run(["train", "experiment=smoke", "dry_run=true", argument]) == 0


def test_a_launcher_without_a_sweep_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "hydra/launcher=basic", "experiment=smoke", "dry_run=true"]) == 2
    assert_refused(capsys.readouterr().err, "cli.only_for_sweeps", "hydra/launcher=basic", "-m")
