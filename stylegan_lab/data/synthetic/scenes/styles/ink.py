"""Ink wash (shan shui): one ink on warm paper, dark at each ridge and dissolving into mist below, brush lines, a seal."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, blur, fractal_noise
from stylegan_lab.data.synthetic.scenes.view import View

PAPER = np.array([0.92, 0.88, 0.79])
INK = np.array([0.09, 0.09, 0.11])
SEAL = np.array([0.72, 0.14, 0.12])

WASH = {
    v.MOUNTAIN: 0.55,
    v.HILL: 0.7,
    v.MEADOW: 0.35,
    v.WALL: 0.06,
    v.ROOF: 0.72,
    v.WINDOW: 0.55,
    v.TRUNK: 0.85,
    v.CROWN: 0.8,
}
FADE = {v.MOUNTAIN: 5.0, v.HILL: 6.0, v.MEADOW: 5.0}


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    bleed = fractal_noise(random, view.x, view.y, 10, 3)
    ink = view.values(WASH) * np.exp(-view.values(FADE) * view.depth) * (0.7 + 0.6 * bleed)
    dabs = np.clip(4 * fractal_noise(random, view.x, view.y, 24, 2) - 1.6, 0.25, 1)
    ink = blur(ink * np.where(view.thing == v.CROWN, dabs, 1.0), view.resolution / 128)
    brush = view.contours(0.03) * np.clip(2.2 * fractal_noise(random, view.x, view.y, 7, 2) - 0.35, 0, 1)
    ripple = np.sin(2 * np.pi * (view.y * 26 + 0.25 * np.sin(view.x * 14))) > 0.9
    ink = np.maximum(ink, np.where((view.thing == v.WATER) & ripple, 0.3 * bleed, 0))
    ink = np.clip(np.maximum(ink, 0.85 * brush), 0, 1)[..., None]
    fiber = 0.05 * (fractal_noise(random, view.x, view.y, 40, 2) - 0.5)
    color = (PAPER + fiber[..., None]) * (1 - ink) + INK * ink
    seal = ((np.abs(view.x - 0.93) < 0.035) & (np.abs(view.y - 0.91) < 0.045))[..., None]
    return np.clip(np.where(seal, SEAL, color), 0, 1)
