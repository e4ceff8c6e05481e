"""`stylegan-lab generate`: sample images from a trained generative model, as a grid, a video or a folder of files."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

import torch

from stylegan_lab.cli.parsers import DEFAULT_FRAMES, DEFAULT_IMAGES, DEFAULT_VIDEO_IMAGES
from stylegan_lab.errors import UserError
from stylegan_lab.images.grid import grid
from stylegan_lab.images.image_io import write_image
from stylegan_lab.images.open_image import SUFFIXES
from stylegan_lab.images.video import write_video
from stylegan_lab.images.video_reader import VIDEO_SUFFIXES
from stylegan_lab.training.loaded_model import load

FRAMES_PER_SECOND = 20


def main(options: Namespace) -> int:
    model = load(options.run, options.checkpoint, use_ema=options.use_ema, trust=options.trust)
    generator = model.image_generator(
        options.label, options.seed, options.truncation, options.style_mixing, label_setting="--class"
    )
    suffix = options.target.suffix.lower()
    if options.n is None:
        options.n = DEFAULT_VIDEO_IMAGES if suffix in VIDEO_SUFFIXES else DEFAULT_IMAGES
    if suffix in VIDEO_SUFFIXES:
        frames = generator.interpolate(options.n, options.interpolate or DEFAULT_FRAMES)
        print(write_video(frames, options.target, FRAMES_PER_SECOND))
        return 0
    steps = options.interpolate
    images = generator.images(options.n) if steps is None else generator.interpolate(options.n, steps)
    if suffix in SUFFIXES:
        print(write_image(grid(generator.grid_rows(torch.stack(list(images)))), options.target))
        return 0
    names = [f"{index:06d}.png" for index in range(options.n * (steps or 1))]
    check_no_other_images(options.target, names)
    for name, image in zip(names, images, strict=True):
        write_image(image, options.target / name)
    print(options.target)
    return 0


def check_no_other_images(folder: Path, names: Sequence[str]) -> None:
    """Refuse a folder that contains images of an earlier command, because they could be mistaken for images of this command."""
    others = sorted({path.name for path in folder.glob("*.png")} - set(names)) if folder.is_dir() else []
    if others:
        more = " and more" if len(others) > 1 else ""
        raise UserError(
            "generate.folder_in_use", f"{folder} contains other images ({others[0]}{more}); give a new folder"
        )
