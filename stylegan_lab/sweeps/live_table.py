"""The progress of a sweep: a live table of all trials in a terminal, or plain lines if the output is not a terminal."""

import sys
import time
from collections.abc import Mapping

from rich.console import Console
from rich.live import Live
from rich.table import Table

from stylegan_lab.console import format_seconds
from stylegan_lab.evaluation.metric_direction import ARROWS, Direction
from stylegan_lab.sweeps.trial import Trial

SECONDS_BETWEEN_LINES = 60.0  # for the progress of running trials, outside a terminal
MAX_FINISHED_ROWS = 12


class LiveTable:
    """Shows the state, the scores and the time left of every trial. `n_jobs` trials run at the same time."""

    def __init__(
        self, directions: Mapping[str, Direction], num_trials: int, n_jobs: int, console: Console | None = None
    ) -> None:
        self._directions, self._num_trials, self._n_jobs = directions, num_trials, n_jobs
        self._console = console or Console(file=sys.stdout)
        self.trials: dict[int, Trial] = {}
        self._last_line = time.monotonic()
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        if self._live:
            self._live.start()

    def trial_started(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        if self._live is None:
            resumed = f", resumed at iteration {trial.iteration}" if trial.iteration else ""
            self.print(f"#{trial.number} {trial.label()}: started{resumed}")

    def trial_exited(self, trial: Trial) -> None:
        if self._live is None:
            state = trial.state + (f", {trial.reason}" if trial.reason else "")
            self.print(
                f"#{trial.number} {trial.label()}: {state}{self._scores(trial)} ({format_seconds(trial.seconds)}); "
                f"{self._summary()}"
            )

    def refresh(self) -> None:
        if self._live:
            self._live.update(self._table(), refresh=True)
        elif time.monotonic() - self._last_line > SECONDS_BETWEEN_LINES:
            for trial in self._in_state("running"):
                self.print(f"#{trial.number} {_progress(trial)}, {time_left(trial)} left{self._scores(trial)}")

    def print(self, line: str) -> None:
        self._last_line = time.monotonic()
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._live:
            self.refresh()
            self._live.stop()
            self._live = None

    def _table(self) -> Table:
        objectives = [f"{name} {ARROWS[direction]}" for name, direction in self._directions.items()]
        columns = ["#", "trial", "state", "iteration", *objectives, "time left"]
        table = Table(*columns, caption=self._summary(), caption_justify="left")
        for trial in [*self._exited()[-MAX_FINISHED_ROWS:], *self._in_state("running")]:
            scores = (f"{trial.scores[name]:.4g}" if name in trial.scores else "" for name in self._directions)
            duration = time_left(trial) if trial.state == "running" else f"took {format_seconds(trial.seconds)}"
            state = trial.state + (f": {trial.reason}" if trial.state == "failed" else "")
            table.add_row(str(trial.number), trial.label(), state, _progress(trial), *scores, duration)
        return table

    def _scores(self, trial: Trial) -> str:
        scores = [f"{name} {trial.scores[name]:.4g}" for name in self._directions if name in trial.scores]
        return f"; {', '.join(scores)}" if scores else ""

    def _summary(self) -> str:
        exited, running = self._exited(), self._in_state("running")
        counted = {state: len(self._in_state(state)) for state in ("complete", "pruned", "failed", "stopped")}
        counts = ", ".join(f"{count} {state}" for state, count in counted.items() if count)
        durations = [trial.seconds for trial in exited if trial.state in ("complete", "pruned") and trial.seconds]
        waiting = self._num_trials - len(self.trials)
        left = ""
        if durations and (waiting or running):
            mean_duration = sum(durations) / len(durations)
            running_left = sum(max(0.0, mean_duration - trial.seconds) for trial in running)
            left = f", about {format_seconds((waiting * mean_duration + running_left) / self._n_jobs)} left"
        return f"{len(exited)} of {self._num_trials} trials finished{f' ({counts})' if counts else ''}{left}"

    def _exited(self) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state != "running"]

    def _in_state(self, state: str) -> list[Trial]:
        return [trial for trial in self.trials.values() if trial.state == state]


def time_left(trial: Trial) -> str:
    """Estimate the time left from the mean time per iteration so far, which includes the time to start the process."""
    if not trial.max_iterations or not trial.iteration:
        return "?"
    return format_seconds(trial.seconds / trial.iteration * (trial.max_iterations - trial.iteration))


def _progress(trial: Trial) -> str:
    return f"{trial.iteration}/{trial.max_iterations or '?'}"
