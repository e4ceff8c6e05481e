"""Noise and blur for square arrays. The results are identical on all machines."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def random_stream(*key: int) -> np.random.RandomState:
    """Return a random stream seeded by integers. NumPy guarantees that the values of `RandomState` never change."""
    return np.random.RandomState([number & 0xFFFFFFFF for number in key])


def smooth_noise(random: np.random.RandomState, x: Array, y: Array, cells: float) -> Array:
    """Return value noise in [0, 1]: random numbers on a lattice with `cells` cells per unit, interpolated smoothly."""
    x, y = (x - x.min()) * cells, (y - y.min()) * cells
    columns, rows = int(x.max()) + 2, int(y.max()) + 2
    lattice = random.random_sample((rows, columns))
    left, top = x.astype(np.intp), y.astype(np.intp)
    across, down = _ease(x - left), _ease(y - top)
    upper = lattice[top, left] * (1 - across) + lattice[top, left + 1] * across
    lower = lattice[top + 1, left] * (1 - across) + lattice[top + 1, left + 1] * across
    return upper * (1 - down) + lower * down


def fractal_noise(random: np.random.RandomState, x: Array, y: Array, cells: float, octaves: int = 3) -> Array:
    """Return the sum of several octaves of smooth noise, in [0, 1]. Each octave has twice the frequency and half the amplitude of
    the one before."""
    layers = [smooth_noise(random, x, y, cells * 2**octave) / 2**octave for octave in range(octaves)]
    return np.sum(layers, axis=0) / (2 - 2.0 ** (1 - octaves))


def blur(image: Array, radius: float) -> Array:
    """Return an approximate Gaussian blur of the image, computed by two running means along each axis, with repeated edges."""
    size = max(1, round(radius))
    for _ in range(2):
        image = _running_mean(_running_mean(image, size, 0), size, 1)
    return image


def _running_mean(image: Array, radius: int, axis: int) -> Array:
    pad = [(0, 0)] * image.ndim
    pad[axis] = (radius + 1, radius)
    sums = np.cumsum(np.pad(image, pad, mode="edge"), axis=axis)
    width = 2 * radius + 1
    ends = np.take(sums, range(width, sums.shape[axis]), axis=axis)
    starts = np.take(sums, range(0, sums.shape[axis] - width), axis=axis)
    return (ends - starts) / width


def _ease(t: Array) -> Array:
    return t * t * (3 - 2 * t)
