"""Pictures a second on their way to batches: Pillow's plain way, decoding each time, and kept decoded, in turns in one run.

All three give batches of 16 crops of 256 pixels out of 286, flipped half of the time, from one process with one thread, as a
loader worker is.
`cold` is from nothing to the end of the first epoch, with the building of the cache; `warm` are later epochs, in turns.

    python benchmarks/data_loading.py [FOLDER_OF_PICTURES]        without a folder, JPEGs of 800x600 are made
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

import numpy as np
import PIL
import torch
from PIL import Image

from stylegan_lab.data.folders.flat import FlatFolder
from stylegan_lab.data.folders.listing import pictures_below
from stylegan_lab.data.folders.many_hands import cores
from stylegan_lab.data.sampler import EpochSampler
from stylegan_lab.images.augment.crop import Crop
from stylegan_lab.images.augment.flip import Flip
from stylegan_lab.images.fit import Resize

LOAD, SIZE, BATCH, ROUNDS, MADE = 286, 256, 16, 5, 200
RESULTS = Path(__file__).parent / "results"


def made(folder: Path) -> Path:
    """Waves and grain: of about the size of photos as JPEG."""
    chance = np.random.default_rng(0)
    y, x = np.mgrid[:600, :800]
    for number in range(MADE):
        waves = [np.sin(x * chance.uniform(0, 0.1) + y * chance.uniform(0, 0.1)) for _ in range(3)]
        pixels = np.stack(waves, axis=-1) * 90 + 128 + chance.normal(0, 8, (600, 800, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{number:03}.jpg", quality=90)
    return folder


def by_pillow(paths: list[Path]) -> Iterator[torch.Tensor]:
    order = random.sample(paths, len(paths))
    for start in range(0, len(order) - BATCH + 1, BATCH):
        yield torch.stack([one_by_pillow(path) for path in order[start : start + BATCH]])


def one_by_pillow(path: Path) -> torch.Tensor:
    with Image.open(path) as opened:
        picture = opened.convert("RGB").resize((LOAD, LOAD), Image.Resampling.BICUBIC)
    left, top = random.randint(0, LOAD - SIZE), random.randint(0, LOAD - SIZE)
    picture = picture.crop((left, top, left + SIZE, top + SIZE))
    if random.random() < 0.5:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def ours(folder: Path, cache: bool, place: Path) -> FlatFolder:
    return FlatFolder(
        root=str(folder), fit=Resize(LOAD, LOAD), augment={"crop": Crop(SIZE), "flip": Flip()}, size=SIZE, load_size=LOAD,
        batch_size=BATCH, workers=0, cache=cache, cache_dir=str(place), val_share=0, test_share=0,
    )  # fmt: skip


def epoch_of(data: FlatFolder, epoch: int) -> Iterator[torch.Tensor]:
    loader = torch.utils.data.DataLoader(
        data.train_samples(), BATCH, sampler=EpochSampler(data.samples, 0, epoch=epoch), drop_last=True
    )
    return (batch["image"] for batch in loader)


def timed(batches: Callable[[], Iterator[torch.Tensor]]) -> float:
    """Pictures a second."""
    start, seen = time.perf_counter(), 0
    for batch in batches():
        seen += len(batch)
    return seen / (time.perf_counter() - start)


def main() -> None:
    torch.set_num_threads(1)  # as in a loader worker
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        (place / "made").mkdir()
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else made(place / "made")
        paths = pictures_below(folder)
        kept: list[FlatFolder] = []

        def cold() -> Iterator[torch.Tensor]:
            kept.append(ours(folder, True, place / "cache"))
            return epoch_of(kept[0], 0)

        cold_start = {
            "pillow": timed(lambda: by_pillow(paths)),
            "decoding": timed(lambda: epoch_of(ours(folder, False, place), 0)),
            "kept": timed(cold),
        }
        plain = ours(folder, False, place)
        ways = {
            "pillow": lambda _: by_pillow(paths),
            "decoding": lambda epoch: epoch_of(plain, epoch),
            "kept": lambda epoch: epoch_of(kept[0], epoch),
        }
        seen: dict[str, list[float]] = {name: [] for name in ways}
        for epoch in range(1, ROUNDS + 1):
            for name, way in ways.items():
                seen[name].append(timed(lambda way=way, epoch=epoch: way(epoch)))  # type: ignore[misc]
    warm = {name: median(values) for name, values in seen.items()}
    print("pictures a second   " + "".join(f"{name:>10}" for name in warm))
    print("first epoch, cold   " + "".join(f"{cold_start[name]:10.0f}" for name in warm))
    print("later epochs, median" + "".join(f"{value:10.0f}" for value in warm.values()))
    result = {
        "date": str(date.today()), "pictures": len(paths), "folder": "made" if len(sys.argv) == 1 else folder.name,
        "cold": cold_start, "warm": seen, "cores": cores(), "machine": platform.machine(), "torch": torch.__version__,
        "pillow": PIL.__version__, "batch": BATCH, "load_size": LOAD, "size": SIZE,
    }  # fmt: skip
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"data_loading_{result['folder']}.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
