"""A module with a game in it: critics, their contest, and the rates of both sides."""

from typing import Any

from torch import nn

from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.module import Module, OptimizerFactory, Schedule, TermsOf
from stylegan_lab.modules.player import Player


class AdversarialModule(Module):
    def __init__(
        self,
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients)
        self.contest = loss
        self._optimizer = optimizer
        self._critic_rate = critic_rate

    def generator_player(self, name: str, *nets: nn.Module) -> Player:
        return self.player(name, *nets, optimizer=self._optimizer)

    def critic_player(self, name: str, *nets: nn.Module) -> Player:
        """Critics may learn faster or slower than generators (two time scales, Heusel et al., 2017). What the contest demands
        of their weights holds from the first step on."""
        for critic in nets:
            self.contest.constrain(critic)
        return self.player(name, *nets, optimizer=self._optimizer, rate=self._critic_rate)

    def descend_critics(self, player: Player, terms: TermsOf, *args: Any) -> Terms:
        """`descend`, and then whatever the contest demands of critics' weights."""
        done = self.descend(player, terms, *args)
        for critic in player.nets:
            self.contest.constrain(critic)
        return done
