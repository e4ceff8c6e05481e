"""Fréchet and kernel distances among the splits of summer2winter_yosemite at FID's 64-, 192- and 768-d Inception layers.

python benchmarks/frechet_seasons.py SUMMER2WINTER WEIGHTS [RESIZE]

SUMMER2WINTER contains trainA and testA (summer), trainB and testB (winter) at 256 px. The distances between two samples of
one season are the floor that a translation is compared with: it depends on the number of images.
"""

import json
import platform
import sys
from pathlib import Path

import torch

from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.evaluation.feature_extractors import FeatureSet, inception
from stylegan_lab.evaluation.feature_metrics import frechet_distance, kernel_distance
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.image_io import read_pixels

RESULTS = Path(__file__).parent / "results" / "frechet_seasons.json"
LAYERS = ("64", "192", "768")
SPLITS = ("trainA", "testA", "trainB", "testB")


def comparisons(sets: dict[str, FeatureSet]) -> dict[str, tuple[FeatureSet, FeatureSet]]:
    summer, winter = sets["trainA"].vectors, sets["trainB"].vectors
    summer_test, winter_test = sets["testA"].vectors, sets["testB"].vectors
    rng = torch.Generator().manual_seed(0)
    summer, winter = (vectors[torch.randperm(len(vectors), generator=rng)] for vectors in (summer, winter))
    half = min(len(summer), len(winter)) // 2
    few = min(len(summer_test), len(winter_test))
    pairs = {
        "summer, half of train and the other half": (summer[:half], summer[-half:]),
        "winter, half of train and the other half": (winter[:half], winter[-half:]),
        "summer and winter, half of train each": (summer[:half], winter[:half]),
        "summer, train and test": (summer[:few], summer_test[:few]),
        "winter, train and test": (winter[:few], winter_test[:few]),
        "summer and winter, test": (summer_test[:few], winter_test[:few]),
        "summer, all of train and all of test": (summer, summer_test),
        "winter, all of train and all of test": (winter, winter_test),
        "summer test and all of winter train": (summer_test, winter),
    }
    return {name: (FeatureSet(one), FeatureSet(other)) for name, (one, other) in pairs.items()}


def main() -> None:
    folder, weights, *resize = sys.argv[1:]
    rows: dict[str, dict[str, float | int]] = {}
    protocols = {}
    images = {
        split: torch.stack([read_pixels(path) for path in images_below(Path(folder) / split)]) for split in SPLITS
    }
    for layer in LAYERS:
        features = inception(weights, resize=resize[0] if resize else "clean", layer=layer)
        protocols[features.name] = features.protocol
        sets = {}
        for split in SPLITS:
            sets[split] = features.cached(images[split].float() / 255)
            print(layer, split, len(sets[split]), flush=True)
        for name, (one, other) in comparisons(sets).items():
            row = rows.setdefault(name, {"n": len(one), "n_other": len(other)})
            row |= {
                f"fid_{features.name}": frechet_distance(one, other),
                f"kid_{features.name}": kernel_distance(one, other),
            }
            print(f"{name:45} {row}", flush=True)
    results = {
        "command": "python benchmarks/frechet_seasons.py SUMMER2WINTER WEIGHTS",
        "machine": {"platform": platform.platform(), "torch": torch.__version__},
        "weights": file_digest(Path(weights)),
        "protocol": protocols,
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
