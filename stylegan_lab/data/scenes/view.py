"""A view: what is seen at each point of a picture, which thing, how lit, how far down it; styles paint views."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.scenes.noise import Array, blur
from stylegan_lab.data.scenes.scene import House, Ridge, Scene, Tree

SKY, SUN, CLOUD, MOUNTAIN, HILL, WATER, MEADOW, WALL, ROOF, WINDOW, TRUNK, CROWN = range(12)
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    x: Array  # position, 0 to 1
    y: Array
    thing: NDArray[np.intp]  # SKY, SUN, ...
    object: NDArray[np.intp]  # two trees are two objects
    light: Array  # 0 in the shade, 1 in the sun
    depth: Array  # 0 where the object begins (its top), 1 at its end
    tint: Array  # -1 to 1, one value per object
    scene: Scene

    @property
    def resolution(self) -> int:
        return int(self.x.shape[0])

    def contours(self, width: float) -> Array:
        """Coverage in [0, 1] of lines between objects, `width` as a fraction of the picture."""
        edge = np.zeros(self.object.shape)
        edge[1:, :] = self.object[1:, :] != self.object[:-1, :]
        edge[:, 1:] = np.maximum(edge[:, 1:], self.object[:, 1:] != self.object[:, :-1])
        reach = max(1, round(width * self.resolution / 4))
        line: Array = np.clip(blur(edge, reach) * (2 * reach + 1) * 0.9, 0, 1)
        return line

    def colours(self, palette: dict[int, tuple[float, float, float]]) -> Array:
        """One flat colour per thing, (H, W, 3)."""
        table = np.array([palette[thing] for thing in range(12)])
        return table[self.thing]


def view(scene: Scene, resolution: int) -> View:
    """Look at the scene with `resolution` points a side; nearer things cover farther ones."""
    centres = (np.arange(resolution) + 0.5) / resolution
    y, x = np.meshgrid(centres, centres, indexing="ij")
    shape = (resolution, resolution)
    seen = View(
        x, y, np.zeros(shape, np.intp), np.zeros(shape, np.intp), np.ones(shape), y / 0.6, np.zeros(shape), scene
    )
    _sun_and_clouds(seen)
    for thing, ridge in zip((MOUNTAIN, HILL), scene.ridges, strict=True):
        _ridge(seen, ridge, thing)
    _put(seen, y > scene.shore, WATER, np.full(shape, 0.7), (y - scene.shore) / 0.3)
    _ridge(seen, scene.bank, MEADOW)
    for house in sorted(scene.houses, key=lambda house: house.foot):
        _house(seen, house)
    for tree in sorted(scene.trees, key=lambda tree: tree.foot):
        _tree(seen, tree)
    return seen


def _put(
    seen: View, where: Mask, thing: int, light: Array, depth: Array, tint: float = 0.0, part: bool = False
) -> None:
    """Draw one more thing in front; a part belongs to the object drawn before it."""
    seen.thing[where] = thing
    seen.object[where] = seen.object.max() + (not part)
    seen.light[where] = np.clip(light[where], 0, 1)
    seen.depth[where] = np.clip(depth[where], 0, 1)
    seen.tint[where] = tint


def _sun_and_clouds(seen: View) -> None:
    sun, ones = seen.scene.sun, np.ones_like(seen.x)
    disc = (seen.x - sun.x) ** 2 + (seen.y - sun.y) ** 2 < sun.radius**2
    _put(seen, disc, SUN, ones, (seen.y - sun.y) / sun.radius / 2 + 0.5)
    for cloud in seen.scene.clouds:
        away = ((seen.x - cloud.x) / cloud.width) ** 2 + ((seen.y - cloud.y) / cloud.height) ** 2
        _put(seen, (away < 1) & ~disc, CLOUD, ones, (seen.y - cloud.y) / cloud.height / 2 + 0.5)


def _ridge(seen: View, ridge: Ridge, thing: int) -> None:
    top = ridge.skyline(seen.x[0])
    slope = np.gradient(top, 1 / seen.resolution)
    lit = np.broadcast_to(0.55 + 0.45 * np.tanh(1.6 * slope * seen.scene.light), seen.x.shape)
    _put(seen, seen.y > top, thing, lit, (seen.y - top) / 0.3)


def _house(seen: View, house: House) -> None:
    across, up = (seen.x - house.x) / (house.width / 2), (house.foot - seen.y) / house.height
    lit = np.where(across * seen.scene.light > -0.2, 0.95, 0.45)
    _put(seen, (np.abs(across) < 1) & (up > 0) & (up < 1), WALL, lit, 1 - up, house.tint)
    window = (np.abs(np.abs(across) - 0.45) < 0.17) & (np.abs(up - 0.5) < 0.22)
    _put(seen, window, WINDOW, np.full_like(lit, 0.5), 1 - up, house.tint, part=True)
    above = (house.foot - house.height - seen.y) / house.roof
    roof = (above > -0.08) & (np.abs(across) < 1.22 * (1 - 0.8 * above)) & (above < 1)
    _put(seen, roof, ROOF, lit, 1 - above, house.tint)


def _tree(seen: View, tree: Tree) -> None:
    across, up = (seen.x - tree.x) / tree.crown, (tree.foot - seen.y) / tree.height
    trunk = (np.abs(across) < 0.18) & (up > 0) & (up < 0.6)
    _put(seen, trunk, TRUNK, 0.5 + 2 * across * seen.scene.light, 1 - up, tree.tint)
    if tree.conifer:
        steps = 1 - (up - 0.2) / 0.8
        crown = (up > 0.2) & (np.abs(across) < steps * (0.75 + 0.25 * np.mod(steps * 3, 1)))
    else:
        crown = across**2 + ((up - 0.66) / 0.36) ** 2 < 1
    lit = 0.55 + 0.4 * across * seen.scene.light + 0.35 * (up - 0.66)
    _put(seen, crown, CROWN, lit, 1 - (up - 0.2) / 0.8, tree.tint)
