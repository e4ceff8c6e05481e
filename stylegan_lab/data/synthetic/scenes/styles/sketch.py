"""Pencil sketch: graphite on white paper, contours drawn twice, shadow hatched and, where darker, cross-hatched."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, fractal_noise
from stylegan_lab.data.synthetic.scenes.view import View

DARKNESS = {
    v.SKY: 0.10, v.SUN: 0.0, v.CLOUD: 0.0, v.MOUNTAIN: 0.42, v.HILL: 0.55, v.WATER: 0.40, v.MEADOW: 0.25, v.WALL: 0.10,
    v.ROOF: 0.68, v.WINDOW: 0.95, v.TRUNK: 0.80, v.CROWN: 0.78,
}  # fmt: skip

PAPER, GRAPHITE = np.array([0.97, 0.96, 0.94]), np.array([0.22, 0.22, 0.25])


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    darkness = view.values(DARKNESS) * (1.35 - 0.7 * view.light)
    darkness = np.where(view.thing == v.SKY, 0.3 * np.clip(0.8 - view.y / 0.4, 0, 1), darkness)
    hand = 0.02 * (fractal_noise(random, view.x, view.y, 6, 2) - 0.5)
    strokes = np.maximum(_hatch(view.x + view.y + hand, darkness), _hatch(view.x - view.y + hand, darkness - 0.4))
    line = np.maximum(view.contours(0.016), 0.5 * np.roll(view.contours(0.012), view.resolution // 90 + 1, axis=(0, 1)))
    tooth = 0.75 + 0.5 * fractal_noise(random, view.x, view.y, 48, 2)
    graphite = np.clip(np.maximum(strokes, 0.9 * line) * tooth, 0, 1)[..., None]
    return np.clip(PAPER * (1 - graphite) + GRAPHITE * graphite, 0, 1)


def _hatch(across: Array, darkness: Array) -> Array:
    """Parallel strokes whose share of the paper grows with darkness."""
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * 17 * across)
    return 0.8 * np.clip(6 * (wave - 1 + np.clip(darkness, 0, 0.95)), 0, 1)
