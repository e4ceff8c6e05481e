"""Taps: the maps between a net's layers, on the way to its end or instead of it."""

from collections.abc import Sequence

from torch import Tensor, nn


def tapped(
    layers: nn.Sequential, x: Tensor, places: Sequence[int], to_the_end: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """What comes out of the last layer computed, and of the layers at `places`; nothing behind them unless `to_the_end`."""
    maps = {}
    for place in range(len(layers) if to_the_end else max(places) + 1):
        x = layers[place](x)
        if place in places:
            maps[place] = x
    return x, [maps[place] for place in places]
