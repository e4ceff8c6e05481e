"""Measure the speed and memory of translating a folder, one image, or a large photograph, with PyTorch or ONNX Runtime.

    python -m benchmarks.translate '{"model": "runs/demo", "images": "photos", "count": 100}'

`model` is a run or an exported .onnx file. Memory is the peak memory of the process minus its memory after the imports.
"""

import io
import json
import sys
import tempfile
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import stylegan_lab
from benchmarks.measure import cost_of, peak_memory_mb
from stylegan_lab.cli.main import run
from stylegan_lab.export.onnx_translator import OnnxTranslator
from stylegan_lab.images.photograph import read_photograph
from stylegan_lab.training.image_translator import ImageTranslator

TRAIN_NOTHING = ["iterations=1", "logger=none", "evaluate=false", "callbacks.validation=null", "callbacks.samples=null"]


def make_run(folder: Path, generator: str, *overrides: str) -> Path:
    """Create a run of cyclegan with this generator, which is almost untrained."""
    train = ["train", "experiment=smoke", f"generator={generator}", *overrides, *TRAIN_NOTHING, f"output_dir={folder}"]
    _quietly(train)
    return folder


def make_onnx(model: Path) -> Path:
    _quietly(["export", str(model), str(model.with_suffix(".onnx"))])
    return model.with_suffix(".onnx")


def make_images(folder: Path, count: int, width: int, height: int) -> Path:
    """Write images of smooth shapes and noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(count):
        shapes = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((width, height))
        noise = Image.effect_noise((width, height), 30).convert("RGB")
        Image.blend(shapes, noise, 0.2).save(folder / f"{index:03}.png", compress_level=1)
    return folder


def main(model: str, images: str, count: int, warm: int = 0) -> dict[str, Any]:
    """Measure the cost of translating all images of a folder in one command, and of translating one image once the model is
    loaded."""
    before = _resident_memory_mb()
    with tempfile.TemporaryDirectory() as folder:
        cost = cost_of(lambda: _quietly(["translate", model, images, f"{folder}/out"]))
        assert len(list(Path(folder, "out").iterdir())) == count
    result = {
        "images_per_second": count / cost.wall,
        "cpu_seconds_per_image": cost.cpu / count,
        "memory_mb": peak_memory_mb() - before,
    }
    if warm:
        translator = _translator(model)
        image = read_photograph(min(Path(images).iterdir())).colors[None]
        translator(image)
        result["warm_seconds"] = median(cost_of(lambda: translator(image)).wall for _ in range(warm))
    return result


def _translator(model: str) -> ImageTranslator:
    return OnnxTranslator(Path(model)) if model.endswith(".onnx") else stylegan_lab.load(model).translator()


def _quietly(command: list[str]) -> None:
    with redirect_stdout(io.StringIO()):
        code = run(command)
    if code:
        raise RuntimeError(f"{' '.join(command)} ended with exit code {code}")


def _resident_memory_mb() -> float:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024 / 1e6


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
