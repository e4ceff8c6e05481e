"""The board: every trial's score, state and time left while a sweep runs; a table on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stylegan_lab.better import SIGNS, Better
from stylegan_lab.sweeps.trial import Trial

EVERY = 60.0  # seconds between lines about trials that play
SHOWN = 12  # trials that are over, and stay in view


class Board:
    def __init__(
        self, directions: Mapping[str, Better], total: int, at_once: int, console: Console | None = None
    ) -> None:
        self._directions, self._total, self._at_once = directions, total, at_once
        self._console = console or Console(file=sys.stdout)
        self.trials: dict[int, Trial] = {}
        self._begun, self._told = time.monotonic(), time.monotonic()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        if self._live:
            self._live.start()

    def begins(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        if self._live is None:
            more = f", at iteration {trial.iteration}" if trial.iteration else ""
            self.tell(f"#{trial.number} {trial.name()}: begins{more}")

    def ends(self, trial: Trial) -> None:
        if self._live is None:
            told = trial.state + (f", {trial.reason}" if trial.reason else "")
            self.tell(
                f"#{trial.number} {trial.name()}: {told}{self._scored(trial)} ({clock(trial.seconds)}); {self._sum()}"
            )

    def show(self) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
        elif time.monotonic() - self._told > EVERY:
            for trial in self._in("playing"):
                self.tell(
                    f"#{trial.number} {trial.iteration}/{trial.iterations or '?'}, {left(trial)} left{self._scored(trial)}"
                )

    def tell(self, what: str) -> None:
        self._told = time.monotonic()
        self._console.print(what, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        heads = [f"{name} {SIGNS[better]}" for name, better in self._directions.items()]
        table = Table(
            "#", "trial", "state", "iteration", *heads, "time left", caption=self._sum(), caption_justify="left"
        )
        over = [trial for trial in self.trials.values() if trial.state != "playing"][-SHOWN:]
        for trial in [*over, *self._in("playing")]:
            scores = (f"{trial.scores[name]:.4g}" if name in trial.scores else "" for name in self._directions)
            lasts = left(trial) if trial.state == "playing" else f"took {clock(trial.seconds)}"
            told = trial.state + (f": {trial.reason}" if trial.state == "failed" else "")
            table.add_row(
                str(trial.number), trial.name(), told, f"{trial.iteration}/{trial.iterations or '?'}", *scores, lasts
            )
        return table

    def _scored(self, trial: Trial) -> str:
        told = [f"{name} {trial.scores[name]:.4g}" for name in self._directions if name in trial.scores]
        return f"; {', '.join(told)}" if told else ""

    def _sum(self) -> str:
        over = [trial for trial in self.trials.values() if trial.state != "playing"]
        counted = {state: len(self._in(state)) for state in ("done", "pruned", "failed", "stopped")}
        counts = ", ".join(f"{count} {state}" for state, count in counted.items() if count)
        each = [trial.seconds for trial in over if trial.state in ("done", "pruned") and trial.seconds]
        waiting = self._total - len(self.trials)
        lasts = ""
        if each and (waiting or self._in("playing")):
            playing = sum(max(0.0, sum(each) / len(each) - trial.seconds) for trial in self._in("playing"))
            lasts = f", about {clock((waiting * sum(each) / len(each) + playing) / self._at_once)} left"
        return f"{len(over)} of {self._total} trials over{f' ({counts})' if counts else ''}{lasts}"

    def _in(self, state: str) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state == state]


def left(trial: Trial) -> str:
    """By the pace so far, which counts what it took to start."""
    if not trial.iterations or not trial.iteration:
        return "?"
    return clock(trial.seconds / trial.iteration * (trial.iterations - trial.iteration))


def clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
