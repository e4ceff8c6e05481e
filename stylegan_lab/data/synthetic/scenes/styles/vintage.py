"""Vintage: the photo as an old print, faded to sepia, dark in the corners, grainy and scratched."""

import numpy as np

from stylegan_lab.data.synthetic.scenes.noise import Array, blur, smooth_noise
from stylegan_lab.data.synthetic.scenes.styles import photo
from stylegan_lab.data.synthetic.scenes.view import View

SHADOWS, PAPER = np.array([0.23, 0.16, 0.11]), np.array([0.93, 0.85, 0.68])


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    luminance = blur(photo.paint_scene(view, random) @ photo.LUMINANCE, view.resolution / 200)
    faded = np.clip(0.06 + 1.05 * luminance**1.3, 0, 1)
    corner = np.clip(np.hypot(view.x - 0.5, view.y - 0.5) / 0.71, 0, 1)
    faded = faded * (1 - 0.5 * corner**3)
    faded = faded + 0.12 * (smooth_noise(random, view.x, view.y, 64) - 0.5)
    stain = np.clip(smooth_noise(random, view.x, view.y, 3) - 0.7, 0, 1)
    faded = np.clip(np.maximum(faded - 0.5 * stain, _scratches(view, random)), 0, 1)[..., None]
    return np.clip(SHADOWS * (1 - faded) + PAPER * faded, 0, 1)


def _scratches(view: View, random: np.random.RandomState) -> Array:
    scratches = np.zeros_like(view.x)
    for _ in range(random.randint(2, 5)):
        x, lean, top, length = random.uniform([0.05, -0.08, 0.0, 0.2], [0.95, 0.08, 0.7, 0.7])
        along = (view.y > top) & (view.y < top + length)
        distance = np.abs(view.x - x - lean * (view.y - top)) * 160
        scratches = np.maximum(scratches, np.where(along, np.clip(1.2 - distance, 0, 1), 0))
    return scratches
