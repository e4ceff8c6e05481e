"""The status of a baseline: whether the recorded results reproduce it. Printed as a table for the terminal and for the docs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from stylegan_lab.console import format_table
from stylegan_lab.evaluation.metric_direction import ARROWS
from stylegan_lab.reporting.baselines.baseline import Baseline
from stylegan_lab.reporting.baselines.result import BaselineResult
from stylegan_lab.reporting.statistics import MeanAndStd, mean_and_std

HEADER = ("baseline", "metric", "expected", "tolerance", "measured", "difference", "status", "trained")


@dataclass(frozen=True)
class BaselineStatus:
    """The status of one baseline. `measured` holds the mean and standard deviation of each score over the seeds."""

    baseline: Baseline
    results: Sequence[BaselineResult]
    measured: Mapping[str, MeanAndStd]
    status: Literal["reproduced", "partial", "failed", "not run"]
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.reason}" if self.reason else self.status


def baseline_status(baseline: Baseline, results: Sequence[BaselineResult], why_not: str = "") -> BaselineStatus:
    """Compare results with a baseline. It is reproduced if all seeds were run with committed code and their mean reaches
    every expected score, failed if it reaches none, and otherwise partial."""
    if baseline.unsupported:
        return BaselineStatus(baseline, [], {}, "not run", baseline.unsupported)
    if not results:
        return BaselineStatus(baseline, results, {}, "not run", why_not)
    measured = {
        name: mean_and_std([result.metrics[name] for result in results])
        for name in baseline.metrics
        if all(name in result.metrics for result in results)
    }
    missed = [name for name, each in measured.items() if not baseline.metrics[name].is_reached(each.mean)]
    if len(missed) == len(measured):
        return BaselineStatus(baseline, results, measured, "failed", ", ".join(missed) or "no score was measured")
    problems = [f"{name} is off" for name in missed]
    problems += [f"{name} was not measured" for name in baseline.metrics if name not in measured]
    if seeds := [str(seed) for seed in baseline.seeds if seed not in {result.seed for result in results}]:
        problems.append(f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} not run{why_not and f' ({why_not})'}")
    if any(result.has_local_changes is not False for result in results):
        problems.append("the code was not committed")
    return BaselineStatus(baseline, results, measured, "partial" if problems else "reproduced", "; ".join(problems))


def why_not_run(baseline: Baseline, why_outdated: str) -> str:
    """Return the reason why a baseline has no current results, or an empty text. Its requirements are given as the reason
    even on a machine that meets them."""
    if not baseline.metrics:
        return "the paper reports no score"
    requires = f"requires {', '.join(baseline.requires)}" if baseline.requires else ""
    return baseline.unsupported or why_outdated or requires


def baselines_as_text(statuses: Sequence[BaselineStatus]) -> str:
    """Return a table of baselines for the terminal, followed by the reasons why some were not reproduced."""
    rows = [list(HEADER), *(row for each in statuses for row in _rows(each, each.status))]
    reasons = [f"{each.baseline.name}: {each}" for each in statuses if each.reason]
    return "\n".join([*format_table(rows), *reasons])


def baselines_as_markdown(statuses: Sequence[BaselineStatus]) -> str:
    rows = [list(HEADER), ["---"] * len(HEADER), *(row for each in statuses for row in _rows(each, str(each)))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _rows(status: BaselineStatus, status_text: str) -> list[list[str]]:
    """Return one row for each metric. Only the first row contains the name, status and provenance."""
    rows: list[list[str]] = []
    for name, score in status.baseline.metrics.items():
        row = [f"{name} {ARROWS[score.direction]}", f"{score.expected:.4g}", f"{score.tolerance:.2g}"]
        if (measured := status.measured.get(name)) is None:
            row += ["–", "–"]
        else:
            mark = "" if score.is_reached(measured.mean) else " !"
            row += [str(measured), f"{measured.mean - score.expected:+.2g}{mark}"]
        rows.append(["", *row, "", ""] if rows else [status.baseline.name, *row, status_text, _provenance(status)])
    return rows or [[status.baseline.name, *["–"] * 5, status_text, _provenance(status)]]


def _provenance(status: BaselineStatus) -> str:
    """Return the commits, hardware and date of the results, or the estimated cost if nothing was trained."""
    if not status.results:
        return f"costs {status.baseline.cost_text}"
    provenance = []
    for result in status.results:
        trained = [each[:9] for each in (*result.earlier_commits, result.commit) if each]
        commit = f"{' then '.join(trained)}{'+' * bool(result.has_local_changes)}" if trained else "no commit"
        commit += f" evaluated by {result.evaluation_commit[:9]}" if result.evaluation_commit else ""
        gpus, cores = result.hardware.get("gpus") or [], result.hardware.get("cpu_count")
        hardware = " + ".join(gpus) or f"{cores} cores of {result.hardware.get('processor') or 'a CPU'}"
        provenance.append(f"{commit}, {hardware}, {result.hardware.get('precision')}, {result.date}")
    return "; ".join(dict.fromkeys(provenance))
