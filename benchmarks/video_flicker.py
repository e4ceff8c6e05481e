"""Measure the flicker of translated videos, with and without `--steady`: a still photo with sensor noise, and a pan over it.

The true motion is known, so each frame is compared with the previous frame, moved by this motion. All values are mean
absolute differences in levels of 8 bits. `flicker` is the difference from the previous frame. `error` is the difference
from the translation of the frame without noise, which would rise if frames were smeared.

    python -m benchmarks.video_flicker RUN PHOTO
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from stylegan_lab.console import format_table
from stylegan_lab.images.image_io import read_image
from stylegan_lab.images.steady import Steadier, warp
from stylegan_lab.images.value_range import from_bytes, to_bytes
from stylegan_lab.training.loaded_model import load

SIZE, BORDER, FRAMES, NOISE = 192, 16, 24, 4.0  # noise in levels
MOTIONS = {"still": (0.0, 0.0), "pan of 2 px": (2.0, 0.0), "pan of 1.3, 0.6 px": (1.3, 0.6), "pan of 5 px": (5.0, 0.0)}
STRENGTHS = (None, 0.5, 0.8, 0.9)
Translate = Callable[[Tensor], Tensor]


def frames(photo: Tensor, motion: tuple[float, float], noise: float) -> Iterator[Tensor]:
    """Yield views of a photo (3, H, W), which move to the right and down, with sensor noise."""
    generator = torch.Generator().manual_seed(0)
    for index in range(FRAMES):
        view = _moved(photo, (index * motion[0], index * motion[1]))[:, :SIZE, :SIZE]
        yield to_bytes(view + torch.randn(view.shape, generator=generator) * noise / 127.5)


def measure(translate: Translate, photo: Tensor, motion: tuple[float, float], strength: float | None) -> list[float]:
    steadier = None if strength is None else Steadier(strength, torch.device("cpu"))
    flicker, error = [], []
    last: Tensor | None = None
    for noisy, clean in zip(frames(photo, motion, NOISE), frames(photo, motion, 0), strict=True):
        translated = translate(noisy)
        steadied = from_bytes(translated if steadier is None else steadier(noisy, translated))
        if last is not None:
            flicker.append(_difference(steadied, _moved(last, motion)))
        error.append(_difference(steadied, from_bytes(translate(clean))))
        last = steadied
    return [fmean(flicker), fmean(error)]


def _moved(image: Tensor, motion: tuple[float, float]) -> Tensor:
    flow = torch.tensor(motion).view(1, 2, 1, 1).expand(1, 2, *image.shape[1:])
    return warp(image[None], flow, "bicubic")[0]


def _difference(one: Tensor, other: Tensor) -> float:
    inner = (slice(None), slice(BORDER, -BORDER), slice(BORDER, -BORDER))
    return float((one[inner] - other[inner]).abs().mean()) * 127.5


def report(translate: Translate, photo: Tensor) -> None:
    rows = [["", "--steady", "flicker", "error"]]
    for name, motion in MOTIONS.items():
        for strength in STRENGTHS:
            numbers = measure(translate, photo, motion, strength)
            rows.append([name, "no" if strength is None else str(strength), *(f"{each:.2f}" for each in numbers)])
    print("\n".join(format_table(rows)))


def main() -> None:
    run, photo = sys.argv[1:3]
    translator = load(run).translator()
    report(lambda frame: translator(frame[None])[0], read_image(Path(photo)))


if __name__ == "__main__":
    main()
