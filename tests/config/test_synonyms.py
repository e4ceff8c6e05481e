"""Names from other projects are answered with the setting of this one, by the real command."""

import re
from copy import deepcopy
from functools import cache

import pytest
from hydra.errors import ConfigCompositionException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError

from stylegan_lab.cli.main import run
from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.flatten import flatten
from stylegan_lab.config.hydra_errors import to_user_error
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.config.synonyms import REFUSED, SYNONYMS, synonym_error
from stylegan_lab.training.checks import check_values
from tests.refusals import assert_refused, refused

BELOW = ["callbacks.early_stopping.patience", "callbacks.model_checkpoint.save_top_k", "ema.decay.x"]
CHOICES = [name for name in SYNONYMS if "=" in name]
KEYS = [name for name in SYNONYMS if "=" not in name and name not in REFUSED]


@cache
def composed(*overrides: str) -> DictConfig:
    return compose_config(overrides)


@pytest.mark.parametrize(
    "argument",
    [*CHOICES, *(f"{name}=1" for name in [*sorted(REFUSED), "netG", "ema.decay", "data.load_size", "trainer.max_epochs"]),
     *(f"+{name}=1" for name in ["max_epochs", "data.image_size", "optimizer.lr_d"])],
)  # fmt: skip
def test_a_synonym_is_answered_with_the_setting_to_use(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The choices, and a key for each way in which keys are refused. The next tests have all keys, without the command."""
    name = argument.lstrip("+")
    sentence = SYNONYMS.get(name) or SYNONYMS[name.split("=")[0]]
    assert run(["train", argument]) == 2
    answer = capsys.readouterr().err
    assert_refused(answer, "config.synonym", sentence)
    assert "did you mean" not in answer


@pytest.mark.parametrize("name", KEYS)
def test_a_key_that_the_config_does_not_have_is_answered_like_it(name: str) -> None:
    assert not config_choices(name)
    with pytest.raises((ConfigAttributeError, ConfigKeyError)):  # then Hydra raises the next error
        OmegaConf.update(composed(), name, 1)
    error = to_user_error(ConfigCompositionException(f"Could not override '{name}'."), [f"{name}=1"])
    assert (error.code, str(error)) == ("config.synonym", f"{name}: {SYNONYMS[name]}")


@pytest.mark.parametrize(
    "name", ["max_epochs", "trainer.max_epochs", "trainer.max_steps", "trainer.devices", "trainer.fast_dev_run",
             "image_size", "tags"],
)  # fmt: skip
def test_a_key_that_is_added_is_answered_like_it(name: str) -> None:
    config = deepcopy(composed())
    OmegaConf.update(config, name, 1, force_add=True)
    with refused("config.synonym", SYNONYMS[name]):
        check_values(config)


@pytest.mark.parametrize("key", BELOW)
def test_a_key_below_a_synonym_is_answered_like_it(key: str) -> None:
    error = synonym_error(key)
    assert error is not None and str(error) == f"{key}: {SYNONYMS[key.rpartition('.')[0]]}"
    assert synonym_error("data.size") is None and synonym_error("loss=mine") is None


@pytest.mark.parametrize("sentence", sorted(set(SYNONYMS.values())))
def test_the_settings_that_a_synonym_names_exist(sentence: str) -> None:
    data = ["data=unpaired", "data.a=a", "data.b=b"] if "data=unpaired" in sentence else []
    config = OmegaConf.to_container(composed(*data))
    assert isinstance(config, dict)
    known = {key for key, _ in flatten(config)} | {path.name for path in CONF.iterdir() if path.is_dir()}
    assert (keys := set(re.findall(r"[\w.]+(?==)", sentence))) and keys <= known


def test_these_names_work_as_they_are() -> None:
    names = ["generator=resnet9", "discriminator=patch", "callbacks.ema=null", "logger=csv"]
    assert run(["train", "experiment=smoke", "dry_run=true", *names]) == 0


def test_a_launcher_without_a_sweep_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "hydra/launcher=basic", "experiment=smoke", "dry_run=true"]) == 2
    assert_refused(capsys.readouterr().err, "cli.only_for_sweeps", "hydra/launcher=basic", "-m")
