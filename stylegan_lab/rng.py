"""Random numbers keyed by (seed, iteration, draw) and made on the device of the images. Every rank and micro-batch takes its
rows of the draw for the global batch, so the numbers are the same for any number of ranks and micro-batches.

Random numbers are keyed inside of the loss functions of `optimize` and inside of `shared` and `keyed_draws` (models/base.py).
Elsewhere, and for draws without a position in the batch such as dropout, torch's global generator is used.
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
OptionalGenerator = torch.Generator | None
Device = torch.device | str


@dataclass
class BatchPosition:
    """The position of a micro-batch of one rank in the global batch of an iteration, and the number of draws so far.

    `rows` is the number of samples of the micro-batch; 0 means unknown.
    """

    seed: int
    iteration: int
    rank: int = 0
    world_size: int = 1
    micro_batch: int = 0
    micro_batches: int = 1
    draws: int = 0
    rows: int = 0

    def next_generator(self, device: Device) -> torch.Generator:
        """Return the seeded generator for the next random draw. It is the same on all ranks and for all micro-batches."""
        self.draws += 1
        return torch.Generator(device).manual_seed(_hash(f"{self.seed} {self.iteration} {self.draws}"))

    def dropout_seed(self) -> int:
        """Return a seed for layers that draw from torch's global generator, such as dropout. It differs by micro-batch and rank."""
        return _hash(f"dropout {self.seed} {self.iteration} {self.draws} {self.micro_batch} {self.rank}")

    def take(self, draw: Callable[[int], Tensor], count: int) -> Tensor:
        """Return the `count` rows of this micro-batch from a draw for the global batch.

        Ranks are interleaved, and so are the micro-batches of a rank. If `count` covers several concatenated micro-batches, as in
        `cat([a, b])`, each of them gets its own draw, so that a sample's numbers do not depend on the split.
        """
        rows = count if not self.rows or count % self.rows else self.rows
        total = rows * self.world_size * self.micro_batches
        drawn = draw(count // rows * total)
        here = slice(self.micro_batch * self.world_size + self.rank, None, self.world_size * self.micro_batches)
        return drawn[here] if count == rows else drawn.unflatten(0, (-1, total))[:, here].flatten(0, 1)


_POSITION: ContextVar[BatchPosition | None] = ContextVar("batch_position", default=None)


@contextmanager
def batch_position(position: BatchPosition) -> Iterator[None]:
    before = _POSITION.set(position)
    try:
        yield
    finally:
        _POSITION.reset(before)


def per_sample_draw(count: int, draw: Callable[[int, OptionalGenerator], Tensor], device: Device) -> Tensor:
    """Draw a row for each of the `count` images of this micro-batch. `draw(n, rng)` returns n rows on the device of `rng`."""
    position = _POSITION.get()
    if position is None:
        return draw(count, None).to(device)
    rng = position.next_generator(device)
    return position.take(lambda total: draw(total, rng), count)


def batch_draw(draw: Callable[[OptionalGenerator], Value], device: Device = "cpu") -> Value:
    """Draw one value for the global batch. The generator passed to `draw` is on `device`, and so is the result."""
    position = _POSITION.get()
    return draw(None if position is None else position.next_generator(device))


def rand(count: int, *shape: int, device: Device) -> Tensor:
    """Draw a tensor (count, *shape) of uniform numbers from 0 to 1, with independent numbers for each image."""
    return per_sample_draw(count, lambda n, rng: torch.rand(n, *shape, generator=rng, device=device_of(rng)), device)


def randn(count: int, *shape: int, device: Device) -> Tensor:
    """Draw a tensor (count, *shape) of standard normal numbers, with independent numbers for each image."""
    return per_sample_draw(count, lambda n, rng: torch.randn(n, *shape, generator=rng, device=device_of(rng)), device)


def device_of(rng: OptionalGenerator) -> torch.device | None:
    """Return the device to draw on: the generator's device, or torch's default if there is no generator."""
    return None if rng is None else rng.device


def _hash(key: str) -> int:
    return random.Random(key).getrandbits(63)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within the block, torch's global generators of the CPU and of `device` start from `seed`. After the block their previous
    state is restored.

    Generators of other devices are left alone: `torch.manual_seed` would seed them all.
    """
    others = None if device is None or device.type == "cpu" else torch.get_device_module(device)
    before, before_device = torch.get_rng_state(), others.get_rng_state(device) if others else None
    torch.default_generator.manual_seed(seed)
    if others:
        others.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(before)
        if others:
            others.set_rng_state(before_device, device)
