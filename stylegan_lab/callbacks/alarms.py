"""Alarms: what goes wrong in a game without any number becoming NaN. A critic that has won; generators that make one picture."""

from collections import defaultdict, deque
from typing import Any

import lightning as L

from stylegan_lab.callbacks.watching import looking
from stylegan_lab.evaluation.diversity import diversity
from stylegan_lab.mistake import at_least
from stylegan_lab.modules.module import Module
from stylegan_lab.runs import Run

ADVICE = "docs/troubleshooting.md"


class Alarms(L.Callback):
    """Told once in the log, and again if it comes back. A critic has won when it ranks more than `won` of all reals above
    fakes in `looks` looks in a row, which are as frequent as lines of the record. Generators have collapsed when `count`
    held-out pictures, looked at every `every` iterations (0: never), have less than `collapsed` of real diversity."""

    def __init__(
        self, every: int = 1000, count: int = 16, collapsed: float = 0.1, won: float = 0.99, looks: int = 20
    ) -> None:
        at_least("callbacks.alarms.every", every, 0)
        at_least("callbacks.alarms.count", count, 2)
        at_least("callbacks.alarms.looks", looks, 1)
        self.every, self.count, self.collapsed, self.won = every, count, collapsed, won
        self._ahead: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=looks))
        self._told: set[str] = set()

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        assert isinstance(pl_module, Module)
        if pl_module.due:
            self._watch_critics(trainer, pl_module)
        if self.every and pl_module.iteration % self.every == 0:
            self._watch_generators(trainer, pl_module)

    def _watch_critics(self, trainer: L.Trainer, module: Module) -> None:
        ahead = {
            name.removesuffix("_ahead"): float(note)
            for name, note in module.latest_notes.items()
            if name.endswith("_ahead")
        }
        for critic, value in ahead.items():
            seen = self._ahead[critic]
            seen.append(value)
            won = len(seen) == seen.maxlen and min(seen) > self.won
            self._tell_if(
                won, trainer, module, f"{critic} has won: for {len(seen)} looks it told over {self.won:.0%} of all fakes "
                f"from reals, and generators learn little from that. Slow it down: see {ADVICE}",
            )  # fmt: skip

    def _watch_generators(self, trainer: L.Trainer, module: Module) -> None:
        batch = {name: images.to(module.device) for name, images in trainer.datamodule.first("val", self.count).items()}  # type: ignore[attr-defined]
        with looking(trainer, module):
            ratios = {name: diversity(made, real) for name, (made, real) in module.beside_real(batch).items()}
        for name, ratio in ratios.items():
            for logger in trainer.loggers:
                logger.log_metrics({f"diversity/{name}": ratio}, step=module.iteration)
            self._tell_if(
                ratio < self.collapsed, trainer, module, f"{name} may have collapsed: its pictures differ {ratio:.2f} "
                f"times as much as real ones (below {self.collapsed}). See samples/ and {ADVICE}",
            )  # fmt: skip

    def _tell_if(self, is_so: bool, trainer: L.Trainer, module: Module, what: str) -> None:
        kind = what.split(":")[0]
        if is_so and kind not in self._told and trainer.is_global_zero:
            Run.of(trainer).tell(f"iteration {module.iteration}: {what}")
        self._told = self._told | {kind} if is_so else self._told - {kind}
        module.alarms = self._told
