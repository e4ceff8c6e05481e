"""A hand: how one person writes, before what they write each time; slant, pen, proportions and which shape of each digit."""

from dataclasses import dataclass

import numpy as np

from stylegan_lab.data.glyphs.shapes import SHAPES, Shape
from stylegan_lab.data.scenes.noise import Array, stream


@dataclass(frozen=True)
class Hand:
    slant: float  # how far the top leans right, in heights
    width: float  # of a digit, in heights
    waist: float  # how far the middle sits above the middle, in heights
    heavy: float  # how much wider the top is than the foot
    roundness: float  # 0: straight from point to point, 1: as a pen would
    pen: tuple[float, float]  # half its width across and down, in pictures
    lift: float  # how much thinner a stroke ends than it began
    ink: float  # its lightness
    unrest: float  # how far points stray from one glyph to the next, in boxes
    shapes: tuple[Shape, ...]  # of each digit
    manner: tuple[Array, ...]  # how far this hand's points lie from what was taught, of each digit


def hand(world: int, number: int) -> Hand:
    """Hand `number` of the `world`; the two alone decide it."""
    random = stream(world, number, 10)
    u = random.uniform
    pen = u(0.028, 0.06)
    shapes = tuple(among[random.randint(len(among))] for among in SHAPES)
    return Hand(
        slant=u(-0.15, 0.45),
        width=u(0.5, 0.85),
        waist=u(-0.09, 0.09),
        heavy=u(-0.3, 0.3),
        roundness=u(0.7, 1.15),
        pen=(pen * u(0.75, 1.25), pen),
        lift=u(0.0, 0.35),
        ink=u(0.8, 1.0),
        unrest=u(0.02, 0.05),
        shapes=shapes,
        manner=tuple(u(-0.08, 0.08, (sum(map(len, shape)), 2)) for shape in shapes),
    )


def points_of(shape: Shape) -> Array:
    return np.array([point for stroke in shape for point in stroke])
