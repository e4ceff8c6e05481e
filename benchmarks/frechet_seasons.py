"""Measure Fréchet and kernel distances among the splits of summer2winter_yosemite at FID's 64-, 192- and 768-d Inception layers.

python benchmarks/frechet_seasons.py SUMMER2WINTER WEIGHTS

SUMMER2WINTER contains trainA and testA (summer), trainB and testB (winter) at 256 px. Each distance is between 99 images
and 99 other images, so that all distances can be compared. The distances within a season are the lowest that a translation
between the seasons can be expected to reach.
"""

import json
import platform
import sys
from pathlib import Path

import torch

from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.evaluation.feature_extractors import FILTERS, RESIZES, FeatureSet
from stylegan_lab.evaluation.feature_metrics import frechet_distance, kernel_distance
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.image_io import read_pixels
from stylegan_lab.networks.features.inception import inception

RESULTS = Path(__file__).parent / "results" / "frechet_seasons.json"
LAYERS = ("64", "192", "768")
COUNT, BATCH, SIZE = 99, 11, 299
COMPARISONS = {
    "summer: train, train": ("summer 1", "summer 2"),
    "winter: train, train": ("winter 1", "winter 2"),
    "summer: train, test": ("summer 1", "summer test"),
    "winter: train, test": ("winter 1", "winter test"),
    "summer and winter: train": ("summer 1", "winter 1"),
    "summer and winter: test": ("summer test", "winter test"),
}


def samples(folder: Path) -> dict[str, list[Path]]:
    """Return the first 99 images of each test split, and two disjoint random sets of 99 images of each training split."""
    rng = torch.Generator().manual_seed(0)
    sets = {}
    for season, domain in (("summer", "A"), ("winter", "B")):
        train, test = (images_below(folder / f"{split}{domain}") for split in ("train", "test"))
        drawn = [train[index] for index in torch.randperm(len(train), generator=rng)]
        sets |= {f"{season} 1": drawn[:COUNT], f"{season} 2": drawn[COUNT : 2 * COUNT], f"{season} test": test[:COUNT]}
    return sets


@torch.no_grad()
def main() -> None:
    folder, weights = map(Path, sys.argv[1:3])
    net = inception(str(weights), LAYERS[-1])
    features: dict[str, dict[str, FeatureSet]] = {layer: {} for layer in LAYERS}
    for name, paths in samples(folder).items():
        images = torch.stack([read_pixels(path) for path in paths])
        resized = (RESIZES["clean"](batch.float() / 255, (SIZE, SIZE)) for batch in images.split(BATCH))
        maps = [net(batch * 2 - 1, LAYERS) for batch in resized]
        for layer in LAYERS:
            features[layer][name] = FeatureSet(torch.cat([each[layer].mean((2, 3)) for each in maps]))
        print(f"{name}: {len(paths)} images", flush=True)
    rows: dict[str, dict[str, float]] = {}
    for comparison, (one, other) in COMPARISONS.items():
        pairs = {layer: (features[layer][one], features[layer][other]) for layer in LAYERS}
        rows[comparison] = {f"fid_inception_{layer}": frechet_distance(*pair) for layer, pair in pairs.items()}
        rows[comparison] |= {f"kid_inception_{layer}": kernel_distance(*pair) for layer, pair in pairs.items()}
        print(f"{comparison:26} {rows[comparison]}", flush=True)
    results = {
        "command": "python benchmarks/frechet_seasons.py SUMMER2WINTER WEIGHTS",
        "machine": {"platform": platform.platform(), "torch": torch.__version__},
        "weights": file_digest(weights),
        "images": f"{COUNT} against {COUNT}, {SIZE}x{SIZE} ({FILTERS['clean']})",
        "rows": rows,
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
