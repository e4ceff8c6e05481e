"""`stylegan-lab reproduce`, from a baseline to a recorded result, with the smallest of trainings."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from stylegan_lab.cli import reproduce
from stylegan_lab.cli.main import run
from stylegan_lab.config.instantiate import config_to_record
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.reporting.baselines import baseline
from stylegan_lab.runs.run import Run
from stylegan_lab.signals import forward_signals
from tests.refusals import assert_names, assert_refused, refused
from tests.reporting.baselines.baselines import YAML

SMALL = YAML.replace("seeds: [0, 1]", "overrides: [iterations=2]").replace("0.5", "-1").replace("0.2", "2")


def clean_checkout(command: str, *_: str) -> str:
    """What git answers in a checkout without changes."""
    return "c0ffee" if command == "rev-parse" else ""


@pytest.fixture(autouse=True)
def own_baselines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of baselines of one's own."""
    folder = tmp_path / "baselines"
    folder.mkdir()
    (folder / "thing.yaml").write_text(SMALL)
    monkeypatch.setattr(baseline.read_baselines, "__defaults__", ((), folder))
    monkeypatch.setattr("stylegan_lab.runs.environment._git", clean_checkout)
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    quick = ["iterations=2", "logger=none", "evaluate=false"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("stylegan_lab.runs.environment._git", clean_checkout)
        assert run(["train", "experiment=smoke", *quick, f"output_dir={folder}"]) == 0
    return folder


@pytest.fixture
def trained(finished: Path) -> str:
    """The run `mine`."""
    shutil.copytree(finished, "mine")
    return "mine"


def test_a_run_of_it_is_scored_and_recorded_with_its_provenance(
    own_baselines: Path, trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_baselines / "other.yaml").write_text(SMALL.replace("iterations=2", "iterations=2, model.cycle_weight=3"))
    assert run(["reproduce", "other", "--run", trained, "--results", "results"]) == 2
    named = ("mine", "other", "model.cycle_weight=3 (was 10.0)")
    assert_refused(capsys.readouterr().err, "baseline.other_experiment", *named)
    assert not Path("results").exists()
    assert run(["reproduce", "thing", "--run", "mine", "--results", "results"]) == 0
    assert "reproduced" in capsys.readouterr().out
    said = json.loads(Path("results/thing-seed0.json").read_text())
    assert said["commit"] == "c0ffee" and said["has_local_changes"] is False and said["seed"] == 0
    assert said["scores"]["n"] == 4 and said["scores"]["iteration"] == 2 and "ssim" in said["scores"]["protocol"]
    assert said["versions"]["torch"] and said["hardware"]["cpu_count"] and said["hardware"]["precision"] == "32-true"
    assert said["settings_fingerprint"] and said["earlier_commits"] == [] and said["evaluation_commit"] is None
    assert "iterations=2" in said["overrides"] and not any("mine" in each for each in said["overrides"])
    (own_baselines / "other.yaml").unlink()
    assert run(["reproduce", "--results", "results"]) == 0
    assert "reproduced" in capsys.readouterr().out


def test_a_run_is_scored_by_the_metrics_of_its_baseline_and_not_by_its_own(own_baselines: Path, trained: str) -> None:
    text = SMALL.replace("iterations=2", "iterations=2, metrics=untrained, metrics.untrained.features.resize=legacy")
    (own_baselines / "thing.yaml").write_text(text.replace("ssim: {expected: -1", "fid_untrained: {expected: -1"))
    assert run(["reproduce", "thing", "--run", trained, "--results", "results"]) in (0, 1)
    said = json.loads(Path("results/thing-seed0.json").read_text())["scores"]
    assert "legacy" in said["protocol"]["fid_untrained"]


def test_other_counts_than_its_protocol_says_are_refused(
    own_baselines: Path, trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_baselines / "thing.yaml").write_text(SMALL.replace("num_images: 4", "num_images: 5"))
    assert run(["reproduce", "thing", "--run", trained, "--results", "results"]) == 2
    assert_refused(capsys.readouterr().err, "baseline.image_count_differs", "thing", "5 images", "4 were")


def test_a_run_that_was_stopped_on_the_way_to_a_longer_budget_is_not_finished(
    own_baselines: Path, trained: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has finished once, at 2 iterations; the baseline asks for 4, of which 3 are trained."""
    (own_baselines / "thing.yaml").write_text(SMALL.replace("iterations=2", "iterations=4"))
    resume = ["train", f"resume={trained}"]
    with pytest.raises(SystemExit) as stopped, stop_at(3):
        run([*resume, "iterations=4"])
    assert stopped.value.code == 143
    assert run(["reproduce", "thing", "--run", "mine", "--results", "results"]) == 2
    assert_refused(capsys.readouterr().err, "run.not_finished", "mine", "iteration 3 of 4")
    assert run(resume) == 0
    assert run(["reproduce", "thing", "--run", "mine", "--results", "results"]) == 2
    assert_refused(capsys.readouterr().err, "baseline.budget_changed", "mine", "2 iterations instead of 4")
    assert not Path("results").exists()


@contextmanager
def stop_at(iteration: int) -> Iterator[None]:
    start = CycleGAN.on_train_batch_start

    def stopping(self: CycleGAN, *arguments: Any) -> None:
        start(self, *arguments)
        if self.iteration == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CycleGAN, "on_train_batch_start", stopping)
        yield


def test_devices_may_differ_while_they_share_the_same_batch(capsys: pytest.CaptureFixture[str]) -> None:
    (thing,) = baseline.read_baselines(["thing"])  # a step of it sees 2
    reproduce.check_batch(thing, ranks=1, each=2)
    reproduce.check_batch(thing, ranks=2, each=1)
    with refused("baseline.other_batch_size", "2 x 2 samples", "thing trains with 2", "data.batch_size=1"):
        reproduce.check_batch(thing, ranks=2, each=2)
    with refused("baseline.other_batch_size", "3 x 2 samples", "number of devices"):
        reproduce.check_batch(thing, ranks=3, each=2)
    assert run(["reproduce", "thing", "data.batch_size=4", "--results", "results"]) == 2
    assert_refused(capsys.readouterr().err, "baseline.other_batch_size", "1 x 4 samples")
    mine = Run(Path("mine"))
    mine.create()
    mine.record_config(
        config_to_record(reproduce.compose_with_overrides(thing, 0)), [], {"commit": "c0ffee", "world_size": 2}
    )
    assert run(["reproduce", "thing", "--run", "mine", "--results", "results"]) == 2
    assert_refused(capsys.readouterr().err, "baseline.other_batch_size", "2 x 2 samples")


def test_what_is_recorded_is_not_trained_again_and_what_is_not_is(monkeypatch: pytest.MonkeyPatch) -> None:
    played: list[list[str]] = []

    class FakeTrainingProcess:
        pid = os.getpid()

        def __init__(self, words: list[str]) -> None:
            played.append(words)

        def wait(self) -> int:
            return run(played[-1][3:])  # after python -m stylegan_lab

    monkeypatch.setattr(reproduce.subprocess, "Popen", FakeTrainingProcess)
    for _ in range(2):
        assert run(["reproduce", "thing", "--results", "results", "data.num_workers=0"]) == 0
    assert len(played) == 1 and "data.num_workers=0" in played[0] and "seed=0" in played[0]
    assert json.loads(Path("results/thing-seed0.json").read_text())["wall_seconds"] > 0


@pytest.mark.skipif(not hasattr(signal, "SIGUSR1"), reason="has other signals")
def test_who_is_asked_to_leave_asks_the_training_and_waits_for_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    training = f"""import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
os.kill({os.getpid()}, signal.SIGTERM)
time.sleep(60)"""
    monkeypatch.setattr(reproduce, "train_command", lambda *_: [sys.executable, "-c", training])
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as left:
        run(["reproduce", "thing", "--results", "results"])
    assert left.value.code == 143
    assert_names(capsys.readouterr().err, "thing, seed 0", "143")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(not hasattr(signal, "SIGUSR2"), reason="has other signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR2", "SIGHUP"])
def test_what_was_asked_before_there_was_a_training_is_passed_on(name: str) -> None:
    number = getattr(signal, name)
    with forward_signals() as forwarder:
        os.kill(os.getpid(), number)
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        forwarder.add(process.pid)
        assert process.wait(30) == -number


def test_what_cannot_be_run_here_says_why_and_is_not_run(
    own_baselines: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(reproduce.torch.cuda, "is_available", lambda: False)
    (own_baselines / "thing.yaml").write_text(SMALL.replace("cpu_minutes", "gpu_hours"))
    (own_baselines / "lost.yaml").write_text(
        SMALL.replace("smoke", "cut_horse2zebra").replace("[iterations=2]", "[data.size=64]")
    )
    (own_baselines / "blind.yaml").write_text(SMALL.replace("ssim:", "fid_of_dreams:"))
    (own_baselines / "dark.yaml").write_text(SMALL.replace("metrics:", "unsupported: it needs moonlight\nmetrics:"))
    (own_baselines / "seen.yaml").write_text(SMALL.replace("num_images: 4", "num_images: 4\nsplit: train"))
    (own_baselines / "none.yaml").write_text(SMALL.split("metrics:")[0] + "metrics: {}\n")
    for name, why in {
        "thing": "it takes 1 GPU hours, and no GPU is visible here",
        "lost": "stylegan-lab data download horse2zebra",
        "blind": "fid_of_dreams cannot be measured here",
        "dark": "not run: it needs moonlight",
        "seen": "split: train is for generators; give split: test",
        "none": "the paper reports no score",
    }.items():
        assert run(["reproduce", name, "--results", "results"]) == 1
        assert why in capsys.readouterr().out


def test_mistakes_are_answered_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    for words, (code, named) in {
        ("thing", "data.size=64"): ("baseline.setting_not_allowed", "data.size=64"),
        ("--run", "x"): ("baseline.name_missing", "--run"),
        ("thnig",): ("config.unknown_choice", "did you mean thing?"),
    }.items():
        assert run(["reproduce", *words]) == 2
        assert_refused(capsys.readouterr().err, code, named)
    assert run(["reproduce", "thing", "--run", "nowhere"]) == 2
    assert_refused(capsys.readouterr().err, "run.not_found", "nowhere")
