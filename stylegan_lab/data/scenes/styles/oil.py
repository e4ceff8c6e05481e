"""Oil: warm saturated colour in short thick strokes that follow the form, ridged by the bristles."""

import numpy as np

from stylegan_lab.data.scenes import view as v
from stylegan_lab.data.scenes.noise import Array, fractal_noise, smooth_noise
from stylegan_lab.data.scenes.styles import photo
from stylegan_lab.data.scenes.view import View

LUMINANCE = np.array([0.299, 0.587, 0.114])
STROKES = 34  # a side


def paint(view: View, random: np.random.RandomState) -> Array:
    colour = photo.paint(view, random)
    grey = (colour @ LUMINANCE)[..., None]
    colour = np.clip(grey + 1.7 * (colour - grey), 0, 1) * np.array([1.06, 0.96, 0.84])
    angle = np.where(view.thing <= v.CLOUD, 0.15, np.where(view.thing == v.WATER, 0.0, 0.9)) + 2 * (
        smooth_noise(random, view.x, view.y, 3) - 0.5
    )
    along = view.x * np.cos(angle) + view.y * np.sin(angle)
    across = view.y * np.cos(angle) - view.x * np.sin(angle)
    row = np.floor(across * STROKES)
    column = np.floor(along * STROKES / 3 + 0.37 * row)
    centre_along, centre_across = (column + 0.5 - 0.37 * row) * 3 / STROKES, (row + 0.5) / STROKES
    wobble = np.sin(12.9898 * row + 78.233 * column)
    centre_x = centre_along * np.cos(angle) - centre_across * np.sin(angle) + 0.006 * wobble
    centre_y = centre_along * np.sin(angle) + centre_across * np.cos(angle)
    last = view.resolution - 1
    at_y = np.clip(centre_y * view.resolution, 0, last).astype(np.intp)
    at_x = np.clip(centre_x * view.resolution, 0, last).astype(np.intp)
    dabbed = 0.75 * colour[at_y, at_x] + 0.25 * colour
    bristles = np.sin(2 * np.pi * across * STROKES * 2.5) * 0.05 + 0.09 * wobble
    canvas = 0.05 * (fractal_noise(random, view.x, view.y, 50, 2) - 0.5)
    return np.clip(dabbed * (1 + bristles)[..., None] + canvas[..., None], 0, 1)
