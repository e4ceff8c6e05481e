"""Renders scenes in styles. Each style is a file with a function `paint_scene(view, random) -> (H, W, 3)` that returns values in
[0, 1]."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.synthetic.scenes.noise import Array, random_stream
from stylegan_lab.data.synthetic.scenes.scene import make_scene
from stylegan_lab.data.synthetic.scenes.styles import ink, miniature, mosaic, oil, photo, sketch, ukiyoe, vintage
from stylegan_lab.data.synthetic.scenes.view import View, rasterize_scene

OVERSAMPLING = 2  # samples per pixel and axis

STYLES: dict[str, Callable[[View, np.random.RandomState], Array]] = {
    "photo": photo.paint_scene,
    "ukiyoe": ukiyoe.paint_scene,
    "ink": ink.paint_scene,
    "miniature": miniature.paint_scene,
    "vintage": vintage.paint_scene,
    "mosaic": mosaic.paint_scene,
    "sketch": sketch.paint_scene,
    "oil": oil.paint_scene,
}


def render(seed: int, index: int, style: str, size: int) -> NDArray[np.uint8]:
    """Render scene `index` in a style, as an array (size, size, 3). Two renderings of a scene in different styles are a true
    pair."""
    view = rasterize_scene(make_scene(seed, index), size * OVERSAMPLING)
    painted = STYLES[style](view, random_stream(seed, index, 1))
    pixels = painted.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean(axis=(1, 3))
    return np.round(pixels * 255).astype(np.uint8)
