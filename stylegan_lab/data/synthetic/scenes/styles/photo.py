"""Photo: shaded, hazy with distance, grainy in the grass and the leaves, glowing around the sun, no outlines."""

import numpy as np

from stylegan_lab.data.synthetic.scenes import view as v
from stylegan_lab.data.synthetic.scenes.noise import Array, blur, fractal_noise, smooth_noise
from stylegan_lab.data.synthetic.scenes.view import View

PALETTE = {
    v.SKY: (0.47, 0.66, 0.88), v.SUN: (1.0, 0.90, 0.55), v.CLOUD: (0.93, 0.94, 0.96), v.MOUNTAIN: (0.47, 0.52, 0.60),
    v.HILL: (0.36, 0.47, 0.33), v.WATER: (0.30, 0.47, 0.60), v.MEADOW: (0.42, 0.53, 0.24), v.WALL: (0.80, 0.75, 0.66),
    v.ROOF: (0.56, 0.30, 0.22), v.WINDOW: (0.22, 0.24, 0.28), v.TRUNK: (0.34, 0.25, 0.18), v.CROWN: (0.19, 0.37, 0.15),
}  # fmt: skip

LUMINANCE = np.array([0.299, 0.587, 0.114])
ROUGH = {
    v.MOUNTAIN: 0.10,
    v.HILL: 0.22,
    v.WATER: 0.10,
    v.MEADOW: 0.30,
    v.WALL: 0.05,
    v.ROOF: 0.14,
    v.CROWN: 0.38,
    v.TRUNK: 0.2,
}


def paint_scene(view: View, random: np.random.RandomState) -> Array:
    color = view.values(PALETTE)
    sky = view.thing == v.SKY
    whiter = np.where(sky, np.clip(view.y / 0.62, 0, 1) ** 1.5, 0)[..., None]
    color = color * (1 - 0.55 * whiter) + 0.55 * whiter * np.array([0.93, 0.90, 0.84])
    warmth = view.tint[..., None] * np.array([0.06, 0.0, -0.06])
    color = (color + warmth) * _lighting(view)[..., None]
    grain = fractal_noise(random, view.x, view.y, 16, 3) - 0.5
    rough = view.values(ROUGH)
    color = color * (1 + 2 * rough * grain)[..., None]
    ripples = smooth_noise(random, view.x / 5, view.y * 2, 24) - 0.5
    color = color + np.where(view.thing == v.WATER, 0.22 * ripples, 0)[..., None]
    haze = np.where(view.thing == v.MOUNTAIN, 0.35 + 0.3 * view.depth, np.where(view.thing == v.HILL, 0.12, 0))
    haze = haze[..., None]
    color = color * (1 - haze) + haze * np.array([0.75, 0.79, 0.84])
    color = color + _glow(view)[..., None] * np.array([0.9, 0.6, 0.25])
    return np.clip(blur(color, view.resolution / 256), 0, 1)


def _lighting(view: View) -> Array:
    flat = (view.thing == v.SKY) | (view.thing == v.SUN) | (view.thing == v.CLOUD)
    grounded = np.where(view.thing == v.MEADOW, 1.05 - 0.35 * view.depth, 1.0)
    return np.where(flat, 1.0, (0.55 + 0.6 * view.light) * grounded)


def _glow(view: View) -> Array:
    sun = view.scene.sun
    distance = np.hypot(view.x - sun.x, view.y - sun.y) / sun.radius
    inside = (view.thing == v.SKY) | (view.thing == v.CLOUD)
    return np.where(inside, 0.45 * np.exp(-0.9 * np.maximum(distance - 1, 0)), 0)
