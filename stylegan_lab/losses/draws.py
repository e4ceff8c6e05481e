"""Draws: chance by (seed, iteration, place in the whole batch), so that neither ranks nor parts change what a picture meets.

Outside of an iteration, and for what has no place in a batch, such as dropout, torch's own stream serves.
"""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value")
Dice = torch.Generator | None


@dataclass
class Place:
    """Which of the pictures of an iteration's whole batch are at hand: those of one part of one rank's."""

    seed: int
    iteration: int
    rank: int = 0
    ranks: int = 1
    part: int = 0
    parts: int = 1
    drawn: int = 0

    def dice(self) -> torch.Generator:
        """The same in every rank and part, which draw in the same order."""
        self.drawn += 1
        key = f"{self.seed} {self.iteration} {self.drawn}"
        return torch.Generator().manual_seed(random.Random(key).getrandbits(63))

    def mine(self, count: int) -> slice:
        """Ranks take pictures in turn; parts are blocks of what a rank has."""
        return slice(self.part * count * self.ranks + self.rank, (self.part + 1) * count * self.ranks, self.ranks)


_HERE: ContextVar[Place | None] = ContextVar("place", default=None)


@contextmanager
def drawing(place: Place) -> Iterator[None]:
    before = _HERE.set(place)
    try:
        yield
    finally:
        _HERE.reset(before)


def drawn() -> int:
    """How often chance was asked in this iteration."""
    place = _HERE.get()
    return 0 if place is None else place.drawn


def go_on_from(drawn: int) -> None:
    """As if chance had been asked so often."""
    place = _HERE.get()
    if place is not None:
        place.drawn = drawn


def for_each(count: int, draw: Callable[[int, Dice], Tensor]) -> Tensor:
    """A row for each of the `count` pictures at hand; `draw(n, dice)` gives n rows on the CPU."""
    place = _HERE.get()
    if place is None:
        return draw(count, None)
    return draw(count * place.ranks * place.parts, place.dice())[place.mine(count)]


def for_all(draw: Callable[[Dice], Value]) -> Value:
    """One for the whole batch."""
    place = _HERE.get()
    return draw(None if place is None else place.dice())
