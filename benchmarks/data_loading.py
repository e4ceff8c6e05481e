"""Images loaded per second: by plain Pillow code, by this package without its cache, and by this package with its cache.

All three load batches of 16 random 256-pixel crops of images resized to 286 pixels, with random flips, in one process with
one thread, like a DataLoader worker. `cold` is the first epoch, including the time to build the cache. `warm` is the median
of later epochs, in which the three methods alternate.

    python benchmarks/data_loading.py [FOLDER]        without a folder, JPEGs of 800x600 are generated
"""

import json
import platform
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import PIL
import torch
from PIL import Image

from stylegan_lab.cores import num_cores
from stylegan_lab.data.folders.flat import FlatFolderDataModule
from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.data.sampler import EpochSampler
from stylegan_lab.images.transforms.augment import RandomCrop, RandomFlip
from stylegan_lab.images.transforms.resize import Resize

LOAD, SIZE, BATCH, ROUNDS, NUM_GENERATED = 286, 256, 16, 5, 200
RESULTS = Path(__file__).parent / "results"


def generate_images(folder: Path, count: int = NUM_GENERATED) -> Path:
    """Write images of waves and noise. Their JPEG files are about as large as JPEG files of photos."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:600, :800]
    for number in range(count):
        waves = [np.sin(x * rng.uniform(0, 0.1) + y * rng.uniform(0, 0.1)) for _ in range(3)]
        pixels = np.stack(waves, axis=-1) * 90 + 128 + rng.normal(0, 8, (600, 800, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.jpg", quality=90)
    return folder


def pillow_batches(paths: list[Path]) -> Iterator[torch.Tensor]:
    order = random.sample(paths, len(paths))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        yield torch.stack([load_with_pillow(path) for path in order[start : start + BATCH]])


def load_with_pillow(path: Path) -> torch.Tensor:
    with Image.open(path) as opened:
        image = opened.convert("RGB").resize((LOAD, LOAD), Image.Resampling.BICUBIC)
    left, top = random.randint(0, LOAD - SIZE), random.randint(0, LOAD - SIZE)
    image = image.crop((left, top, left + SIZE, top + SIZE))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def package_data(folder: Path, cache: bool, cache_dir: Path) -> FlatFolderDataModule:
    return FlatFolderDataModule(
        root=str(folder), resize=Resize(LOAD, LOAD),
        augment={"crop": RandomCrop(SIZE), "flip": RandomFlip()}, size=SIZE, load_size=LOAD,
        batch_size=BATCH, num_workers=0, cache=cache, cache_dir=str(cache_dir), val_fraction=0, test_fraction=0,
    )  # fmt: skip


def package_batches(data: FlatFolderDataModule, epoch: int) -> Iterator[torch.Tensor]:
    loader = torch.utils.data.DataLoader(
        data.train_samples(), BATCH, sampler=EpochSampler(data.num_samples, 0, epoch=epoch), drop_last=True
    )
    return (batch["image"] for batch in loader)


def images_per_second(batches: Callable[[], Iterator[torch.Tensor]]) -> float:
    start, count = time.perf_counter(), 0
    for batch in batches():
        count += len(batch)
    return count / (time.perf_counter() - start)


def measure(folder: Path, cache_dir: Path, rounds: int = ROUNDS) -> dict[str, Any]:
    """Measure the images per second in the first epoch (`cold`) and in each later epoch (`warm`), in one process with one
    thread."""
    torch.set_num_threads(1)  # as in a DataLoader worker
    paths = images_below(folder)
    cached: list[FlatFolderDataModule] = []

    def cold() -> Iterator[torch.Tensor]:
        cached.append(package_data(folder, True, cache_dir))
        return package_batches(cached[0], 0)

    cold_start = {
        "pillow": images_per_second(lambda: pillow_batches(paths)),
        "decoding": images_per_second(lambda: package_batches(package_data(folder, False, cache_dir), 0)),
        "kept": images_per_second(cold),
    }
    uncached = package_data(folder, False, cache_dir)
    loaders = {
        "pillow": lambda _: pillow_batches(paths),
        "decoding": lambda epoch: package_batches(uncached, epoch),
        "kept": lambda epoch: package_batches(cached[0], epoch),
    }
    speeds: dict[str, list[float]] = {name: [] for name in loaders}
    for epoch in range(1, rounds + 1):
        for name, loader in loaders.items():
            speeds[name].append(images_per_second(lambda loader=loader, epoch=epoch: loader(epoch)))  # type: ignore[misc]
    return {"images": len(paths), "batch": BATCH, "load_size": LOAD, "size": SIZE, "cold": cold_start, "warm": speeds}


def main() -> None:
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        (root / "made").mkdir()
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else generate_images(root / "made")
        measured = measure(folder, root / "cache")
    cold_start, warm = measured["cold"], {name: median(values) for name, values in measured["warm"].items()}
    print("images per second   " + "".join(f"{name:>10}" for name in warm))
    print("first epoch, cold   " + "".join(f"{cold_start[name]:10.0f}" for name in warm))
    print("later epochs, median" + "".join(f"{value:10.0f}" for value in warm.values()))
    result = measured | {
        "date": str(date.today()), "folder": "made" if len(sys.argv) == 1 else folder.name, "num_cores": num_cores(),
        "machine": platform.machine(), "torch": torch.__version__, "pillow": PIL.__version__,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"data_loading_{result['folder']}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
