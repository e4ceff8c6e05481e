"""A module: players, the one counter, their optimizers, and `descend`, the step every variant is written in."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import wraps
from typing import Any, Protocol

import lightning as L
import torch
from lightning.pytorch.strategies import ParallelStrategy
from torch import Tensor, nn

from stylegan_lab.images.batch import Kind
from stylegan_lab.losses.draws import Place
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.player import Player
from stylegan_lab.modules.ranks import agree, average_gradients, rank, ranks
from stylegan_lab.modules.turns import Turns

OptimizerFactory = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Schedule = Callable[[float], float]


class TermsOf(Protocol):
    """Computes terms; or yields them in groups, each of which is sent backward before the next is computed."""

    def __call__(self, *args: Any) -> Terms | Iterator[Terms]: ...


class Module(L.LightningModule):
    """`takes` is the kind of batch a variant plays with; `averaged` names the nets that are used once trained."""

    takes: Kind
    averaged: tuple[str, ...] = ()
    directions: tuple[str, ...] = ("a2b",)
    enlarges = False  # whether it can play with targets that are larger than inputs
    style_seed = 0  # of styles that are drawn when it is used

    def __init__(self, schedule: Schedule, clip_gradients: float | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.iteration = 0  # batches played; while one is played, its number, counted from 1
        self.budget: int | None = None  # iterations in all, told by the Budget callback
        self.config: dict[str, Any] = {}  # what it was built from; saved, so that a checkpoint describes itself
        self.latest_scores: dict[str, float] = {}  # by name, with the `iteration` they were taken at
        self.latest_losses: dict[str, Tensor] = {}  # PLAYER_TERM, of this iteration's turns
        self.latest_notes: dict[str, Tensor] = {}
        self.alarms: set[str] = set()  # that are ringing
        self.rate = 1.0  # of learning, beside what schedules say; lowered after a divergence
        self.accumulate = 1  # parts that a batch is played in, for want of memory
        self._schedule = schedule
        self._clip = clip_gradients
        self._players: list[Player] = []
        self._turns: Turns | None = None  # of the iteration that is being played

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        if "training_step" in vars(cls):
            cls.training_step = _in_turns(cls.training_step)  # type: ignore[method-assign]

    def player(self, name: str, *nets: nn.Module, optimizer: OptimizerFactory, rate: float = 1.0) -> Player:
        """A new player, whose learning rate is `rate` times the optimizer's own."""
        moved = {parameter for player in self._players for parameter in player.parameters()}
        mine = [parameter for net in nets for parameter in net.parameters()]
        if moved.intersection(mine):
            raise ValueError(f"player {name} shares parameters with another player")
        built = optimizer(mine)
        for group in built.param_groups:
            group["initial_lr"] = group["lr"] = group["lr"] * rate
        player = Player(name, len(self._players), nets, built)
        self._players.append(player)
        return player

    @property
    def players(self) -> Sequence[Player]:
        return tuple(self._players)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [player.optimizer for player in self._players]

    def prepare(self) -> None:
        """Get what only training needs, such as feature nets, so that what is missing is told before anything is played."""

    def begin(self) -> list[str]:
        """At the beginning of a training, not when it is resumed: says what was done."""
        return []

    def rehearse(self, channels: int, least: int, size: int) -> None:
        """Use what will be used once, on as little as its nets take (`least` pixels), or on the data's own `size`."""
        self.translate(torch.zeros(1, channels, least, least))

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """From one domain to the other, in one of the module's `directions`."""
        raise NotImplementedError

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        """As `reference` looks, a picture (1, C, H, W) of the domain gone to."""
        raise Mistake(f"a {type(self).__name__} takes no reference picture; runs of stargan2 and adain do")

    def sample(self, batch: Any) -> list[Tensor]:
        """Rows of a picture that shows what the module can do with a batch."""
        raise NotImplementedError

    def beside_real(self, batch: Any) -> dict[str, tuple[Tensor, Tensor]]:
        """By name, pictures made one by one, and real ones of the same kind."""
        ends = {"a2b": ("a", "b"), "b2a": ("b", "a")}
        return {
            name: (
                torch.cat([self.translate(image, name) for image in batch[ends[name][0]].split(1)]),
                batch[ends[name][1]],
            )
            for name in self.directions
        }

    def descend(self, player: Player | Sequence[Player], terms: TermsOf, *args: Any) -> Terms:
        """One step down the sum of `terms(*args)`, of one player or several at once; every other player stands still and
        gathers no gradient. Several are told of under the first one's name."""
        moving = [player] if isinstance(player, Player) else list(player)
        turns = self._turns or Turns()
        if turns.is_taken:
            return turns.skip()
        optimizers = [self._lightning_optimizer(each) for each in moving]
        for optimizer in optimizers if turns.part == 0 else ():
            optimizer.zero_grad()
        with self._still(other for other in self._players if other not in moving), self._alone():
            done = turns.take(moving, lambda: self._backward(terms, args, 1 / len(turns.parts)))
        average_gradients(parameter for each in moving for parameter in each.parameters())
        for each, optimizer in zip(moving, optimizers, strict=True):
            each.move(optimizer.step)
        torch.clear_autocast_cache()  # which may hold half precision copies of the weights as they were
        agree(self)
        name = moving[0].name
        self.latest_losses |= {f"{name}_{term}": loss for term, loss in done.losses.items()}
        self.latest_notes |= {f"{name}_{term}": note for term, note in done.notes.items()}
        return done

    @property
    def due(self) -> bool:
        """Whether this iteration's losses are to be logged."""
        every: int = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        return (every > 0 and self.iteration % every == 0) or self.iteration == self.budget

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        factor = self.rate * self._schedule(self.iteration / self.budget if self.budget else 0.0)
        for player in self._players:
            for group in player.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * factor
        self.iteration += 1
        self.latest_losses, self.latest_notes = {}, {}

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Here, because float16 gradients are scaled until just before."""
        if self._clip is not None:
            for group in optimizer.param_groups:
                nn.utils.clip_grad_norm_(group["params"], self._clip)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["iteration"] = self.iteration
        checkpoint["rate"] = self.rate
        checkpoint["config"] = self.config

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.iteration = checkpoint["iteration"]
        self.rate *= checkpoint["rate"]

    @property
    def replays(self) -> bool:
        """Whether the step is played again for another part of the batch."""
        return self._turns is not None and self._turns.part > 0

    @property
    def parts_played(self) -> int:
        """Of all batches so far, with the one at hand."""
        return (self.iteration - 1) * self.accumulate + 1 + (self._turns.part if self._turns else 0)

    def _backward(self, terms: TermsOf, args: Sequence[Any], share: float) -> Terms:
        done = Terms({})
        computed = terms(*args)
        for group in [computed] if isinstance(computed, Terms) else computed:
            shared = group.weighed(share)
            self.manual_backward(shared.total())
            done = done | shared.detached()
        return done

    def _alone(self) -> AbstractContextManager[Any]:
        """Ranks meet once in each turn, over the gradients of those who move. Lightning's way would send every player's, and
        once for each group of terms."""
        strategy = self.trainer.strategy
        return strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext()

    def _lightning_optimizer(self, player: Player) -> Any:
        optimizers = self.optimizers()
        return optimizers[player.index] if isinstance(optimizers, list) else optimizers

    @contextmanager
    def _still(self, players: Iterable[Player]) -> Iterator[None]:
        frozen = [parameter for player in players for parameter in player.parameters() if parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)


def _in_turns(step: Callable[..., Any]) -> Callable[..., Any]:
    """A variant's training step, played by each part of the batch."""

    @wraps(step)
    def played(self: Module, batch: Any, batch_idx: int) -> None:
        if self._turns is not None:  # called by the step of a subclass
            step(self, batch, batch_idx)
            return

        def place(part: int) -> Place:
            return Place(self.config.get("seed", 0), self.iteration, rank(), ranks(), part, self.accumulate)

        self._turns = Turns(batch, self.accumulate, lambda part: step(self, part, batch_idx), place)
        try:
            self._turns.play()
        finally:
            self._turns = None

    return played
