"""What each model's ranks must send, when that hurts, and what two ranks on this machine's processors do (docs/scaling.md).

python benchmarks/scaling.py              # bytes of each model, from its parameters; how fast samples are made
python benchmarks/scaling.py --measure 3  # and three rounds of one process and two ranks, in turn
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

from stylegan_lab.conf_dir import CONF
from stylegan_lab.experiment import build_data, build_module
from stylegan_lab.loggers.record import read_record
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.module import Module, Player

RESULTS = Path(__file__).parent / "results" / "scaling.json"
# Each model as its paper has it, at the smallest size its nets take: bytes do not depend on it.
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
}  # bytes a second, as all-reduces reach them
LATENCY = 50e-6  # seconds, of one message
TRAINING = [
    "experiment=demo", "logger=none", "evaluate=false", "iterations=40", "precision=32", "data.size=64",
    "callbacks.scoring.every=0", "callbacks.samples.every=100000", "callbacks.alarms.every=0", "callbacks.checkpoints.every=0",
    "trainer.log_every_n_steps=10", "output_dir=run",
]  # fmt: skip
WAYS = {
    "one process": ["strategy=cpu", "data.batch_size=2"],
    "two ranks": ["strategy=ddp", "strategy.accelerator=cpu", "strategy.devices=2", "data.batch_size=2"],
}


def composed(*overrides: str) -> Any:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", [*overrides, "features.weights=random"])


def sent(model: str) -> dict[str, float]:
    """What one rank hands over in an iteration: the gradients of whoever moves, at each turn."""
    config = composed(f"model={model}", *MODELS[model], "data.batch_size=1")
    module, data = build_module(config), build_data(config)
    turns: list[int] = []

    def descend(_: Module, player: Any, *__: Any) -> Terms:
        moving = [player] if isinstance(player, Player) else player
        turns.append(sum(each.numel() for one in moving for each in one.parameters()))
        return Terms({})

    module.iteration = 1
    before, Module.descend = Module.descend, descend  # type: ignore[method-assign]
    try:
        (batch,) = (batch for _, batch in zip(range(1), train_batches(data), strict=False))
        with torch.no_grad():
            module.training_step(batch, 0)
    finally:
        Module.descend = before  # type: ignore[method-assign]
    everything = sum(each.numel() for player in module.players for each in player.parameters())
    return {
        "parameters": everything, "turns": len(turns), "bytes": 4 * sum(turns),
        "bytes_if_all_were_sent_each_turn": 4 * everything * len(turns),
    }  # fmt: skip


def train_batches(data: Any) -> Iterator[Any]:
    for batch in data.train_dataloader():
        yield data.on_after_batch_transfer(batch, 0)


def spent_sending(of: dict[str, float], bandwidth: float, ranks: int) -> float:
    """Seconds: a ring hands 2 (n - 1) / n of the bytes over each link."""
    return 2 * (ranks - 1) / ranks * of["bytes"] / bandwidth + of["turns"] * 2 * (ranks - 1) * LATENCY


def samples_per_second(size: int, seconds: float = 3.0) -> float:
    """Of one loader worker."""
    samples = build_data(composed(f"data.size={size}")).train_samples()
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        _ = samples[(0, count)]
        count += 1
    return count / (time.perf_counter() - began)


def images_per_second(way: str) -> float:
    """The median over a training's record, but for its first line."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "stylegan_lab", "train", *TRAINING, *WAYS[way]]
        subprocess.run(
            command, cwd=folder, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
        )
        rows = read_record(Path(folder) / "run" / "metrics.jsonl")
    return statistics.median([row["images_per_second"] for row in rows if "images_per_second" in row][1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", type=int, default=0, metavar="ROUNDS")
    rounds = parser.parse_args().measure
    torch.set_num_threads(1)
    results: dict[str, Any] = {
        "machine": {"platform": platform.platform(), "cpu_count": os.cpu_count(), "torch": torch.__version__, "gpus": []},
        "sent": {model: sent(model) for model in MODELS},
        "samples_per_second_per_worker": {size: samples_per_second(size) for size in (64, 128, 256)},
    }  # fmt: skip
    print("| model | parameters | turns | MB an iteration | MB, were all sent each turn |\n|---|---|---|---|---|")
    for model, of in results["sent"].items():
        print(
            f"| `{model}` | {of['parameters'] / 1e6:.2f} M | {of['turns']} | {of['bytes'] / 1e6:.1f} "
            f"| {of['bytes_if_all_were_sent_each_turn'] / 1e6:.1f} |"
        )
    print(f"\nms spent sending on 2 / 8 / 32 GPUs\n\n| model | {' | '.join(LINKS)} |\n|---|{'---|' * len(LINKS)}")
    for model, of in results["sent"].items():
        cells = (" / ".join(f"{1e3 * spent_sending(of, speed, n):.1f}" for n in (2, 8, 32)) for speed in LINKS.values())
        print(f"| `{model}` | {' | '.join(cells)} |")
    print(f"\nsamples a second, of one worker, by size: {results['samples_per_second_per_worker']}")
    if rounds:
        seen: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                seen[way].append(images_per_second(way))
        ratios = [two / one for one, two in zip(*seen.values(), strict=True)]
        results["two_ranks"] = {
            "command": " ".join(TRAINING), "ways": WAYS, "images_per_second": seen, "ratios": ratios,
            "ratio": statistics.median(ratios), "load_average": os.getloadavg(),
        }  # fmt: skip
        print(f"two ranks over one process: {results['two_ranks']['ratio']:.2f} ({ratios})")
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
