"""Small test images on disk, and the data modules that read them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from stylegan_lab.config.paths import CONF
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.training.experiment import build_data

Size = tuple[int, int]


def photo(path: Path, level: int = 100, size: Size = (20, 16), right: int | None = None) -> Path:
    """A uniform image with a white corner. `right` appends a second image of that level, side by side."""
    image = Image.new("RGB", size, (level, level // 2, 255 - level))
    image.paste((255, 255, 255), (0, 0, 2, 2))
    if right is not None:
        both = Image.new("RGB", (2 * size[0], size[1]), (right, right, right))
        both.paste(image, (0, 0))
        image = both
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def photos(folder: Path, count: int, first: int = 0, size: Size = (20, 16), suffix: str = ".png") -> Path:
    for number in range(count):
        photo(folder / f"{first + number:03}{suffix}", 10 + first + number, size)
    return folder


def data_of(*overrides: str) -> ImageDataModule:
    small = ["data.size=16", "data.batch_size=2", "data.num_workers=0", "data.cache_dir=cache"]
    mine = [each for each in small if each.split("=")[0] not in {override.split("=")[0] for override in overrides}]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_data(compose("train", overrides=[*overrides, *mine]))


def batches(data: ImageDataModule, limit: int = 4) -> Sequence[dict[str, torch.Tensor]]:
    return [batch for batch, _ in zip(data.train_dataloader(), range(limit), strict=False)]


def training_arguments(*arguments: str) -> list[str]:
    """Arguments of a very short training."""
    return ["train", "model=cyclegan", "generator=resnet_tiny", "discriminator=patch_tiny", "features=untrained", "iterations=2",
            "data.size=16", "data.batch_size=2", "logger=none", "data.num_workers=0", "data.cache_dir=cache", "output_dir=run",
            "evaluate=true", "callbacks.validation.every=2", "callbacks.samples.every=2", *arguments]  # fmt: skip
