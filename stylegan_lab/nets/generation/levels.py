"""Levels: the sides that nets go through between their smallest map and a picture, and the channels at each."""

from typing import Literal

from stylegan_lab.nets.generation.dcgan import pyramid


def levels(role: Literal["generator", "adversary"], size: int, channels: int, most: int) -> tuple[list[int], list[int]]:
    """Smallest first; `channels` at full size, twice as many at each halving, at most `most`."""
    smallest, _ = pyramid(role, size, channels, most)
    count = (size // smallest).bit_length()
    halvings = reversed(range(count))
    return [smallest * 2**level for level in range(count)], [min(channels * 2**each, most) for each in halvings]
