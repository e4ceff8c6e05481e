"""Installed elsewhere: the wheel carries the configs, and works from any folder without the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from stylegan_lab.cli.main import COMMANDS, COMPILE_CACHE, run
from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.config.paths import BASELINES, CONF
from tests.refusals import assert_refused

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and an sdist, built without network."""
    out = tmp_path_factory.mktemp("dist")
    code = f"import hatchling.build as b; b.build_wheel({str(out)!r}); b.build_sdist({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
    return out


def file_names(distributions: Path, kind: str) -> list[str]:
    if kind == "wheel":
        with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
            return wheel.namelist()
    with tarfile.open(next(distributions.glob("*.tar.gz"))) as sdist:
        return [name.split("/", 1)[1] for name in sdist.getnames()]


@pytest.mark.parametrize(("kind", "home"), [("wheel", "stylegan_lab/"), ("sdist", "")])
def test_every_config_and_module_travels(kind: str, home: str, distributions: Path) -> None:
    packed = set(file_names(distributions, kind))
    assert {f"{home}conf/{path.relative_to(CONF)}" for path in CONF.rglob("*.yaml")} <= packed
    assert {f"{home}baselines/{path.relative_to(BASELINES)}" for path in BASELINES.rglob("*.*")} <= packed
    code = [path for kind in ("py", "css", "js", "j2") for path in (ROOT / "stylegan_lab").rglob(f"*.{kind}")]
    assert {str(path.relative_to(ROOT)) for path in code} <= packed
    assert "hydra_plugins/stylegan_lab_sweeper.py" in packed and "hydra_plugins/__init__.py" not in packed
    assert not any(name.startswith("tests/") for name in packed)


def test_the_wheel_works_from_any_folder(distributions: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "TMPDIR": str(tmp_path / "tmp")}
    environment.pop(COMPILE_CACHE, None)  # which torch sets
    code = "import stylegan_lab; print(stylegan_lab.__file__); from stylegan_lab.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "train", "experiment=smoke", "logger=none", "iterations=1", "evaluate=false"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.startswith(str(tmp_path / "site"))
    assert list((tmp_path / "runs" / "smoke").glob("*/checkpoints/last.ckpt"))
    assert list((tmp_path / "tmp").iterdir()) == [], "nothing is left, and no folder of torch either"


@pytest.mark.usefixtures("forked_processes")
def test_the_wheel_sweeps_too(distributions: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(distributions.glob("*.whl"))) as wheel:
        wheel.extractall(tmp_path / "site")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    code = (
        "from stylegan_lab.cli.main import run; code = run(['train', '-m', 'experiment=smoke', 'seed=1,2', 'dry_run=true']);"
        "import hydra_plugins.stylegan_lab_sweeper as plugin; print(plugin.__file__, code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert "2 trials in" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{tmp_path / 'site/hydra_plugins/stylegan_lab_sweeper.py'} 0"


def test_an_installed_package_declares_itself_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirlab.py").write_text("class Schedule:\n    def __call__(self, spent): return 0.5\n")
    info = tmp_path / "theirlab-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirlab\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[stylegan_lab.trust]\ntheirlab = theirlab\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert instantiate({"_target_": "theirlab.Schedule"})(0.0) == 0.5


def test_configs_of_one_s_own_are_found_by_search_path_too(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/own.yaml").write_text(
        "# @package _global_\ndefaults:\n  - smoke\n\nname: own\niterations: 5\n"
    )
    search = f"hydra.searchpath=[file://{Path('mine').resolve()}]"
    assert run(["train", search, "experiment=own", "dry_run=true"]) == 0
    assert "5 iterations" in capsys.readouterr().out


def test_shells_are_offered_commands_and_then_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for line, offered in {
        "stylegan-lab tr": " ".join(COMMANDS),
        "stylegan-lab data ": "check preview prepare list download",
        "stylegan-lab train loss=h": "loss=hinge loss=hinge_r1",
    }.items():
        monkeypatch.setenv("COMP_LINE", line)
        assert run(["-sc", "query=bash"]) == 0
        assert capsys.readouterr().out.strip() == offered
    assert run(["-sc", "install=bash"]) == 0
    assert "complete -o nospace" in capsys.readouterr().out


def test_what_an_extra_brings_is_asked_for_by_its_install_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stylegan_lab.loggers.tensorboard.find_spec", lambda _: None)
    assert run(["train", "experiment=smoke", "logger=tensorboard"]) == 2
    assert_refused(capsys.readouterr().err, "logger.package_missing", "pip install 'stylegan_lab[track]'")
    assert not Path("runs").exists()
