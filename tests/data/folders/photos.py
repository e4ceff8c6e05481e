"""Little pictures on disk, each of one colour with a mark, and the data modules over them."""

from collections.abc import Sequence
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir
from PIL import Image

from stylegan_lab.conf_dir import CONF
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.experiment import build_data

Size = tuple[int, int]


def photo(path: Path, level: int = 100, size: Size = (20, 16), right: int | None = None) -> Path:
    """Gray of that level, with a lighter left part; `right` makes it two pictures side by side."""
    picture = Image.new("RGB", size, (level, level // 2, 255 - level))
    picture.paste((255, 255, 255), (0, 0, 2, 2))
    if right is not None:
        both = Image.new("RGB", (2 * size[0], size[1]), (right, right, right))
        both.paste(picture, (0, 0))
        picture = both
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path)
    return path


def photos(folder: Path, count: int, first: int = 0, size: Size = (20, 16), suffix: str = ".png") -> Path:
    for number in range(count):
        photo(folder / f"{first + number:03}{suffix}", 10 + first + number, size)
    return folder


def data_of(*overrides: str) -> ImageData:
    small = ["data.size=16", "data.batch_size=2", "data.workers=0", "data.cache_dir=cache"]
    mine = [each for each in small if each.split("=")[0] not in {override.split("=")[0] for override in overrides}]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return build_data(compose("train", overrides=[*overrides, *mine]))


def batches(data: ImageData, most: int = 4) -> Sequence[dict[str, torch.Tensor]]:
    return [batch for batch, _ in zip(data.train_dataloader(), range(most), strict=False)]


def played(*arguments: str) -> list[str]:
    """Of a training that is over in a moment."""
    return ["train", "model=cyclegan", "translator=resnet_tiny", "critic=patch_tiny", "features=untrained", "iterations=2",
            "data.size=16", "data.batch_size=2", "logger=none", "data.workers=0", "data.cache_dir=cache", "output_dir=run",
            "evaluate=true", "callbacks.scoring.every=2", "callbacks.samples.every=2", *arguments]  # fmt: skip
