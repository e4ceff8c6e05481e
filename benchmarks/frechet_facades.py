"""Measure the Fréchet distance between the first and the second 200 facade photos, and how changes to the second set affect it.

python benchmarks/frechet_facades.py FACADES WEIGHTS.safetensors

FACADES contains the 400 training images of pix2pix's facades, 1.jpg to 400.jpg, with the photo in the left half. The
weights are those of SqueezeNet 1.1. The reference for the first distance is 456.3; with fewer images (200) than dimensions
(512) the covariances do not have full rank. The same distances are also recorded for an untrained network.
"""

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.evaluation.feature_extractors import FeatureSet, squeezenet, untrained_vgg16
from stylegan_lab.evaluation.feature_metrics import frechet_distance, kernel_distance
from stylegan_lab.files.download import file_digest
from stylegan_lab.images.image_io import read_pixels
from stylegan_lab.images.value_range import to_unit

RESULTS = Path(__file__).parent / "results" / "frechet_facades.json"
REFERENCE = 456.3


def blurred(images: Tensor, sigma: float) -> Tensor:
    radius = round(3 * sigma)
    kernel = torch.exp(-torch.arange(-radius, radius + 1).square() / (2 * sigma**2))
    row = (kernel / kernel.sum()).expand(3, 1, 1, -1)
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, row, groups=3), row.transpose(2, 3), groups=3)


def noisy(images: Tensor, sigma: float) -> Tensor:
    return images + sigma * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda images: images,
    **{f"blur {d}": lambda images, d=d: blurred(images, d) for d in (1, 2, 4)},  # type: ignore[misc]
    **{f"noise {d}": lambda images, d=d: noisy(images, d) for d in (0.02, 0.05, 0.1)},  # type: ignore[misc]
    "half as bright": lambda images: images / 2,
    "grey": lambda images: images.mean(1, keepdim=True).expand(-1, 3, -1, -1),
}


def main() -> None:
    facades, weights = map(Path, sys.argv[1:3])
    paths = [facades / f"{number}.jpg" for number in range(1, 401)]
    pixels = torch.stack([read_pixels(path) for path in paths]).float() / 255
    photos, labels = pixels.tensor_split(2, dim=3)
    first, second = photos.split(200)
    sets = {name: to_unit(change(second) * 2 - 1) for name, change in CHANGES.items()} | {"labels": labels[200:]}
    rows: dict[str, dict[str, float]] = {name: {} for name in sets}
    embeddings = [squeezenet(str(weights)), untrained_vgg16()]
    for embedding in embeddings:
        real = embedding(first)
        self_distance = frechet_distance(real, FeatureSet(real.vectors.flip(0)))
        print(f"{embedding.name}: distance to itself {self_distance:.1e}")
        for name, images in sets.items():
            fake = embedding(images)
            rows[name][f"fid_{embedding.name}"] = frechet_distance(fake, real)
            rows[name][f"kid_{embedding.name}"] = kernel_distance(fake, real)
            print(f"{name:16} {rows[name]}", flush=True)
    measured = rows["none"]["fid_squeezenet"]
    print(f"reference {REFERENCE}, measured {measured:.4f}")
    results = {
        "command": "python benchmarks/frechet_facades.py FACADES WEIGHTS.safetensors",
        "machine": {"platform": platform.platform(), "torch": torch.__version__},
        "weights": file_digest(weights), "images": "photos 1 to 200 against 201 to 400, 256x256",
        "protocol": {f"fid_{each.name}": each.protocol for each in embeddings},
        "reference": REFERENCE, "rows": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
