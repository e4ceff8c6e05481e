"""Measure the communication and speed of data-parallel training (docs/scaling.md).

python benchmarks/scaling.py              # bytes that each model sends per iteration, and the speed of data loading
python benchmarks/scaling.py --measure 3  # also the speed of two ranks against one process on this CPU, three rounds of each
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from hydra import compose, initialize_config_dir

from stylegan_lab.config.paths import CONF
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.player import Player
from stylegan_lab.runs.metrics_file import read_metrics
from stylegan_lab.training.experiment import build_data, build_module

RESULTS = Path(__file__).parent / "results" / "scaling.json"
# The settings of each paper, at the smallest image size the networks accept: bytes do not depend on it.
MODELS = {
    "cyclegan": ["data.size=64"],
    "cut": ["data.size=64"],
    "pix2pix": ["data.size=256"],
    "perceptual": ["data.size=64"],
    "multidomain": ["data.size=64"],
    "stargan2": ["data.size=256"],
    "johnson": ["data.size=64"],
    "adain": ["data.size=64"],
}
LINKS = {
    "NVLink": 200e9,
    "PCIe 4": 20e9,
    "100 Gbit/s": 10e9,
    "25 Gbit/s": 2.5e9,
}  # bytes per second reached by all-reduces
LATENCY = 50e-6  # seconds per message
TRAINING = [
    "experiment=demo", "logger=none", "evaluate=false", "iterations=40", "precision=32", "data.size=64",
    "callbacks.validation.every=0", "callbacks.samples.every=100000", "callbacks.gan_failures.every=0",
    "callbacks.checkpointing.every=0",
    "trainer.log_every_n_steps=10", "output_dir=run",
]  # fmt: skip
LAYOUTS = {
    "one process": ["strategy=cpu", "data.batch_size=2"],
    "two ranks": ["strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=2"],
}


def composed(*overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", [*overrides, "features.weights=random"])


def communication(model: str) -> dict[str, float]:
    """Return what one rank sends per iteration: the gradients of the networks that each optimizer step updates."""
    config = composed(f"model={model}", *MODELS[model], "data.batch_size=1")
    module, data = build_module(config), build_data(config)
    steps: list[int] = []  # gradient elements sent by each optimizer step

    def optimize(_: BaseModel, player: Any, *__: Any) -> Losses:
        players = [player] if isinstance(player, Player) else player
        steps.append(sum(parameter.numel() for each in players for parameter in each.parameters()))
        return Losses({})

    module.iteration = 1
    original, BaseModel.optimize = BaseModel.optimize, optimize  # type: ignore[method-assign]
    try:
        (batch,) = (batch for _, batch in zip(range(1), train_batches(data), strict=False))
        with torch.no_grad():
            module.training_step(batch, 0)
    finally:
        BaseModel.optimize = original  # type: ignore[method-assign]
    total = sum(each.numel() for player in module.players for each in player.parameters())
    return {
        "parameters": total, "optimizer_steps": len(steps), "bytes": 4 * sum(steps),
        "bytes_if_all_were_sent_each_step": 4 * total * len(steps),
    }  # fmt: skip


def train_batches(data: Any) -> Iterator[Any]:
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(batch, 0)


def seconds_sending(sent: dict[str, float], bandwidth: float, ranks: int) -> float:
    """Estimate the seconds for sending. A ring all-reduce over n ranks sends 2 (n - 1) / n of the bytes over each link."""
    return 2 * (ranks - 1) / ranks * sent["bytes"] / bandwidth + sent["optimizer_steps"] * 2 * (ranks - 1) * LATENCY


def samples_per_second(size: int, seconds: float = 3.0) -> float:
    """Measure the samples per second of one DataLoader worker."""
    samples = build_data(composed(f"data.size={size}")).train_samples()
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        _ = samples[(0, count)]
        count += 1
    return count / (time.perf_counter() - start)


def images_per_second(layout: str) -> float:
    """Train in a temporary folder, and return the median of the logged images per second. The first logged value is left out."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stylegan_lab", "train", *TRAINING, *LAYOUTS[layout]]
        subprocess.run(
            command, cwd=folder, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        )
        rows = read_metrics(Path(folder) / "run" / "metrics.jsonl")
    return statistics.median([row["images_per_second"] for row in rows if "images_per_second" in row][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=int, default=0, metavar="ROUNDS")
    rounds = parser.parse_args().measure
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "machine": {"platform": platform.platform(), "cpu_count": os.cpu_count(), "torch": torch.__version__, "gpus": []},
        "sent": {model: communication(model) for model in MODELS},
        "samples_per_second_per_worker": {size: samples_per_second(size) for size in (64, 128, 256)},
    }  # fmt: skip
    print(
        "| model | parameters | optimizer steps | MB per iteration | MB if all parameters were sent each step "
        "|\n|---|---|---|---|---|"
    )
    for model, sent in results["sent"].items():
        print(
            f"| `{model}` | {sent['parameters'] / 1e6:.2f} M | {sent['optimizer_steps']} | {sent['bytes'] / 1e6:.1f} "
            f"| {sent['bytes_if_all_were_sent_each_step'] / 1e6:.1f} |"
        )
    print(f"\nms spent sending on 2 / 8 / 32 GPUs\n\n| model | {' | '.join(LINKS)} |\n|---|{'---|' * len(LINKS)}")
    for model, sent in results["sent"].items():
        cells = (
            " / ".join(f"{1e3 * seconds_sending(sent, speed, n):.1f}" for n in (2, 8, 32)) for speed in LINKS.values()
        )
        print(f"| `{model}` | {' | '.join(cells)} |")
    print(f"\nsamples per second of one worker, by size: {results['samples_per_second_per_worker']}")
    if rounds:
        speeds: dict[str, list[float]] = {layout: [] for layout in LAYOUTS}
        for _ in range(rounds):
            for layout in LAYOUTS:
                speeds[layout].append(images_per_second(layout))
        ratios = [two / one for one, two in zip(*speeds.values(), strict=True)]
        results["two_ranks"] = {
            "command": " ".join(TRAINING), "layouts": LAYOUTS, "images_per_second": speeds, "ratios": ratios,
            "ratio": statistics.median(ratios), "load_average": os.getloadavg(),
        }  # fmt: skip
        print(f"two ranks over one process: {results['two_ranks']['ratio']:.2f} ({ratios})")
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
