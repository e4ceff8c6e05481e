"""Paint scene number `index` in a style, at any size: the one door to the embedded domains."""

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.scenes.noise import stream
from stylegan_lab.data.scenes.scene import scene
from stylegan_lab.data.scenes.styles import STYLES
from stylegan_lab.data.scenes.view import view

OVERSAMPLING = 2  # points a side per pixel


def render(seed: int, index: int, style: str, size: int) -> NDArray[np.uint8]:
    """The picture, (size, size, 3). The same scene in two styles is a true pair."""
    seen = view(scene(seed, index), size * OVERSAMPLING)
    painted = STYLES[style](seen, stream(seed, index, 1))
    pixels = painted.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean(axis=(1, 3))
    return np.round(pixels * 255).astype(np.uint8)
