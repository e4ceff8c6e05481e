"""`stylegan-lab` with sweeps whose trials are run by fake_trial.py."""

import sys
from collections.abc import Sequence
from pathlib import Path

from stylegan_lab.cli.main import run
from stylegan_lab.sweeps import trial_process

FAKE_TRIAL = Path(__file__).with_name("fake_trial.py")


def fake_train_command(overrides: Sequence[str], folder: Path, flags: Sequence[str] = ()) -> list[str]:  # noqa: ARG001
    return [sys.executable, str(FAKE_TRIAL), *overrides, f"output_dir={folder}"]


if __name__ == "__main__":
    trial_process.train_command = fake_train_command
    sys.exit(run(sys.argv[1:]))
