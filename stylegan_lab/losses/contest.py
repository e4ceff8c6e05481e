"""A contest: what one `loss=` choice holds. A game, penalties and a constraint on critics, and whose turn it is."""

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor, nn

from stylegan_lab.losses.constraints import Constraint
from stylegan_lab.losses.games import Game
from stylegan_lab.losses.penalties import Penalty
from stylegan_lab.losses.seen import Adapting, Plainly, Seen
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.nets.verdict import Beside, Judge, Verdict


class Turns(Protocol):
    """Whether the generators play in an iteration, counted from 1; each is one critic step on a fresh batch."""

    def __call__(self, iteration: int) -> bool: ...


class EveryFew:
    """Once after so many critic turns."""

    def __init__(self, turns: int) -> None:
        at_least("loss.critic_turns", turns, 1)
        self.turns = turns

    def __call__(self, iteration: int) -> bool:
        return iteration % self.turns == 0


class WellAdvised:
    """WGAN's (Arjovsky et al., 2017, in their code): once after `turns` critic turns, but after `many` of them for the `first`
    generator steps, and again for each step whose number, counted from 0, is a multiple of `again`."""

    def __init__(self, turns: int = 5, many: int = 100, first: int = 25, again: int = 500) -> None:
        at_least("loss.critic_turns.turns", turns, 1)
        at_least("loss.critic_turns.many", many, 1)
        at_least("loss.critic_turns.first", first, 1)
        at_least("loss.critic_turns.again", again, first)
        self.turns, self.many, self.first, self.again = turns, many, first, again

    def __call__(self, iteration: int) -> bool:
        opening = self._stretch(self.first)
        if iteration <= opening:
            return self._ends_turn(iteration, self.first)
        return self._ends_turn((iteration - opening - 1) % self._stretch(1) + 1, 1)

    def _stretch(self, patient: int) -> int:
        """Iterations of `again` generator steps, of which so many wait for `many` critic turns."""
        return patient * self.many + (self.again - patient) * self.turns

    def _ends_turn(self, iteration: int, patient: int) -> bool:
        rest = iteration - patient * self.many
        return iteration % self.many == 0 if rest <= 0 else rest % self.turns == 0


class Contest:
    """`critic_turns` critic steps, each on a fresh batch, go to one generator step; or as a function of the iteration says."""

    def __init__(
        self,
        game: Game,
        penalties: Mapping[str, Penalty | None] | None = None,
        constraint: Constraint | None = None,
        critic_turns: int | Turns = 1,
        seen: Seen | None = None,
    ) -> None:
        self.game = game
        self.seen = seen or Plainly()
        if isinstance(self.seen, Adapting) and getattr(game, "sure", None) is None:
            raise Mistake(
                f"critics_see=adaptive looks at how sure a critic is of its reals, and in a {type(game).__name__} game verdicts "
                "have no middle to be sure on either side of; give critics_see=diffaugment, or another loss"
            )
        self.penalties = {name: penalty for name, penalty in (penalties or {}).items() if penalty is not None}
        self.constraint = constraint
        self.generators_play: Turns = EveryFew(critic_turns) if isinstance(critic_turns, int) else critic_turns

    def generator(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        return self.game.generator(self._seeing(judge), real, fake)

    def critic(self, judge: Judge, real: Tensor, fake: Tensor, iteration: int) -> Terms:
        """The critic's side of the game on detached fakes, with the penalties that are due."""
        return self.critic_plays(judge, real, fake) | self.critic_pays(judge, real, fake, iteration)

    def critic_plays(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        terms = self.game.critic(self._seeing(judge), real, fake.detach())
        notes = _ahead(terms) if getattr(self.game, "can_be_won", False) else {}
        if isinstance(self.seen, Adapting):
            notes["sure"] = self.game.sure(terms.notes)  # type: ignore[attr-defined]
        return terms | Terms({}, notes)

    def critic_pays(self, judge: Judge, real: Tensor, fake: Tensor, iteration: int) -> Terms:
        seeing = self._seeing(judge)
        due = {name: penalty for name, penalty in self.penalties.items() if iteration % penalty.every == 0}
        return Terms({name: penalty(seeing, real, fake.detach()) for name, penalty in due.items()})

    @property
    def penalties_every(self) -> int:
        """Between iterations in which some are due."""
        return min((penalty.every for penalty in self.penalties.values()), default=0)

    def penalties_are_due(self, iteration: int) -> bool:
        return any(iteration % penalty.every == 0 for penalty in self.penalties.values())

    def constrain(self, critic: nn.Module) -> None:
        if self.constraint is not None:
            self.constraint(critic)

    def _seeing(self, judge: Judge) -> Judge:
        """The judge, before whom pictures are changed by chance, and what it sees beside each of them alike."""
        if isinstance(self.seen, Plainly):
            return judge

        def see(images: Tensor) -> Verdict:
            change = self.seen.draw(images)
            changed = judge.changed(change) if isinstance(judge, Beside) else judge
            return changed(change(images))

        return see


def _ahead(terms: Terms) -> dict[str, Tensor]:
    """The share of places at which the critic takes the real one for more real: 0.5 if it cannot tell, 1 once it has won."""
    return {"ahead": (terms.notes["logits_real"] > terms.notes["logits_fake"]).float().mean()}
