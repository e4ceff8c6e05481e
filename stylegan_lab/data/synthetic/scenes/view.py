"""A view of a scene: the visible object at each point, its lighting and its depth. Styles paint views."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.synthetic.scenes.noise import Array, blur
from stylegan_lab.data.synthetic.scenes.scene import House, Ridge, Scene, Tree

SKY, SUN, CLOUD, MOUNTAIN, HILL, WATER, MEADOW, WALL, ROOF, WINDOW, TRUNK, CROWN = range(12)
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class View:
    x: Array  # position, 0 to 1
    y: Array
    thing: NDArray[np.intp]  # SKY, SUN, ...
    object: NDArray[np.intp]  # two trees are two objects
    light: Array  # 0 in shadow, 1 in sunlight
    depth: Array  # 0 at the top of the object, 1 at its bottom
    tint: Array  # -1 to 1, one value per object
    scene: Scene

    @property
    def resolution(self) -> int:
        return int(self.x.shape[0])

    def contours(self, width: float) -> Array:
        """Return the coverage of each point, in [0, 1], by contour lines between objects. `width` is a fraction of the image
        size."""
        edge = np.zeros(self.object.shape)
        edge[1:, :] = self.object[1:, :] != self.object[:-1, :]
        edge[:, 1:] = np.maximum(edge[:, 1:], self.object[:, 1:] != self.object[:, :-1])
        radius = max(1, round(width * self.resolution / 4))
        return np.clip(blur(edge, radius) * (2 * radius + 1) * 0.9, 0, 1)

    def values(self, table: Mapping[int, float | tuple[float, float, float]]) -> Array:
        """Return an array with the number or color that the table gives for the kind of object at each point. Kinds that are not in
        the table get 0."""
        return np.array([table.get(thing, 0.0) for thing in range(12)])[self.thing]


def rasterize_scene(scene: Scene, resolution: int) -> View:
    """Rasterize a scene with `resolution` points per side. Near objects cover distant ones."""
    centers = (np.arange(resolution) + 0.5) / resolution
    y, x = np.meshgrid(centers, centers, indexing="ij")
    shape = (resolution, resolution)
    view = View(
        x, y, np.zeros(shape, np.intp), np.zeros(shape, np.intp), np.ones(shape), y / 0.6, np.zeros(shape), scene
    )
    _sun_and_clouds(view)
    for thing, ridge in zip((MOUNTAIN, HILL), scene.ridges, strict=True):
        _ridge(view, ridge, thing)
    _draw(view, y > scene.shore, WATER, np.full(shape, 0.7), (y - scene.shore) / 0.3)
    _ridge(view, scene.bank, MEADOW)
    for house in sorted(scene.houses, key=lambda house: house.foot):
        _house(view, house)
    for tree in sorted(scene.trees, key=lambda tree: tree.foot):
        _tree(view, tree)
    return view


def _draw(
    view: View, where: Mask, thing: int, light: Array, depth: Array, tint: float = 0.0, part: bool = False
) -> None:
    """Draw an object in front of the others. A part belongs to the object drawn before it."""
    view.thing[where] = thing
    view.object[where] = view.object.max() + (not part)
    view.light[where] = np.clip(light[where], 0, 1)
    view.depth[where] = np.clip(depth[where], 0, 1)
    view.tint[where] = tint


def _sun_and_clouds(view: View) -> None:
    sun, ones = view.scene.sun, np.ones_like(view.x)
    disc = (view.x - sun.x) ** 2 + (view.y - sun.y) ** 2 < sun.radius**2
    _draw(view, disc, SUN, ones, (view.y - sun.y) / sun.radius / 2 + 0.5)
    for cloud in view.scene.clouds:
        distance = ((view.x - cloud.x) / cloud.width) ** 2 + ((view.y - cloud.y) / cloud.height) ** 2
        _draw(view, (distance < 1) & ~disc, CLOUD, ones, (view.y - cloud.y) / cloud.height / 2 + 0.5)


def _ridge(view: View, ridge: Ridge, thing: int) -> None:
    top = ridge.skyline(view.x[0])
    slope = np.gradient(top, 1 / view.resolution)
    lit = np.broadcast_to(0.55 + 0.45 * np.tanh(1.6 * slope * view.scene.light), view.x.shape)
    _draw(view, view.y > top, thing, lit, (view.y - top) / 0.3)


def _house(view: View, house: House) -> None:
    across, up = (view.x - house.x) / (house.width / 2), (house.foot - view.y) / house.height
    lit = np.where(across * view.scene.light > -0.2, 0.95, 0.45)
    _draw(view, (np.abs(across) < 1) & (up > 0) & (up < 1), WALL, lit, 1 - up, house.tint)
    window = (np.abs(np.abs(across) - 0.45) < 0.17) & (np.abs(up - 0.5) < 0.22)
    _draw(view, window, WINDOW, np.full_like(lit, 0.5), 1 - up, house.tint, part=True)
    above = (house.foot - house.height - view.y) / house.roof
    roof = (above > -0.08) & (np.abs(across) < 1.22 * (1 - 0.8 * above)) & (above < 1)
    _draw(view, roof, ROOF, lit, 1 - above, house.tint)


def _tree(view: View, tree: Tree) -> None:
    across, up = (view.x - tree.x) / tree.crown, (tree.foot - view.y) / tree.height
    trunk = (np.abs(across) < 0.18) & (up > 0) & (up < 0.6)
    _draw(view, trunk, TRUNK, 0.5 + 2 * across * view.scene.light, 1 - up, tree.tint)
    if tree.conifer:
        steps = 1 - (up - 0.2) / 0.8
        crown = (up > 0.2) & (np.abs(across) < steps * (0.75 + 0.25 * np.mod(steps * 3, 1)))
    else:
        crown = across**2 + ((up - 0.66) / 0.36) ** 2 < 1
    lit = 0.55 + 0.4 * across * view.scene.light + 0.35 * (up - 0.66)
    _draw(view, crown, CROWN, lit, 1 - (up - 0.2) / 0.8, tree.tint)
