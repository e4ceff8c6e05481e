"""The docs are executable: the files and commands of each page are written and run in order. Trainings are shorter and mostly not
evaluated, and trials of sweeps are stand-ins, except on pages that define code for them."""

import importlib.util
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from stylegan_lab.callbacks import preemption
from stylegan_lab.cli.main import run
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.sweeps import trial_process
from tests.reporting.baselines.baselines import settings_fingerprint_once
from tests.sweeps.fake_sweep import fake_train_command

DOCS = Path(__file__).parent.parent / "docs"
FENCE = re.compile(r"(?:^`(?P<path>[\w./-]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<body>.*?)^```", re.DOTALL | re.MULTILINE)
GENERATED = {"commands.md", "api.md", "configs.md", "error-codes.md"}  # by `make docs`
PAGES = sorted({path.name for path in DOCS.glob("*.md")} - GENERATED)
SMOKE = {"experiment=smoke", "experiment=smoke_generation"}  # trainings of 8 iterations and an evaluation
SHORTER = {"iterations=12": "iterations=5", "iterations=14": "iterations=6", "iterations=20": "iterations=4"}


@pytest.fixture(autouse=True)
def fingerprints_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tests print the table of all baselines."""
    monkeypatch.setattr("stylegan_lab.reporting.baselines.result.settings_fingerprint", settings_fingerprint_once)


@pytest.mark.usefixtures("forked_processes")
@pytest.mark.parametrize("page", PAGES)
def test_commands_of_pages_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train_once: Callable[..., None]
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mylab").mkdir()
    (tmp_path / "mylab" / "__init__.py").touch()
    text = (DOCS / page).read_text(encoding="utf-8")
    if "RUN" in text:
        train_once("experiment=smoke", "logger=none", "iterations=4", to="RUN")
    if "mylab" not in text:  # otherwise the trials of sweeps train what the page has defined
        monkeypatch.setattr(trial_process, "train_command", fake_train_command)
    for name in ("photo.png", "style.png", "photo.jpg"):
        Image.effect_noise((48, 40), 80).convert("RGB").save(name)
    if "my_images" in text:
        for name in ("trainA/1.png", "trainA/2.png", "trainB/3.png", "trainB/4.png", "testA/5.png", "testB/6.png"):
            place = tmp_path / "my_images" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((48, 40), 80).convert("RGB").save(place)
    for fence in FENCE.finditer(text):
        if fence["path"]:
            place = tmp_path / fence["path"]
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(fence["body"])
        elif fence["kind"] == "bash":
            for line in fence["body"].splitlines():
                command(line.split(" #")[0])


def command(line: str) -> None:
    program, *words = shlex.split(line)
    if words[:2] == ["train", "experiment=demo"]:  # which takes minutes
        words[1:2] = ["experiment=smoke", "logger=none"]
    words = [SHORTER.get(word, word) for word in words]
    smaller = {}
    if "train" in words:
        smaller = {"evaluate": "false"} if "resume=" in line else {"logger": "none"}
    if SMOKE & set(words) and "HINGE" not in line:  # the page compares the scores of the run HINGE
        smaller |= {"iterations": "2", "evaluate": "false"}
    elif "dry_run=true" in words:
        smaller |= {"generator.channels": "8", "discriminator.channels": "8"}
    if "logger=both" in words:
        smaller["logger.wandb.patience"] = "120"  # W&B may start more slowly than this training ends
    if words[0] == "import":
        smaller = {"data.train_images": "16"}
    words += [f"{key}={value}" for key, value in smaller.items() if f"{key}=" not in line]
    if program == "torchrun" or "strategy=ddp" in words:  # their processes repeat the command that started them
        start = ["-m", "torch.distributed.run"] if program == "torchrun" else ["-m", "stylegan_lab"]
        subprocess.run([sys.executable, *start, *words], check=True)
    elif program == "stylegan-lab":
        preemption.PROCESS_START = time.monotonic()  # as in a process of its own
        assert run(words) == 0, line
    elif program == "python":
        subprocess.run([sys.executable, *words], check=True, env={"PYTHONPATH": ".", "PATH": "/usr/bin:/bin"})
    else:
        pytest.fail(f"no test runs this command: {line}")


@pytest.mark.parametrize("page", ["baselines", "datasets"])
def test_generated_pages_are_up_to_date(page: str) -> None:
    spec = importlib.util.spec_from_file_location(f"generate_{page}", DOCS / f"generate_{page}.py")
    assert spec is not None and spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert (DOCS / f"{page}.md").read_text(encoding="utf-8") == generate.page(), "run `make docs`"


def test_commands_that_need_the_network_are_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The download commands of the data sets page are run with a stub that fetches nothing."""
    downloaded = []
    monkeypatch.setattr(
        "stylegan_lab.data.download.dataset.download_dataset", lambda each, *_: downloaded.append(each.name) or Path()
    )
    (fence,) = [
        fence for fence in FENCE.finditer((DOCS / "datasets.md").read_text("utf-8")) if fence["kind"] == "console"
    ]
    lines = [line for line in fence["body"].splitlines() if " data download " in line]
    for line in lines:
        command(line)
    assert len(downloaded) == len(lines) >= 3


def test_the_metrics_page_lists_each_protocol() -> None:
    text = (DOCS / "metrics.md").read_text()
    for name, metric in METRICS.items():
        assert f"`{name}`" in text and metric.protocol in " ".join(text.split()), name


def test_links_of_pages_exist() -> None:
    for page in [*DOCS.glob("*.md"), *DOCS.parent.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert target.startswith("http") or target in GENERATED or (page.parent / target).exists(), (
                f"{page.name}: {target}"
            )
