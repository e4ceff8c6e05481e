"""A conditional generator of digits, and what a classifier reads in its pictures: trained from nothing, then held to its limits.

Only real pictures taught the classifier: those that the generator was trained on. The limits were set before the runs.

    python benchmarks/digits.py glyphs [OVERRIDES]
    python benchmarks/digits.py mnist_t10k FOLDER [OVERRIDES]      MNIST's 10,000 test digits as idx files: 9,000 to train on
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch

from stylegan_lab.cli.evaluate import evaluate
from stylegan_lab.cli.main import run
from stylegan_lab.environment import describe_environment
from stylegan_lab.runs import find_run

RESULTS = Path(__file__).parent / "results"
MADE = 2_000
# By score, what is to be reached; of memorising, what is not to be passed.
LIMITS = {
    "glyphs": {"class_consistency": 0.9, "classification_accuracy": 0.85, "modes_covered": 10, "memorised": 0.1},
    "mnist_t10k": {"class_consistency": 0.95, "diversity": 0.8, "modes_covered": 10, "memorised": 0.1},
}
EXPERIMENTS = {"glyphs": "cgan_glyphs", "mnist_t10k": "cgan_mnist"}


def measure(name: str, overrides: Sequence[str]) -> dict[str, object]:
    environment = {key: value for key, value in describe_environment(1).items() if key != "command"}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "run"
        command = ["train", f"experiment={EXPERIMENTS[name]}", "evaluate=false", "callbacks.scoring=null", *overrides]
        start, ran = time.perf_counter(), time.process_time()
        if run([*command, "callbacks.checkpoints.monitor=null", "logger=none", f"output_dir={folder}"]):
            sys.exit(1)
        wall, processor = time.perf_counter() - start, time.process_time() - ran
        scores = evaluate(find_run(str(folder))[0], "last", "test", count=MADE)
        write_sheet(folder, name)
    return {
        "date": str(date.today()),
        "command": " ".join(["stylegan-lab", *(word for word in command if not word.startswith("data.root="))]),
        "iterations": scores["iteration"],
        "pictures": MADE,
        "seconds": {"wall": round(wall), "processor": round(processor)},
        "limits": LIMITS[name],
        "generated": scores["metrics"],
        "held_out": scores["held_out"],
        "protocol": scores["protocol"],
        "environment": environment,
    }


def write_sheet(folder: Path, name: str) -> None:
    """Pictures of each class in turn, beside the scores."""
    RESULTS.mkdir(exist_ok=True)
    run(["generate", str(folder), str(RESULTS / f"digits_{name}.png"), "--n", "80"])


def held(result: dict[str, object]) -> bool:
    """Say each limit, and whether all were held."""
    scores: dict[str, float] = result["generated"]  # type: ignore[assignment]
    held_out: dict[str, float] = result["held_out"]  # type: ignore[assignment]
    all_held = True
    for score, limit in LIMITS[str(result["name"])].items():
        holds = scores[score] <= limit if score == "memorised" else scores[score] >= limit
        real = f", held-out pictures {held_out[score]:.3f}" if score in held_out else ""
        print(f"{score:<24}{scores[score]:7.3f}  limit {limit}{real}  {'holds' if holds else 'FALLS SHORT'}")
        all_held &= holds
    return all_held


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1] not in LIMITS:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    name, *rest = sys.argv[1:]
    if name == "mnist_t10k":
        rest = [f"data.root={rest[0]}", "data.val_share=0", "data.test_share=0.1", *rest[1:]]
    result = {"name": name, **measure(name, rest)}
    (RESULTS / f"digits_{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if held(result) else 1)


if __name__ == "__main__":
    main()
