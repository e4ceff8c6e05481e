"""Persian miniature: a gold sky, jewel colors without shadow, flowered meadows, scaled rocks, fine brown lines, a ruled frame."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, smooth_noise
from stylegan_lab.data.synthetic.scenes.view import View

PALETTE = {
    v.SKY: (0.86, 0.70, 0.30), v.SUN: (0.98, 0.90, 0.55), v.CLOUD: (0.92, 0.93, 0.95), v.MOUNTAIN: (0.70, 0.55, 0.70),
    v.HILL: (0.84, 0.66, 0.60), v.WATER: (0.36, 0.46, 0.58), v.MEADOW: (0.25, 0.48, 0.36), v.WALL: (0.90, 0.80, 0.66),
    v.ROOF: (0.13, 0.50, 0.62), v.WINDOW: (0.60, 0.18, 0.18), v.TRUNK: (0.48, 0.30, 0.18), v.CROWN: (0.12, 0.36, 0.22),
}  # fmt: skip

LINE = np.array([0.30, 0.16, 0.10])
FLOWERS = np.array([[0.86, 0.30, 0.32], [0.95, 0.88, 0.80]])
GOLD = np.array([0.80, 0.62, 0.20])
LAPIS = np.array([0.13, 0.22, 0.50])


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    color = view.values(PALETTE)
    scales = np.sin(2 * np.pi * (view.x * 11 + 0.5 * np.floor(view.depth * 7))) * np.sin(np.pi * view.depth * 7)
    rock = ((view.thing == v.MOUNTAIN) | (view.thing == v.HILL))[..., None]
    color = np.where(rock, color * (1 + 0.16 * scales[..., None]), color)
    tufts_x, tufts_y = np.mod(view.x * 13 + 0.5 * np.floor(view.y * 16), 1), np.mod(view.y * 16, 1)
    flower = np.hypot(tufts_x - 0.5, tufts_y - 0.5) < 0.24
    kind = np.mod(np.floor(view.x * 13) + np.floor(view.y * 16), 2).astype(np.intp)
    color = np.where((flower & (view.thing == v.MEADOW))[..., None], FLOWERS[kind], color)
    silver = np.where(view.thing == v.WATER, 0.16 * np.sin(2 * np.pi * (view.y * 24 + 0.3 * np.sin(view.x * 40))), 0)
    leaves = np.where(view.thing == v.CROWN, 0.10 * np.sin(view.x * 150) * np.sin(view.y * 150), 0)
    tiles = np.where(view.thing == v.ROOF, 0.10 * np.sign(np.sin(view.x * 160)), 0)
    color = color + (silver + leaves + tiles)[..., None]
    line = 0.85 * view.contours(0.013)[..., None]
    color = color * (1 - line) + line * LINE
    color = color + 0.04 * (smooth_noise(random, view.x, view.y, 50) - 0.5)[..., None]
    border = np.minimum.reduce([view.x, view.y, 1 - view.x, 1 - view.y])[..., None]
    framed = np.where(border < 0.035, GOLD, np.where(border < 0.05, LAPIS, color))
    return np.clip(framed, 0, 1)
