"""A module with a game in it: critics, their contest, and the rates of both sides."""

from typing import Any

import torch
from torch import nn

from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.seen import Adapting
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.module import Module, OptimizerFactory, Schedule, TermsOf
from stylegan_lab.modules.player import Player
from stylegan_lab.modules.ranks import mean, ranks


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

    def generators_play(self, iteration: int) -> bool:
        return self.contest.generators_play(iteration)

    def descend_critics(self, player: Player, terms: TermsOf, *args: Any) -> Terms:
        """`descend`, and then whatever the contest demands of critics' weights."""
        done = self.descend(player, terms, *args)
        for critic in player.nets:
            self.contest.constrain(critic)
        if isinstance(self.contest.seen, Adapting) and not self.replays:
            self._adapt(self.contest.seen, player, done)
        return done

    def _adapt(self, seen: Adapting, player: Player, done: Terms) -> None:
        """By what all ranks' critics said of their reals."""
        sure = [note for name, note in done.notes.items() if name.endswith("sure")]
        if not sure:  # a turn in which only penalties are paid
            return
        images = next(len(note) for name, note in done.notes.items() if name.endswith("logits_real"))
        seen.notice(float(mean(torch.stack(sure).mean())), images * ranks())
        self.latest_notes[f"{player.name}_strength"] = torch.tensor(seen.strength)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if isinstance(self.contest.seen, Adapting):
            checkpoint["seen"] = self.contest.seen.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        if isinstance(self.contest.seen, Adapting) and "seen" in checkpoint:
            self.contest.seen.load_state_dict(checkpoint["seen"])
