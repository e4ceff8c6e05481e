"""A baseline and results of it, made up."""

from pathlib import Path

from stylegan_lab.reproduction.baseline import Baseline, read_baseline
from stylegan_lab.reproduction.result import Result

YAML = """\
title: Something
experiment: smoke
source: somebody, 2017
standing: cited
protocol: four pictures
cost: {cpu_minutes: 1}
seeds: [0, 1]
n: 4
numbers:
  ssim: {expected: 0.5, tolerance: 0.1, better: higher}
  l1: {expected: 0.2, tolerance: 0.05, better: lower}
"""


def baseline(text: str = YAML, name: str = "thing") -> Baseline:
    Path(f"{name}.yaml").write_text(text)
    return read_baseline(Path(f"{name}.yaml"))


def result(of: Baseline, seed: int = 0, changed: bool | None = False, **numbers: float) -> Result:
    return Result(of.name, of.fingerprint, seed, "2026-01-01", "a" * 40, changed, {}, {}, [], 1.0, {"metrics": numbers})
