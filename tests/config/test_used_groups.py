"""`--cfg job` prints the settings that have an effect; `train help GROUP` describes the choices of a group."""

import pytest
from omegaconf import OmegaConf

from stylegan_lab.cli.main import run
from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.paths import CONF, config_choices
from stylegan_lab.config.used_groups import ALWAYS_USED, only_used_groups
from tests.refusals import assert_refused


@pytest.mark.parametrize("model", config_choices("model"))
def test_what_is_printed_is_the_config_that_the_model_uses(model: str) -> None:
    config = compose_config([f"model={model}"])
    printed = OmegaConf.create(only_used_groups(OmegaConf.to_yaml(config)))
    assert {key: printed[key] for key in printed} == {key: config[key] for key in printed}
    resolved = OmegaConf.to_container(config, resolve=True)
    assert OmegaConf.to_container(printed, resolve=True) == {key: resolved[key] for key in printed}
    left_out = config.keys() - printed.keys()
    assert left_out and all((CONF / key).is_dir() for key in left_out) and not left_out & ALWAYS_USED


def test_the_command_prints_the_groups_that_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "model=stylegan2", "--cfg", "job"]) == 0
    config = OmegaConf.to_yaml(compose_config(["model=stylegan2"]))
    assert capsys.readouterr().out.split() == only_used_groups(config).split()


def test_a_group_is_used_if_a_used_group_refers_to_it() -> None:
    config = "model:\n  loss: ${loss}\nloss:\n  features: ${features.net}\nfeatures:\n  net: 1\nlatents:\n  a: 2\nsweep: null\n"
    text = only_used_groups(config)
    assert OmegaConf.create(text).keys() == {"model", "loss", "features"}
    assert text.endswith("--cfg all: latents\n")


def test_a_package_of_the_config_is_printed_as_hydra_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--cfg", "job", "--package", "augment"]) == 0
    assert "crop" in capsys.readouterr().out
    assert run(["train", "model=stylegan2", "--cfg", "job", "--resolve"]) == 0
    resolved = OmegaConf.to_container(compose_config(["model=stylegan2"]), resolve=True)
    assert OmegaConf.create(capsys.readouterr().out) == resolved, "without references, nothing says what is used"
    assert run(["train", "--cfg=all"]) == 0
    assert "\nhydra:\n" in "\n" + capsys.readouterr().out


def test_each_choice_of_a_group_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    groups = [
        path.name for path in CONF.iterdir() if path.is_dir() and path.name not in ("hydra", "callbacks", "trainer")
    ]
    for group in groups:
        assert run(["train", "help", group]) == 0
        head, *lines = capsys.readouterr().out.splitlines()
        assert head == f"{group}=" and [line.split()[0] for line in lines] == list(config_choices(group))
        assert all(len(line.split()) > 1 for line in lines), f"a choice of {group} has no comment"
    assert run(["train", "help", "los"]) == 2
    assert_refused(capsys.readouterr().err, "config.unknown_group", "los ", "did you mean loss?")
