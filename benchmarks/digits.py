"""Train a conditional generator of digits, evaluate it with a classifier, and compare the scores with limits.

The classifier is trained on the generator's real training images only. The limits were set before the runs.

    python benchmarks/digits.py glyphs [OVERRIDES]
    python benchmarks/digits.py mnist_t10k FOLDER [OVERRIDES]      MNIST's 10,000 test digits as idx files; 9,000 are for training
    python benchmarks/digits.py judge RUN MNIST.onnx               a classifier of 28x28 digits that this project did not train

The last command writes how many of 2,000 generated images the classifier reads as the requested class, and how many of the
real ones as their class. The ONNX model zoo's mnist-8.onnx takes such images.
"""

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import torch
import torch.nn.functional as F

from stylegan_lab.cli.main import run
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.value_range import to_unit
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.environment import describe_environment
from stylegan_lab.runs.reader import find_run
from stylegan_lab.training.evaluate import evaluate_checkpoint
from stylegan_lab.training.experiment import build_data, config_from_checkpoint, restore_module

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


def judge(run_folder: str, classifier: str) -> dict[str, object]:
    """Return the share of generated and of held-out real images that a foreign classifier reads as the requested class."""
    import onnxruntime

    session = onnxruntime.InferenceSession(classifier)
    contents = read_checkpoint(find_run(run_folder)[0].checkpoint("last"))
    model, data = restore_module(contents).eval(), build_data(config_from_checkpoint(contents))
    labels = torch.arange(NUM_IMAGES) % 10
    with torch.no_grad():
        generated = torch.cat([
            to_unit(model.generate(model.numbered_latents(0, int(part[0]), len(part)), labels[part]))  # type: ignore[operator]
            for part in torch.arange(NUM_IMAGES).split(100)
        ])  # fmt: skip
    held_out = list(data.batches(data.held_out("test")))
    real = torch.cat([to_unit(batch["image"]) for batch in held_out])

    def share(images: torch.Tensor, expected: torch.Tensor) -> float:
        pixels = 255 * F.interpolate(images[:, :1], (28, 28), mode="bilinear", antialias=True)
        read = [session.run(None, {session.get_inputs()[0].name: each.numpy()})[0].argmax() for each in pixels.split(1)]
        return float((torch.tensor(read) == expected).float().mean())

    return {
        "judge": {"sha256": file_digest(Path(classifier)), "runtime": f"onnxruntime {onnxruntime.__version__}"},
        "iterations": contents["iteration"],
        "generated": {"images": NUM_IMAGES, "read_as_requested": share(generated, labels)},
        "held_out": {"images": len(real), "read_right": share(real, torch.cat([batch["label"] for batch in held_out]))},
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
    if len(sys.argv) < 2 or sys.argv[1] not in {*LIMITS, "judge"}:
        sys.exit(__doc__)
    torch.set_num_threads(1)
    name, *rest = sys.argv[1:]
    if name == "judge":
        judged = judge(*rest)
        (RESULTS / "digits_judge.json").write_text(json.dumps(judged, indent=2) + "\n")
        print(json.dumps(judged, indent=2))
        return
    if name == "mnist_t10k":
        rest = [f"data.root={rest[0]}", "data.val_fraction=0", "data.test_fraction=0.1", *rest[1:]]
    result = {"name": name, **measure(name, rest)}
    (RESULTS / f"digits_{name}.json").write_text(json.dumps(result, indent=2) + "\n")
    sys.exit(0 if check_limits(result) else 1)


if __name__ == "__main__":
    main()
