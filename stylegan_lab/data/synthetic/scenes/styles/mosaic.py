"""Mosaic (late Roman and Byzantine): rows of small stones, each one color, a little askew, set in pale mortar; a gold sky."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, random_stream
from stylegan_lab.data.synthetic.scenes.view import View

PALETTE = {
    v.SKY: (0.80, 0.64, 0.27), v.SUN: (0.93, 0.45, 0.15), v.CLOUD: (0.93, 0.88, 0.76), v.MOUNTAIN: (0.34, 0.40, 0.58),
    v.HILL: (0.30, 0.50, 0.45), v.WATER: (0.10, 0.32, 0.55), v.MEADOW: (0.45, 0.55, 0.20), v.WALL: (0.88, 0.82, 0.72),
    v.ROOF: (0.62, 0.16, 0.14), v.WINDOW: (0.18, 0.15, 0.15), v.TRUNK: (0.40, 0.24, 0.14), v.CROWN: (0.10, 0.34, 0.18),
}  # fmt: skip

MORTAR = np.array([0.66, 0.62, 0.55])
STONES = 24  # a side


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    row = np.floor(view.y * STONES)
    along = view.x * STONES + 0.5 * np.mod(row, 2)
    column = np.floor(along)
    stone = (row * (STONES + 2) + column).astype(np.intp)
    shade = 1 + 0.30 * (
        random_stream(STONES).random_sample(STONES * (STONES + 2)) - 0.5
    )  # the same floor under every scene
    center_x = np.clip((column + 0.5 - 0.5 * np.mod(row, 2)) / STONES, 0, 1)
    at = lambda position: np.minimum((position * view.resolution).astype(np.intp), view.resolution - 1)  # noqa: E731
    center = at((row + 0.5) / STONES), at(center_x)
    lit = 0.75 + 0.35 * view.light[center]
    color = view.values(PALETTE)[center] * (shade[stone] * lit)[..., None]
    gap = np.minimum.reduce(
        [np.mod(view.y * STONES, 1), np.mod(along, 1), 1 - np.mod(view.y * STONES, 1), 1 - np.mod(along, 1)]
    )
    joint = np.clip(1.6 - gap * 10, 0, 1)[..., None]
    return np.clip(color * (1 - joint) + MORTAR * joint + 0.02 * (random.random_sample() - 0.5), 0, 1)
