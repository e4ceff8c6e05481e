"""What is drawn from a generator that was handed in; no other chance is in a picture."""

from collections.abc import Sequence

import torch

from stylegan_lab.mistake import Mistake


def probable(name: str, probability: float) -> float:
    if not 0 <= probability <= 1:
        raise Mistake(f"{name}={probability}: a probability is between 0 and 1")
    return probability


def happens(probability: float, chance: torch.Generator) -> bool:
    """Draws once, whatever the probability."""
    return bool(torch.rand((), generator=chance) < probability)


class Range:
    """Evenly from `ends[0]` to `ends[1]`."""

    def __init__(self, name: str, ends: Sequence[float], least: float = 0.0, most: float = float("inf")) -> None:
        if len(ends) != 2 or not least <= ends[0] <= ends[1] <= most:
            limits = f"from {least:g} on" if most == float("inf") else f"between {least:g} and {most:g}"
            raise Mistake(f"{name}={list(ends)}: two numbers {limits} are expected, the smaller first")
        self.low, self.high = ends

    def drawn(self, chance: torch.Generator) -> float:
        return self.low + (self.high - self.low) * float(torch.rand((), generator=chance))


def whole(below: int, chance: torch.Generator) -> int:
    """An integer from 0 on, below the limit."""
    return int(torch.randint(below, (), generator=chance))
