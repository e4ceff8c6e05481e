"""dry_run=time estimates the time of a training from a few iterations, and leaves nothing behind."""

import re
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.console import format_seconds
from tests.refusals import assert_refused

SMOKE = ["train", "experiment=smoke", "logger=none", "output_dir=run"]


@pytest.mark.parametrize("iterations", ["3", "1000000"])
def test_the_estimate_is_the_iterations_of_the_budget(iterations: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMOKE, f"iterations={iterations}", "dry_run=time"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    found = re.fullmatch(r"time +about (\S+) at (\S+) s an iteration, without validation and samples", line)
    assert found is not None, line
    hours, minutes, seconds = map(int, found[1].split(":"))
    expected = float(found[2]) * int(iterations)
    assert hours * 3600 + minutes * 60 + seconds == pytest.approx(expected, rel=0.01, abs=0.51), format_seconds(
        expected
    )
    assert not Path("run").exists() and not Path("lightning_logs").exists()


def test_an_estimate_of_several_processes_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*SMOKE, "dry_run=time", "strategy=cpu", "strategy.devices=2"]) == 2
    assert_refused(capsys.readouterr().err, "training.single_process_only", "dry_run=time", "strategy=single")
