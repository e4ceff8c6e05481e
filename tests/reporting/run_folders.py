"""Minimal run folders, written without training."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

PROTOCOL = {"l1": "mean absolute difference", "ssim": "Gaussian window", "size": 16, "bits": 8}
UNTRANSLATED = {"l1": 0.2, "ssim": 0.25}


def config_from_checkpoint(seed: int, settings: Mapping[str, Any]) -> dict[str, Any]:
    """As in a composed config, `model` interpolates the sources `generator` and `loss`."""
    config: dict[str, Any] = {
        "iterations": 100,
        "seed": seed,
        "output_dir": None,
        "generator": {"_target_": "lab.networks.ResNet", "_partial_": True, "channels": 16},
        "loss": {
            "_target_": "lab.AdversarialLoss",
            "gan_loss": {"_target_": "lab.losses.LSGANLoss"},
            "regularizers": {},
        },
        "data": {"_target_": "lab.Scenes", "size": 16, "batch_size": 2, "num_workers": 0},
        "model": {"_target_": "lab.CycleGAN", "cycle_weight": 10.0},
        "callbacks": {"samples": {"_target_": "lab.SampleGrids", "every": 50}},
        "strategy": {"accelerator": "auto"},
        "logger": {},
    }
    for key, value in settings.items():
        *parents, last = key.split(".")
        place = config
        for parent in parents:
            place = place[parent]
        place[last] = value
    config["model"] |= {source: config[source] for source in ("generator", "loss")}
    return config


def make_run(
    folder: Path,
    seed: int = 0,
    scores: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    evaluation: Mapping[str, Any] | None = None,
    iterations: int = 100,
) -> Path:
    """A complete run of `iterations` of 100 iterations, at 4 images per second."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config_from_checkpoint(seed, settings or {}), sort_keys=False))
    (folder / "environment.json").write_text(json.dumps({"commit": "abc", "world_size": 1, "gpus": [], "threads": 1}))
    rows = [
        {"iteration": at, "time": 1000.0 + at, "loss/generator": 1 / at, "images_per_second": 4.0, "val/ssim": at / 200}
        for at in range(50, iterations + 1, 50)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    state: dict[str, Any] = {"schema": 1, "status": "finished" if iterations >= 100 else "interrupted"}
    (folder / "run.json").write_text(json.dumps(state | {"budget": 100, "iteration": iterations, "sessions": []}))
    if scores:
        contents = {"schema": 1, "iteration": iterations, "ema": True, "split": "test", "n": 64, "metrics": dict(scores),
                "untranslated": UNTRANSLATED, "protocol": PROTOCOL, "better": {"l1": "lower", "ssim": "higher"}}  # fmt: skip
        text = json.dumps(contents | dict(evaluation or {}))
        (folder / "scores.json").write_text(text)
        (folder / "scores.jsonl").write_text(text + "\n")
    return folder
