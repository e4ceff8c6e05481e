"""The Fréchet distance between the first and the second 200 facade photos, and what changes to the second do to it.

python benchmarks/frechet_facades.py FACADES WEIGHTS.safetensors

FACADES holds the 400 training pictures of pix2pix's facades, 1.jpg to 400.jpg, the photo in the left half; the weights are those
of SqueezeNet 1.1. 456.3 is the reference for the first number: fewer pictures (200) than dimensions (512) leave the covariances
without full rank. The other rows say how a net that was never trained ranks the same changes.
"""

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.evaluation.crowd import Crowd
from stylegan_lab.evaluation.embeddings import squeezenet, untrained
from stylegan_lab.evaluation.frechet import frechet_distance
from stylegan_lab.evaluation.kernel_distance import kernel_distance
from stylegan_lab.fetch import digest
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.read import read_pixels

RESULTS = Path(__file__).parent / "results" / "frechet_facades.json"
REFERENCE = 456.3


def blurred(images: Tensor, deviation: float) -> Tensor:
    reach = round(3 * deviation)
    line = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * deviation**2))
    row = (line / line.sum()).expand(3, 1, 1, -1)
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, row, groups=3), row.transpose(2, 3), groups=3)


def noisy(images: Tensor, deviation: float) -> Tensor:
    return images + deviation * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))


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
    embeddings = [squeezenet(str(weights)), untrained()]
    for embedding in embeddings:
        real = embedding(first)
        itself = frechet_distance(real, Crowd(real.vectors.flip(0)))
        print(f"{embedding.name}: with itself {itself:.1e}")
        for name, images in sets.items():
            fake = embedding(images)
            rows[name][f"fid_{embedding.name}"] = frechet_distance(fake, real)
            rows[name][f"kid_{embedding.name}"] = kernel_distance(fake, real)
            print(f"{name:16} {rows[name]}", flush=True)
    found = rows["none"]["fid_squeezenet"]
    print(f"reference {REFERENCE}, here {found:.4f}")
    results = {
        "command": "python benchmarks/frechet_facades.py FACADES WEIGHTS.safetensors",
        "machine": {"platform": platform.platform(), "torch": torch.__version__},
        "weights": digest(weights), "pictures": "photos 1 to 200 against 201 to 400, 256x256",
        "protocol": {f"fid_{each.name}": each.protocol for each in embeddings},
        "reference": REFERENCE, "rows": rows,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
