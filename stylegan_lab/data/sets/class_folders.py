"""Arrays of labelled pictures as PNG files, in a folder for each class."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stylegan_lab.progress import progress


def write_classes(pictures: NDArray[np.uint8], labels: NDArray[np.uint8], names: list[str], folder: Path) -> None:
    """(N, H, W) or (N, H, W, 3), each named by its number."""
    for name in names:
        (folder / name).mkdir(parents=True, exist_ok=True)
    with progress(f"writing {folder.name}", len(pictures), in_bytes=False) as advance:
        for number, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            Image.fromarray(picture).save(folder / names[label] / f"{number:05d}.png", compress_level=1)
            advance(1)
