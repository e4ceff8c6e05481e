"""Write glyph number `index`: the one door to the embedded digits.

Only sums, products, quotients and square roots, which IEEE 754 rounds the same everywhere: pictures are equal to the bit on
any machine and under any NumPy."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from stylegan_lab.data.glyphs.hand import Hand, hand, points_of
from stylegan_lab.data.glyphs.shapes import SHAPES, Shape
from stylegan_lab.data.scenes.noise import Array, stream

DIGITS = len(SHAPES)
A_HAND = 2 * DIGITS  # glyphs that one hand writes: every digit twice
STEP = 0.03  # between points of a stroke, in heights of a glyph

_hand = lru_cache(maxsize=256)(hand)


def digit(index: int) -> int:
    return index % DIGITS


def write(world: int, index: int, size: int) -> NDArray[np.uint8]:
    """The glyph, light on dark, (size, size)."""
    writer, what = _hand(world, index // A_HAND), digit(index)
    random = stream(world, index, 11)
    shape = writer.shapes[what]
    strayed = _strayed(shape, writer.manner[what], writer.unrest, random)
    line, pressure = _line(shape, strayed, writer)
    return _inked(_placed(line, writer, random), pressure, writer, size)


def _strayed(shape: Shape, manner: Array, unrest: float, random: np.random.RandomState) -> Array:
    """The points of the shape as this hand sets them this time; strokes do not quite meet."""
    stroke = np.repeat(np.arange(len(shape)), [len(each) for each in shape])
    missed = random.uniform(-unrest, unrest, (len(shape), 2))[stroke]
    return points_of(shape) + manner + missed + random.uniform(-unrest, unrest, manner.shape)


def _line(shape: Shape, points: Array, writer: Hand) -> tuple[Array, Array]:
    """Points close together along all strokes, cardinal splines, and how hard the pen is pressed at each."""
    ends = np.cumsum([len(each) for each in shape])
    starts = ends - [len(each) for each in shape]
    begin = np.concatenate([np.arange(start, end - 1) for start, end in zip(starts, ends, strict=True)])
    first = np.repeat(starts, ends - starts - 1)
    last = np.repeat(ends - 1, ends - starts - 1)
    one, two = points[begin], points[begin + 1]
    leaving = (two - points[np.maximum(begin - 1, first)]) * (writer.roundness / 2)
    arriving = (points[np.minimum(begin + 2, last)] - one) * (writer.roundness / 2)
    across, down = (two - one).T
    pieces = np.ceil(np.sqrt(across * across + down * down) / STEP).astype(np.intp) + 1
    which = np.repeat(np.arange(len(begin)), pieces)
    t = (np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)) / np.repeat(pieces - 1, pieces)
    done = (begin[which] - first[which] + t) / (last - first)[which]
    t = t[:, None]
    rest = 1 - t
    line = (
        (1 + 2 * t) * rest * rest * one[which]
        + t * rest * rest * leaving[which]
        + t * t * (3 - 2 * t) * two[which]
        - t * t * rest * arriving[which]
    )
    return line, 1 - writer.lift * done


def _placed(line: Array, writer: Hand, random: np.random.RandomState) -> Array:
    """From the unit box into the picture: proportions, slant, size, turn, place."""
    u = random.uniform
    across, down = line[:, 0] - 0.5, line[:, 1] - 0.5
    high = 0.25 - down * down
    across = across * (1 - writer.heavy * down) * writer.width * u(0.85, 1.15)
    down = down - writer.waist * 4 * high
    across = across - (writer.slant + u(-0.08, 0.08)) * down
    height, turn = u(0.6, 0.76), u(-0.08, 0.08)  # the turn: the tangent of half its angle
    cosine, sine = (1 - turn * turn) / (1 + turn * turn), 2 * turn / (1 + turn * turn)
    return np.stack(
        [
            0.5 + u(-0.06, 0.06) + height * (cosine * across - sine * down),
            0.5 + u(-0.06, 0.06) + height * (sine * across + cosine * down),
        ]
    )


def _inked(line: Array, pressure: Array, writer: Hand, size: int) -> NDArray[np.uint8]:
    """Every pixel by its distance, in pens, from the nearest point of the line."""
    centres = (np.arange(size) + 0.5) / size
    wide, high = (max(half, 0.55 / size) * pressure[:, None] for half in writer.pen)  # a pen is never under a pixel
    across = (((centres - line[0][:, None]) / wide) ** 2).astype(np.float32)
    down = (((centres - line[1][:, None]) / high) ** 2).astype(np.float32)
    away = np.sqrt((down[:, :, None] + across[:, None, :]).min(axis=0))
    pen = np.float32(size * min(writer.pen))
    covered = np.clip(np.float32(0.5) + (1 - away) * max(pen, np.float32(0.55)), 0, 1)
    return np.rint(covered * np.float32(255 * writer.ink)).astype(np.uint8)
