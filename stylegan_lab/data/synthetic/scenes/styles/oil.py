"""Oil: warm saturated color in short thick strokes that follow the form, ridged by the bristles."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, fractal_noise, smooth_noise
from stylegan_lab.data.synthetic.scenes.styles import photo
from stylegan_lab.data.synthetic.scenes.view import View

STROKES = 34  # a side


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    color = photo.paint_scene(view, random)
    gray = (color @ photo.LUMINANCE)[..., None]
    color = np.clip(gray + 1.7 * (color - gray), 0, 1) * np.array([1.06, 0.96, 0.84])
    angle = np.where(view.thing <= v.CLOUD, 0.15, np.where(view.thing == v.WATER, 0.0, 0.9)) + 2 * (
        smooth_noise(random, view.x, view.y, 3) - 0.5
    )
    along = view.x * np.cos(angle) + view.y * np.sin(angle)
    across = view.y * np.cos(angle) - view.x * np.sin(angle)
    row = np.floor(across * STROKES)
    column = np.floor(along * STROKES / 3 + 0.37 * row)
    center_along, center_across = (column + 0.5 - 0.37 * row) * 3 / STROKES, (row + 0.5) / STROKES
    wobble = np.sin(12.9898 * row + 78.233 * column)
    center_x = center_along * np.cos(angle) - center_across * np.sin(angle) + 0.006 * wobble
    center_y = center_along * np.sin(angle) + center_across * np.cos(angle)
    last = view.resolution - 1
    at_y = np.clip(center_y * view.resolution, 0, last).astype(np.intp)
    at_x = np.clip(center_x * view.resolution, 0, last).astype(np.intp)
    dabbed = 0.75 * color[at_y, at_x] + 0.25 * color
    bristles = np.sin(2 * np.pi * across * STROKES * 2.5) * 0.05 + 0.09 * wobble
    canvas = 0.05 * (fractal_noise(random, view.x, view.y, 50, 2) - 0.5)
    return np.clip(dabbed * (1 + bristles)[..., None] + canvas[..., None], 0, 1)
