"""Run folders that no training left: as small as they can be, and as broken as a test wants them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROTOCOL = {"l1": "mean absolute difference", "ssim": "Gaussian window", "size": 16, "bits": 8}
UNTRANSLATED = {"l1": 0.2, "ssim": 0.25}


def config_of(seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Translator and loss are sources which the model takes from, as in a composed config."""
    config: dict[str, Any] = {
        "iterations": 100,
        "seed": seed,
        "output_dir": None,
        "translator": {"_target_": "lab.nets.ResNet", "_partial_": True, "channels": 16},
        "loss": {"_target_": "lab.Contest", "game": {"_target_": "lab.games.LeastSquares"}, "penalties": {}},
        "data": {"_target_": "lab.Scenes", "size": 16, "batch_size": 2, "workers": 0},
        "model": {"_target_": "lab.CycleGAN", "cycle_weight": 10.0},
        "callbacks": {"samples": {"_target_": "lab.Samples", "every": 50}},
        "strategy": {"accelerator": "auto"},
        "logger": {},
    }
    for key, value in settings.items():
        *parents, last = key.split(".")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    config["model"] |= {source: config[source] for source in ("translator", "loss")}
    return config


def make_run(
    folder: Path,
    seed: int = 0,
    scores: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    iterations: int = 100,
) -> Path:
    """A whole run that took `iterations` of 100, at 4 images a second."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config_of(seed, settings or {}), sort_keys=False))
    (folder / "environment.json").write_text(json.dumps({"commit": "abc", "world_size": 1, "gpus": [], "threads": 1}))
    rows = [
        {"iteration": at, "time": 1000.0 + at, "loss/generator": 1 / at, "images_per_second": 4.0, "val/ssim": at / 200}
        for at in range(50, iterations + 1, 50)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "log.txt").write_text("2026-01-01 00:00:00  0 of 100 iterations are played\n")
    if scores:
        told = {"schema": 1, "iteration": iterations, "ema": True, "split": "test", "n": 64, "metrics": dict(scores),
                "untranslated": UNTRANSLATED, "protocol": PROTOCOL, "better": {"l1": "lower", "ssim": "higher"}}  # fmt: skip
        text = json.dumps(told | dict(evaluation or {}))
        (folder / "scores.json").write_text(text)
        (folder / "scores.jsonl").write_text(text + "\n")
    return folder
