"""What is drawn from a generator that was handed in; no other chance is in a picture."""

import torch


def happens(probability: float, chance: torch.Generator) -> bool:
    """Draws once, whatever the probability."""
    return bool(torch.rand((), generator=chance) < probability)


def between(low: float, high: float, chance: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=chance))


def whole(below: int, chance: torch.Generator) -> int:
    """An integer from 0 on, below the limit."""
    return int(torch.randint(below, (), generator=chance))
