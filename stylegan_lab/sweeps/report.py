"""The report of a sweep: its table, its best and how to have it again, in the terminal, in sweep.json and as a page."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stylegan_lab.aligned import aligned
from stylegan_lab.better import SIGNS, Better
from stylegan_lab.sweeps.page import page
from stylegan_lab.sweeps.ranking import best, importance
from stylegan_lab.sweeps.space import key_of
from stylegan_lab.sweeps.spread import Group, grouped
from stylegan_lab.sweeps.trial import STATES, Trial
from stylegan_lab.whole import write_text

MOST = 40  # rows printed; the page has all


@dataclass(frozen=True)
class Report:
    sweep: Path
    trials: Sequence[Trial]
    directions: Mapping[str, Better]
    sampler: str

    @property
    def groups(self) -> list[Group]:
        return grouped(self.trials, self.directions)

    @property
    def best(self) -> list[Group]:
        return best(self.groups, self.directions)

    @property
    def importance(self) -> dict[str, dict[str, float]]:
        return {name: importance(self.groups, name) for name in self.directions}

    def write(self) -> None:
        write_text(self.sweep / "sweep.json", json.dumps(self.as_json(), indent=2) + "\n")
        write_text(
            self.sweep / "sweep.html", page(self.sweep.name, self.groups, self.best, self.directions, self.importance)
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "sampler": self.sampler,
            "scores": dict(self.directions),
            "states": {state: count for state in STATES if (count := sum(each.state == state for each in self.trials))},
            "trials": [
                {
                    "number": trial.number,
                    "point": trial.point,
                    "seed": trial.seed,
                    "state": trial.state,
                    "reason": trial.reason,
                    "scores": trial.scores,
                    "iteration": trial.iteration,
                    "seconds": round(trial.seconds, 1),
                    "overrides": trial.overrides,
                }
                for trial in self.trials
            ],
            "groups": [group.as_json() for group in self.groups],
            "best": [{**group.as_json(), "command": again(group)} for group in self.best],
            "importance": self.importance,
        }

    def lines(self) -> list[str]:
        chosen = self.best
        lines = table(self.groups, chosen, self.directions)
        for name, shares in self.importance.items():
            if shares:
                told = ", ".join(f"{key} {share:.2f}" for key, share in shares.items())
                lines.append(
                    f"importance {told}  (share of the variance of ranks by {name}; {len(self.groups)} points)"
                )
        for group in chosen[:5]:
            lines.append(
                f"{'best' if len(self.directions) == 1 else 'unbeaten'}".ljust(11)
                + f"#{_numbers(group)}: {again(group)}"
            )
        return [*lines, f"page       {self.sweep / 'sweep.html'}", f"sweep      {self.sweep}"]


def table(groups: Sequence[Group], chosen: Sequence[Group], directions: Mapping[str, Better]) -> list[str]:
    """A line for each point, the best first, with means and spreads over its seeds."""
    names = _names(groups, directions)
    heads = [f"{name} {SIGNS[directions[name]]}" if name in directions else name for name in names]
    rows = [["", "#", "trial", "state", *heads]]
    for group in _sorted(groups, directions)[:MOST]:
        mark = "*" if any(group is each or group.trials == each.trials for each in chosen) else ""
        cells = [str(group.scores[name]) if name in group.scores else "" for name in names]
        rows.append([mark, _numbers(group), _name(group), _state(group), *cells])
    return aligned(rows) + ([f"and {len(groups) - MOST} more"] if len(groups) > MOST else [])


def again(group: Group) -> str:
    """The command that plays the point again, with all its seeds."""
    trial = group.trials[0]
    if len(group.trials) == 1:
        return f"stylegan-lab train {shlex.join(trial.overrides)}"
    kept = [override for override in trial.overrides if key_of(override) != "seed"]
    seeds = ",".join(str(each.seed) for each in group.trials)
    return f"stylegan-lab train -m {shlex.join(kept)} seed={seeds}"


def _names(groups: Sequence[Group], directions: Mapping[str, Better]) -> list[str]:
    """What was asked for first, then what else was scored, as far as a line holds it."""
    taken = dict.fromkeys(name for group in groups for name in group.scores)
    others = [name for name in taken if name not in directions]
    return [*directions, *others[: max(0, 4 - len(directions))]]


def _sorted(groups: Sequence[Group], directions: Mapping[str, Better]) -> list[Group]:
    first, better = next(iter(directions.items()))
    sign = 1 if better == "lower" else -1
    return sorted(groups, key=lambda group: sign * group.scores[first].mean if first in group.scores else float("inf"))


def _numbers(group: Group) -> str:
    numbers = [trial.number for trial in group.trials]
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}"


def _name(group: Group) -> str:
    return Trial(0, group.trials[0].point, None, [], Path()).name()


def _state(group: Group) -> str:
    states = [trial.state for trial in group.trials]
    counts = {state: states.count(state) for state in STATES if state in states}
    return states[0] if len(counts) == 1 else ", ".join(f"{count} {state}" for state, count in counts.items())
