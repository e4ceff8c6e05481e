"""The scheduler of a sweep. It starts trials as devices become free, watches their progress, and records their results."""

import os
import signal
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from stylegan_lab.cores import CORES_VARIABLE, THREADS_VARIABLE, num_cores, threads_per_process
from stylegan_lab.runs.metrics_file import MetricsFollower
from stylegan_lab.signals import SIGNAL_EXIT_CODES, TIME_LIMIT_EXIT_CODE, exit_code, handle_signals
from stylegan_lab.sweeps.live_table import LiveTable
from stylegan_lab.sweeps.samplers import TrialSource
from stylegan_lab.sweeps.trial import Trial
from stylegan_lab.sweeps.trial_process import TrialRunner, failure_reason

VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"
POLL_SECONDS = 0.25


class TrialScheduler:
    """Runs up to `n_jobs` trials at the same time, until the source has no more trials."""

    def __init__(
        self, source: TrialSource, runner: TrialRunner, devices: "DevicePool", n_jobs: int, table: LiveTable
    ) -> None:
        self._source, self._runner, self._devices, self._n_jobs, self._table = source, runner, devices, n_jobs, table
        self._running: dict[int, _RunningTrial] = {}
        self.exit_code = 0  # the code to exit with, once a signal has been received

    def run(self) -> None:
        """Run until no trial remains or a signal arrives. After a signal, the running trials save a checkpoint and exit."""
        with handle_signals(self.handle_signal):
            try:
                while self._start_trials() or self._running:
                    for running in list(self._running.values()):
                        self._poll(running)
                    self._table.refresh()
                    if self._running:
                        time.sleep(POLL_SECONDS)
            except BaseException:
                for running in self._running.values():
                    self._runner.stop(running.trial)
                raise

    def handle_signal(self, number: int, _: Any = None) -> None:
        """Stop all trials on the first signal, and kill them on a second Ctrl-C."""
        again, self.exit_code = bool(self.exit_code), self.exit_code or exit_code(number)
        if not again:
            self._table.print("stopping: trials save a checkpoint (a second Ctrl-C kills them)")
        for running in list(self._running.values()):
            if not again:
                self._runner.stop(running.trial)
            elif number == signal.SIGINT:
                self._runner.kill(running.trial)

    def _start_trials(self) -> bool:
        started = False
        while len(self._running) < self._n_jobs and not self.exit_code:
            found = self._source.next_trial()
            if found is None:
                break
            trial, claim = found
            trial.state, trial.reason, started = "running", "", True
            environment = self._devices.acquire()
            running = self._running[trial.number] = _RunningTrial(trial, claim, environment)
            trial.update(running.follower)
            trial.save()
            self._runner.start(trial, environment, claim)
            self._table.trial_started(trial)
            if self.exit_code:  # a signal arrived while the trial was started
                self._runner.stop(trial)
        return started

    def _poll(self, running: "_RunningTrial") -> None:
        trial = running.trial
        code = self._runner.exit_code(trial)
        rows = trial.update(running.follower)
        trial.seconds = running.seconds_before + time.monotonic() - running.started
        if code is None:
            if rows and not running.pruned and not self.exit_code and self._source.should_prune(trial, rows):
                running.pruned = True
                self._runner.stop(trial)
            return
        trial.state, trial.reason = self._outcome(running, code)
        trial.update(running.follower)
        self._source.record(trial)
        trial.save()
        self._devices.release(running.environment)
        os.close(running.claim)
        del self._running[trial.number]
        self._table.trial_exited(trial)

    def _outcome(self, running: "_RunningTrial", code: int) -> tuple[str, str]:
        """Return the final state of a trial whose process has exited, and the reason for this state."""
        if code == 0:
            unfinished = running.trial.why_unfinished()
            return ("failed", unfinished) if unfinished else ("complete", "")
        if running.pruned and code in SIGNAL_EXIT_CODES:
            return "pruned", ""
        if code == TIME_LIMIT_EXIT_CODE:
            return "stopped", "reached time_limit"
        if self.exit_code and (code in SIGNAL_EXIT_CODES or code < 0):
            return "stopped", "interrupted"
        if code in SIGNAL_EXIT_CODES:
            return "stopped", f"interrupted from outside the sweep (code {code})"
        if code < 0:
            return "failed", f"killed by {signal.Signals(-code).name}"
        return "failed", failure_reason(running.trial.log_path) or f"code {code}"


class _RunningTrial:
    """A trial whose process is running, with its metrics file, its devices and its start time."""

    def __init__(self, trial: Trial, claim: int, environment: Mapping[str, str]) -> None:
        self.trial, self.claim, self.environment = trial, claim, environment
        self.follower, self.pruned = MetricsFollower(trial.folder), False
        self.seconds_before, self.started = trial.seconds, time.monotonic()


class DevicePool:
    """Assigns GPUs and cores to `n_jobs` trials. A trial gets `gpus_per_trial` GPUs, or an equal share of all GPUs if this
    is None. If there are not enough GPUs, trials share the GPUs with the fewest trials."""

    def __init__(self, gpus: Sequence[str], n_jobs: int, gpus_per_trial: int | None) -> None:
        self._gpus_per_trial = min(len(gpus), gpus_per_trial or max(1, len(gpus) // n_jobs))
        self._trials_on = Counter(dict.fromkeys(gpus, 0))
        self._n_jobs = n_jobs

    def acquire(self) -> dict[str, str]:
        """Return the environment variables that assign devices to a trial. Pass them to `release` when the trial has exited."""
        environment: dict[str, str] = {}
        if self._n_jobs > 1:
            cores = str(max(1, num_cores() // self._n_jobs))
            environment |= {CORES_VARIABLE: cores, THREADS_VARIABLE: threads_per_process(self._n_jobs)}
        if self._gpus_per_trial:
            gpus = list(self._trials_on)
            by_load = sorted(gpus, key=lambda gpu: (self._trials_on[gpu], gpus.index(gpu)))
            chosen = sorted(by_load[: self._gpus_per_trial])
            self._trials_on.update(chosen)
            environment[VISIBLE_DEVICES] = ",".join(chosen)
        return environment

    def release(self, environment: Mapping[str, str]) -> None:
        if VISIBLE_DEVICES in environment:
            self._trials_on.subtract(environment[VISIBLE_DEVICES].split(","))


def visible_gpus() -> list[str]:
    """The GPUs that this process can use, by the names that CUDA_VISIBLE_DEVICES expects."""
    count = torch.cuda.device_count()
    named = [name for name in os.environ.get(VISIBLE_DEVICES, "").split(",") if name]
    return named[:count] if named else [str(index) for index in range(count)]
