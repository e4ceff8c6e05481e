"""The styles a scene can be painted in: one file each, each a function `paint(view, random) -> (H, W, 3) in [0, 1]`."""

from collections.abc import Callable

import numpy as np

from stylegan_lab.data.scenes.noise import Array
from stylegan_lab.data.scenes.styles import ink, miniature, mosaic, oil, photo, sketch, ukiyoe, vintage
from stylegan_lab.data.scenes.view import View

Paint = Callable[[View, np.random.RandomState], Array]

STYLES: dict[str, Paint] = {
    "photo": photo.paint,
    "ukiyoe": ukiyoe.paint,
    "ink": ink.paint,
    "miniature": miniature.paint,
    "vintage": vintage.paint,
    "mosaic": mosaic.paint,
    "sketch": sketch.paint,
    "oil": oil.paint,
}
