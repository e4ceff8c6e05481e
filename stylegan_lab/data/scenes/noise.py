"""Noise and blur on square arrays, the same on every machine."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def stream(*key: int) -> np.random.RandomState:
    """A random stream named by integers. `RandomState` because NumPy promises never to change what it yields."""
    return np.random.RandomState([number & 0xFFFFFFFF for number in key])


def smooth_noise(random: np.random.RandomState, x: Array, y: Array, cells: float) -> Array:
    """Value noise in [0, 1]: random numbers on a lattice of `cells` per unit, joined by smooth steps."""
    x, y = (x - x.min()) * cells, (y - y.min()) * cells
    columns, rows = int(x.max()) + 2, int(y.max()) + 2
    lattice = random.random_sample((rows, columns))
    left, top = x.astype(np.intp), y.astype(np.intp)
    across, down = _ease(x - left), _ease(y - top)
    upper = lattice[top, left] * (1 - across) + lattice[top, left + 1] * across
    lower = lattice[top + 1, left] * (1 - across) + lattice[top + 1, left + 1] * across
    blended: Array = upper * (1 - down) + lower * down
    return blended


def fractal_noise(random: np.random.RandomState, x: Array, y: Array, cells: float, octaves: int = 3) -> Array:
    """Smooth noise at doubling frequencies and halving heights, in [0, 1]."""
    layers = [smooth_noise(random, x, y, cells * 2**octave) / 2**octave for octave in range(octaves)]
    total: Array = np.sum(layers, axis=0) / (2 - 2.0 ** (1 - octaves))
    return total


def blur(image: Array, radius: float) -> Array:
    """Nearly Gaussian: two running means in each direction, edges repeated."""
    reach = max(1, round(radius))
    for _ in range(2):
        image = _running_mean(_running_mean(image, reach, 0), reach, 1)
    return image


def _running_mean(image: Array, reach: int, axis: int) -> Array:
    pad = [(0, 0)] * image.ndim
    pad[axis] = (reach + 1, reach)
    sums = np.cumsum(np.pad(image, pad, mode="edge"), axis=axis)
    width = 2 * reach + 1
    ends = np.take(sums, range(width, sums.shape[axis]), axis=axis)
    starts = np.take(sums, range(0, sums.shape[axis] - width), axis=axis)
    mean: Array = (ends - starts) / width
    return mean


def _ease(t: Array) -> Array:
    eased: Array = t * t * (3 - 2 * t)
    return eased
