"""The content of a scene: sun, hills, water, houses and trees. It does not depend on the style."""

from dataclasses import dataclass

import numpy as np

from stylegan_lab.data.synthetic.scenes.noise import Array, random_stream


@dataclass(frozen=True)
class Sun:
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Cloud:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Ridge:
    """The skyline of a range of hills: a base height, rolling waves and at most one peak. y grows downwards."""

    base: float
    waves: tuple[tuple[float, float, float], ...]  # height, frequency, phase
    peak: tuple[float, float, float] | None  # x, height, half width

    def skyline(self, x: Array) -> Array:
        y = np.full_like(x, self.base)
        for height, frequency, phase in self.waves:
            y = y - height * np.sin(frequency * x + phase)
        if self.peak is not None:
            center, height, width = self.peak
            rise = np.clip(1 - np.abs(x - center) / width, 0, 1)
            y = y - height * rise * (0.6 + 0.4 * rise)
        return y


@dataclass(frozen=True)
class House:
    x: float
    foot: float
    width: float
    height: float
    roof: float
    tint: float


@dataclass(frozen=True)
class Tree:
    x: float
    foot: float
    height: float
    crown: float
    conifer: bool
    tint: float


@dataclass(frozen=True)
class Scene:
    sun: Sun
    light: float  # -1: from the left, 1: from the right
    clouds: tuple[Cloud, ...]
    ridges: tuple[Ridge, ...]  # far to near
    shore: float  # where the water begins
    bank: Ridge  # the near bank, in front of the water
    houses: tuple[House, ...]
    trees: tuple[Tree, ...]


def make_scene(seed: int, index: int) -> Scene:
    """Return scene `index`, which depends only on the seed and the index."""
    random = random_stream(seed, index, 0)
    u = random.uniform
    horizon = u(0.50, 0.60)
    sun = Sun(u(0.15, 0.85), u(0.13, 0.28), u(0.065, 0.10))
    clouds = tuple(Cloud(u(0, 1), u(0.08, 0.34), u(0.14, 0.3), u(0.018, 0.035)) for _ in range(random.randint(1, 4)))
    ridges = (
        Ridge(horizon - u(0.04, 0.1), _waves(random, 0.025), (u(0.1, 0.9), u(0.12, 0.24), u(0.22, 0.4))),
        Ridge(horizon - u(-0.02, 0.03), _waves(random, 0.035), None),
    )
    shore = horizon + u(0.07, 0.10)
    bank = Ridge(shore + u(0.10, 0.20), _waves(random, 0.03), None)
    spots = random.permutation(4)[: random.randint(2, 5)]
    houses, trees = [], []
    for order, spot in enumerate(spots):
        x = 0.14 + 0.24 * spot + u(-0.04, 0.04)
        foot = float(bank.skyline(np.array([x]))[0]) + u(0.03, 0.10)
        if order % 2 == 0:
            houses.append(House(x, foot, u(0.16, 0.21), u(0.10, 0.13), u(0.08, 0.11), u(-1, 1)))
        else:
            trees.append(Tree(x, foot, u(0.26, 0.36), u(0.08, 0.11), bool(random.randint(2)), u(-1, 1)))
    light = 1.0 if sun.x > 0.5 else -1.0
    return Scene(sun, light, clouds, ridges, shore, bank, tuple(houses), tuple(trees))


def _waves(random: np.random.RandomState, height: float) -> tuple[tuple[float, float, float], ...]:
    return tuple((height / (k + 1), random.uniform(3, 6) * (k + 1), random.uniform(0, 2 * np.pi)) for k in range(3))
