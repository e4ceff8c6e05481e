"""Ukiyo-e (Edo woodblock prints): flat colors, black key lines, a graded sky (bokashi), combed waves, a red sun."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, smooth_noise
from stylegan_lab.data.synthetic.scenes.view import View

PALETTE = {
    v.SKY: (0.93, 0.87, 0.72), v.SUN: (0.80, 0.16, 0.12), v.CLOUD: (0.97, 0.94, 0.85), v.MOUNTAIN: (0.25, 0.38, 0.53),
    v.HILL: (0.44, 0.56, 0.42), v.WATER: (0.16, 0.33, 0.50), v.MEADOW: (0.74, 0.70, 0.43), v.WALL: (0.94, 0.88, 0.74),
    v.ROOF: (0.36, 0.33, 0.36), v.WINDOW: (0.55, 0.42, 0.30), v.TRUNK: (0.42, 0.30, 0.22), v.CROWN: (0.20, 0.36, 0.27),
}  # fmt: skip

INK = np.array([0.10, 0.10, 0.14])
PRUSSIAN_BLUE = np.array([0.20, 0.35, 0.55])
FOAM = np.array([0.90, 0.90, 0.82])


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    shadow = np.where((view.thing >= v.WALL) & (view.thing != v.WINDOW) & (view.light < 0.5), 0.82, 1.0)[..., None]
    color = view.values(PALETTE) * shadow
    bokashi = np.where(view.thing == v.SKY, np.clip(1 - view.y / 0.22, 0, 1), 0)[..., None]
    color = color * (1 - bokashi) + bokashi * PRUSSIAN_BLUE
    snow = ((view.thing == v.MOUNTAIN) & (view.depth < 0.16 + 0.05 * np.sin(40 * view.x)))[..., None]
    color = np.where(snow, FOAM, color)
    combed = np.sin(2 * np.pi * (view.y - view.scene.shore) * 12 + 0.9 * np.sin(view.x * 24))
    wave = np.where(view.thing == v.WATER, np.clip(2.0 * combed - 0.7, 0, 1), 0)[..., None]
    color = color * (1 - 0.6 * wave) + 0.6 * wave * FOAM
    hatched = np.sin(2 * np.pi * (view.depth * 4 + 0.3 * np.sin(view.x * 12)))
    ridged = np.where((view.thing == v.HILL) | (view.thing == v.MEADOW), np.clip(3 * hatched - 2.0, 0, 1), 0)[..., None]
    color = color * (1 - 0.35 * ridged)
    line = view.contours(0.016)[..., None]
    color = color * (1 - line) + line * INK
    paper = smooth_noise(random, view.x / 6, view.y, 60) - 0.5
    return np.clip(color + 0.05 * paper[..., None], 0, 1)
