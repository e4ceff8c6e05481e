"""The commands and code of the README run. Only long trainings are shortened, and nothing is logged to W&B."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.config.paths import CONF

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHOICES = (ROOT / "docs" / "choices.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
COMMANDS = [line.split("#")[0].strip() for kind, block in BLOCKS if kind == "bash" for line in block.splitlines()]
SHORTER = {"iterations=4": "iterations=2", "iterations=20": "iterations=2", "iterations=4000": "iterations=5"}
EXPERIMENT = next(block for kind, block in BLOCKS if kind == "yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, train_once: Callable[..., None]) -> Path:
    """A folder with a smoke run and a photo."""
    place = tmp_path_factory.mktemp("readme")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        train_once("experiment=smoke", "logger=none", "iterations=4", to="RUN")
        Image.effect_noise((40, 30), 60).convert("RGB").save("photo.jpg")
    return place


def test_the_readme_starts_with_two_make_commands() -> None:
    assert COMMANDS[:2] == ["make demo", "make test"]
    targets = re.findall(r"^(\w+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"demo", "test", "install", "help"} <= set(targets)


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("stylegan-lab")])
def test_commands_of_the_readme_run(command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    _, *words = shlex.split(command)
    words = [SHORTER.get(word, word) for word in words]
    if "train" in words and "seed=1" not in words:  # one training is evaluated
        words.append("evaluate=false")
    if "experiment=smoke" in words:
        words.append("logger=none")
    assert run(words) == 0


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_experiment_of_the_readme_composes(tmp_path: Path) -> None:
    (tmp_path / "experiment").mkdir()
    (tmp_path / "experiment" / "ink.yaml").write_text(EXPERIMENT)
    assert run(["train", f"hydra.searchpath=[file://{tmp_path}]", "experiment=ink", "dry_run=true"]) == 0


def test_the_python_code_of_the_readme_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(next(block for kind, block in BLOCKS if kind == "python"), {})
    assert "('a2b', 'b2a')" in capsys.readouterr().out


@pytest.mark.parametrize(
    "group",
    [
        "model",
        "loss",
        "generator",
        "discriminator",
        "discriminator_augment",
        "latents",
        "style_encoder",
        "features",
        "resize",
        "augment",
        "degrade",
        "data",
        "optimizer",
        "schedule",
        "strategy",
        "metrics",
        "sweep",
    ],
)
def test_the_table_of_choices_is_complete(group: str) -> None:
    (row,) = [line for line in CHOICES.splitlines() if line.startswith("|") and f"`{group}`" in line]
    for path in (CONF / group).glob("*.yaml"):
        assert f"`{path.stem}`" in row or path.stem.endswith("_r1"), f"{group}={path.stem} is missing"
        assert yaml.safe_load(path.read_text()) is not None
