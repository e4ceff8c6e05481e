"""Every test runs in a temporary folder, without network or W&B account, on one thread."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from stylegan_lab.cli.main import run
from stylegan_lab.config.paths import CONF
from tests.fork_server import ForkedPopen, running_server

torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def cache_in_a_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    os.environ["STYLEGAN_LAB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    environment = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(environment)
    inside = f"{tmp_path}{os.sep}"  # compared as text: this runs after each test, for thousands of modules
    for name, module in list(sys.modules.items()):  # a package that the test wrote, such as mylab
        contents = vars(module) if type(module) is ModuleType else {}
        places = [contents.get("__file__")]
        with suppress(AttributeError):  # a namespace whose parent was taken away
            places += contents.get("__path__") or []
        if any(isinstance(place, str) and f"{place}{os.sep}".startswith(inside) for place in places):
            del sys.modules[name]


@pytest.fixture(scope="session")
def train_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """Put a run with these overrides into a folder. It is trained by the first test that needs it, and copied for the others."""
    trained: dict[tuple[str, ...], Path] = {}

    def copy_run(*overrides: str, to: str = "run") -> None:
        if overrides not in trained:
            folder = tmp_path_factory.mktemp("trained") / "run"
            assert run(["train", *overrides, f"output_dir={folder}"]) == 0
            trained[overrides] = folder
        shutil.copytree(trained[overrides], to)

    return copy_run


@pytest.fixture(scope="session")
def fork_server() -> Iterator[None]:
    with running_server() if sys.platform == "linux" else nullcontext():
        yield


@contextmanager
def forking() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            patch.setattr(subprocess, "Popen", ForkedPopen)
        yield


@pytest.fixture
def forked_processes(fork_server: None) -> Iterator[None]:  # noqa: ARG001
    """Processes that the test starts with this Python do not import torch again: see tests/fork_server.py."""
    with forking():
        yield


@pytest.fixture(scope="module")
def forked_processes_of_module(fork_server: None) -> Iterator[None]:  # noqa: ARG001
    """As `forked_processes`, also for the module's other fixtures."""
    with forking():
        yield


@pytest.fixture
def compose_config() -> Callable[..., DictConfig]:
    """Compose a training's config from overrides."""

    def compose_with(*overrides: str) -> DictConfig:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return compose("train", overrides=list(overrides))

    return compose_with


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=3, help="how often the chaos test kills each run")


@pytest.fixture
def kills(request: pytest.FixtureRequest) -> int:
    number: int = request.config.getoption("--kills")
    return number
