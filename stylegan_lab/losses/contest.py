"""A contest: what one `loss=` choice holds. A game, penalties and a constraint on critics, and whose turn it is."""

from collections.abc import Mapping

from torch import Tensor, nn

from stylegan_lab.losses.constraints import Constraint
from stylegan_lab.losses.games import Game
from stylegan_lab.losses.penalties import Penalty
from stylegan_lab.losses.terms import Terms
from stylegan_lab.nets.verdict import Judge


class Contest:
    """`critic_turns` critic steps, each on a fresh batch, go to one generator step."""

    def __init__(
        self,
        game: Game,
        penalties: Mapping[str, Penalty | None] | None = None,
        constraint: Constraint | None = None,
        critic_turns: int = 1,
    ) -> None:
        self.game = game
        self.penalties = {name: penalty for name, penalty in (penalties or {}).items() if penalty is not None}
        self.constraint = constraint
        self.critic_turns = critic_turns

    def generators_play(self, iteration: int) -> bool:
        return iteration % self.critic_turns == 0

    def generator(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        return self.game.generator(judge, real, fake)

    def critic(self, judge: Judge, real: Tensor, fake: Tensor, iteration: int) -> Terms:
        """The critic's side of the game on detached fakes, with the penalties that are due."""
        terms = self.game.critic(judge, real, fake.detach())
        due = {
            name: penalty(judge, real, fake.detach())
            for name, penalty in self.penalties.items()
            if iteration % penalty.every == 0
        }
        return terms | Terms(due, _ahead(terms) if getattr(self.game, "can_be_won", False) else {})

    def constrain(self, critic: nn.Module) -> None:
        if self.constraint is not None:
            self.constraint(critic)


def _ahead(terms: Terms) -> dict[str, Tensor]:
    """The share of places at which the critic takes the real one for more real: 0.5 if it cannot tell, 1 once it has won."""
    return {"ahead": (terms.notes["logits_real"] > terms.notes["logits_fake"]).float().mean()}
