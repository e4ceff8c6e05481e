"""A synthetic baseline and results of it."""

from pathlib import Path

from stylegan_lab.reporting.baselines.baseline import Baseline, read_baseline, settings_fingerprint
from stylegan_lab.reporting.baselines.result import BaselineResult

YAML = """\
title: Something
experiment: smoke
source: somebody, 2017
source_type: paper
protocol: four images
cost: {cpu_minutes: 1}
seeds: [0, 1]
num_images: 4
metrics:
  ssim: {expected: 0.5, tolerance: 0.1, direction: higher}
  l1: {expected: 0.2, tolerance: 0.05, direction: lower}
"""

FINGERPRINTS: dict[str, str] = {}


def settings_fingerprint_once(of: Baseline) -> str:
    """`settings_fingerprint`, computed once for each baseline: it composes a config, which no test changes."""
    if of.fingerprint not in FINGERPRINTS:
        FINGERPRINTS[of.fingerprint] = settings_fingerprint(of)
    return FINGERPRINTS[of.fingerprint]


def baseline(text: str = YAML, name: str = "thing") -> Baseline:
    Path(f"{name}.yaml").write_text(text)
    return read_baseline(Path(f"{name}.yaml"))


def result(of: Baseline, seed: int = 0, has_local_changes: bool | None = False, **metrics: float) -> BaselineResult:
    return BaselineResult(
        of.name,
        of.fingerprint,
        settings_fingerprint_once(of),
        seed,
        "2026-01-01",
        "a" * 40,
        has_local_changes,
        {},
        {},
        [],
        1.0,
        {"metrics": metrics},
    )
