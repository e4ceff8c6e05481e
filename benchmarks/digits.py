"""Train a conditional generator of digits, evaluate it with a classifier, and compare the scores with limits.

The classifier is trained on the generator's real training images only. The limits were set before the runs.

    python benchmarks/digits.py glyphs [OVERRIDES]
    python benchmarks/digits.py mnist_t10k FOLDER [OVERRIDES]      MNIST's 10,000 test digits as idx files; 9,000 are for training
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

from stylegan_lab.cli.main import run
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.reader import find_run
from stylegan_lab.training.evaluate import evaluate_checkpoint

RESULTS = Path(__file__).parent / "results"
NUM_IMAGES = 2_000
# Minimum scores; for memorization, the maximum.
LIMITS = {
    "glyphs": {"class_consistency": 0.9, "classification_accuracy": 0.85, "modes_covered": 10, "memorization": 0.1},
    "mnist_t10k": {"class_consistency": 0.95, "diversity": 0.8, "modes_covered": 10, "memorization": 0.1},
}
EXPERIMENTS = {"glyphs": "cgan_glyphs", "mnist_t10k": "cgan_mnist"}


def measure(name: str, overrides: Sequence[str]) -> dict[str, object]:
    environment = {key: value for key, value in describe_environment(1).items() if key != "command"}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        command = [
            "train",
            f"experiment={EXPERIMENTS[name]}",
            "evaluate=false",
            "callbacks.validation=null",
            *overrides,
        ]
        start, cpu_start = time.perf_counter(), time.process_time()
        if run([*command, "callbacks.checkpointing.monitor=null", "logger=none", f"output_dir={folder}"]):
            sys.exit(1)
        wall, processor = time.perf_counter() - start, time.process_time() - cpu_start
        evaluation = evaluate_checkpoint(find_run(folder)[0], "last", "test", count=NUM_IMAGES)
        print(evaluation)
        scores = evaluation.document
        write_samples(folder, name)
    return {
        "date": str(date.today()),
        "command": " ".join(["stylegan-lab", *(word for word in command if not word.startswith("data.root="))]),
        "iterations": scores["iteration"],
        "images": NUM_IMAGES,
        "seconds": {"wall": round(wall), "processor": round(processor)},
        "limits": LIMITS[name],
        "generated": scores["metrics"],
        "held_out": scores["held_out"],
        "protocol": scores["protocol"],
        "environment": environment,
    }


def write_samples(folder: Path, name: str) -> None:
    """Write generated images of each class to the folder of the results."""
    RESULTS.mkdir(exist_ok=True)
    run(["generate", str(folder), str(RESULTS / f"digits_{name}.png"), "--n", "80"])


def check_limits(result: dict[str, object]) -> bool:
    """Print each score with its limit, and return whether all limits are met."""
    scores: dict[str, float] = result["generated"]  # type: ignore[assignment]
    held_out: dict[str, float] = result["held_out"]  # type: ignore[assignment]
    all_met = True
    for score, limit in LIMITS[str(result["name"])].items():
        is_met = scores[score] <= limit if score == "memorization" else scores[score] >= limit
        real = f", held-out images {held_out[score]:.3f}" if score in held_out else ""
        print(f"{score:<24}{scores[score]:7.3f}  limit {limit}{real}  {'met' if is_met else 'NOT MET'}")
        all_met &= is_met
    return all_met


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in LIMITS:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    name, *rest = sys.argv[1:]
    if name == "mnist_t10k":
        rest = [f"data.root={rest[0]}", "data.val_fraction=0", "data.test_fraction=0.1", *rest[1:]]
    result = {"name": name, **measure(name, rest)}
    (RESULTS / f"digits_{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if check_limits(result) else 1)


if __name__ == "__main__":
    main()
