"""A trial: one run of a sweep, with its state and the progress that is recorded in its run folder."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from stylegan_lab.files.atomic_write import write_text_atomic
from stylegan_lab.runs.metrics_file import MetricsFollower
from stylegan_lab.runs.reader import read_evaluations, read_state, recorded_state
from stylegan_lab.runs.run import Run
from stylegan_lab.sweeps.search_space import Point

TRIALS = "trials"  # the subfolder of a sweep for records, output and locks of the trials
STATES = ("waiting", "running", "complete", "pruned", "failed", "stopped")  # Optuna's words; "stopped" can be resumed


@dataclass
class Trial:
    number: int
    point: Point
    seed: int | None
    overrides: list[str]
    sweep: Path  # the folder of the sweep
    state: str = "waiting"
    reason: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    iteration: int = 0
    max_iterations: int = 0
    seconds: float = 0.0  # training time of this and earlier processes

    @property
    def folder(self) -> Path:
        return self.sweep / str(self.number)

    @property
    def log_path(self) -> Path:
        """The file with the output of the trial's processes."""
        return self.sweep / TRIALS / f"{self.number}.txt"

    @property
    def is_finished(self) -> bool:
        """Whether the trial has ended for good. A stopped trial is not finished, because it can be resumed."""
        return self.state in ("complete", "pruned", "failed")

    def label(self) -> str:
        """The point of the trial, with keys shortened to their last part, and the seed if the sweep sets it."""
        values = self.point | ({} if self.seed is None else {"seed": str(self.seed)})
        return ", ".join(f"{key.split('.')[-1].lstrip('+')}={value}" for key, value in values.items()) or "no overrides"

    def save(self) -> None:
        """Write the fields of the trial that its run folder does not contain."""
        fields = ("number", "point", "seed", "overrides", "state", "reason", "seconds")
        record = {name: getattr(self, name) for name in fields}
        write_text_atomic(self.sweep / TRIALS / f"{self.number}.json", json.dumps(record, indent=2) + "\n")

    def load(self) -> None:
        """Restore the saved state if the overrides are still the same, and read the run folder."""
        with suppress(OSError, ValueError):
            record = json.loads((self.sweep / TRIALS / f"{self.number}.json").read_text(encoding="utf-8"))
            self.seconds = record["seconds"]
            if record["overrides"] == self.overrides:
                self.state, self.reason = record["state"], record["reason"]
        if self.state == "complete" and (unfinished := self.why_unfinished()):
            self.state, self.reason = "stopped", unfinished
        self.update(MetricsFollower(self.folder))

    def why_unfinished(self) -> str:
        """Return the progress of a run that has not reached its budget, or else an empty text. The budget may have been
        extended on resume."""
        state = read_state(self.folder)
        if state is None or state.is_finished:
            return ""
        return f"its run is {state.status}, at iteration {state.iteration} of {state.budget}"

    def update(self, follower: MetricsFollower) -> list[dict[str, float]]:
        """Read the new lines of metrics.jsonl, and return them."""
        rows = list(follower.new_rows())
        for row in rows:
            self.iteration = int(row["iteration"])
            self.scores |= {name: value for name, value in row.items() if name not in ("iteration", "time")}
        if self.state != "running":
            for evaluation in read_evaluations(Run(self.folder))[-1:]:
                self.scores |= {f"{evaluation['split']}/{name}": each for name, each in evaluation["metrics"].items()}
        if state := recorded_state(self.folder):
            self.max_iterations = state.budget
        return rows


def load_trials(sweep: Path) -> list[Trial]:
    """Load all recorded trials in the folder of a sweep, sorted by number."""
    trials = []
    for path in (sweep / TRIALS).glob("*.json"):
        with suppress(OSError, ValueError):
            record = json.loads(path.read_text(encoding="utf-8"))
            trials.append(Trial(record["number"], record["point"], record["seed"], record["overrides"], sweep))
    for trial in trials:
        trial.load()
    return sorted(trials, key=lambda trial: trial.number)
