"""Turns: those of one iteration, each of them taken by every part of the batch before the players move.

A batch that is too large for the memory is played in parts. At each turn the first part's gradient is added to by the
others: their step is played again from its beginning, with the weights as they were there, up to this turn. So the
gradients are those of the whole batch, whichever player moves first, and an iteration stays one step that is whole or not played.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.losses.draws import Place, drawing, drawn, go_on_from
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.player import Player

Batch = Mapping[str, Any]


@dataclass(frozen=True)
class Taken:
    """A turn that was taken: the weights its players left, what was paid, and how much had been drawn by then."""

    before: Mapping[Player, Sequence[Tensor]]
    terms: Terms
    drawn: int


class Played(Exception):
    """Another part has given its gradient to the turn at hand."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms


class Turns:
    """`step` plays a part of the batch, and `place` says where in the whole it is. Without these, a turn outside of any step."""

    def __init__(
        self,
        batch: Batch | None = None,
        parts: int = 1,
        step: Callable[[Batch], None] = lambda _: None,
        place: Callable[[int], Place] = lambda _: Place(0, 0),
    ) -> None:
        self.parts = [_part(batch or {}, part, parts) for part in range(parts)]
        self.part = 0
        self._step, self._place = step, place
        self._taken: list[Taken] = []
        self._turn = 0  # of the part that is played again
        self._now: dict[Player, Sequence[Tensor]] = {}  # the weights of those who have moved
        self._chance = torch.randint(2**62, (parts,)).tolist() if parts > 1 else []

    def play(self) -> None:
        with drawing(self._place(0)):
            self._step(self.parts[0])

    def take(self, players: Sequence[Player], backward: Callable[[], Terms]) -> Terms:
        """The gradients of every part, and what they pay together; the players are about to move."""
        done = backward()
        if self.part > 0:
            raise Played(done)
        if len(self.parts) > 1:
            so_far = drawn()
            done = _together([done, *(self._again(part) for part in range(1, len(self.parts)))])
            before = {player: [each.detach().clone() for each in player.parameters()] for player in players}
            self._taken.append(Taken(before, done, so_far))
        return done

    @property
    def is_taken(self) -> bool:
        """Whether the turn at hand is one that others have moved in already."""
        return self.part > 0 and self._turn < len(self._taken)

    def skip(self) -> Terms:
        taken = self._taken[self._turn]
        self._turn += 1
        self._put(self._turn)
        go_on_from(taken.drawn)
        return taken.terms

    def _again(self, part: int) -> Terms:
        self.part, self._turn = part, 0
        moved = {player for taken in self._taken for player in taken.before}
        self._now = {player: [each.data for each in player.parameters()] for player in moved}
        try:
            self._put(0)
            with drawing(self._place(part)), _chance_of(self._chance[part]):
                self._step(self.parts[part])
        except Played as played:
            return played.terms
        finally:
            self.part = 0
            _let(self._now)
        raise RuntimeError(f"part {part} of the batch takes fewer turns than the first")

    def _put(self, turn: int) -> None:
        """The weights that a part finds before this turn: as the next turn that moves them left them."""
        found = dict(self._now)
        for taken in reversed(self._taken[turn:]):
            found |= taken.before
        _let(found)


def _let(weights: Mapping[Player, Sequence[Tensor]]) -> None:
    """By pointing at them: what the first part still has to send backward finds its own untouched."""
    for player, values in weights.items():
        for parameter, value in zip(player.parameters(), values, strict=True):
            parameter.data = value
    torch.clear_autocast_cache()


@contextmanager
def _chance_of(seed: int) -> Iterator[None]:
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []):
        torch.manual_seed(seed)
        yield


def _part(batch: Batch, part: int, parts: int) -> dict[str, Any]:
    return {name: value[part * len(value) // parts : (part + 1) * len(value) // parts] for name, value in batch.items()}


def _together(parts: Sequence[Terms]) -> Terms:
    losses = {name: torch.stack([each.losses[name] for each in parts]).sum() for name in parts[0].losses}
    notes = {name: _whole([each.notes[name] for each in parts]) for name in parts[0].notes}
    return Terms(losses, notes)


def _whole(notes: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(notes)).mean(dim=0) if notes[0].dim() == 0 else torch.cat(list(notes))
