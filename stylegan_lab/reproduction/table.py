"""The table of baselines: expected, here, difference, status; commit, hardware and date. For a terminal and for the docs."""

from collections.abc import Sequence

from stylegan_lab.aligned import aligned
from stylegan_lab.better import SIGNS
from stylegan_lab.reproduction.baseline import STANDINGS, Baseline, Number
from stylegan_lab.reproduction.verdict import Verdict

HEADS = ("baseline", "metric", "expected", "tolerance", "here", "difference", "status", "ran")


def text(verdicts: Sequence[Verdict]) -> str:
    """For a terminal: reasons stand below, where they have room."""
    rows = [list(HEADS), *(row for verdict in verdicts for row in rows_of(verdict, verdict.status))]
    return "\n".join([*aligned(rows), *(f"{verdict.baseline.name}: {verdict}" for verdict in verdicts if verdict.why)])


def markdown(verdicts: Sequence[Verdict]) -> str:
    rows = [list(HEADS), ["---"] * len(HEADS)]
    rows += [row for verdict in verdicts for row in rows_of(verdict, str(verdict))]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def rows_of(verdict: Verdict, status: str) -> list[list[str]]:
    """A line for each number; what is said of all of them stands in the first."""
    rows: list[list[str]] = []
    for name, number in verdict.baseline.numbers.items():
        row = [f"{name} {SIGNS[number.better]}", f"{number.expected:.4g}", f"{number.tolerance:.2g}"]
        here = verdict.here.get(name)
        row += ["–", "–"] if here is None else [str(here), _difference(number, here.mean)]
        rows.append(["", *row, "", ""] if rows else [verdict.baseline.name, *row, status, _ran(verdict)])
    return rows or [[verdict.baseline.name, *["–"] * 5, status, _ran(verdict)]]


def told(baseline: Baseline) -> str:
    """What a baseline is, in a few lines."""
    seeds = f"seed{'s' * (len(baseline.seeds) > 1)} {', '.join(map(str, baseline.seeds))}"
    return "\n".join(
        [
            f"{baseline.name}: {baseline.title}",
            f"  experiment {' '.join([baseline.experiment, *baseline.overrides])}, {seeds}",
            f"  source     {baseline.source} ({STANDINGS[baseline.standing]})",
            f"  protocol   {baseline.protocol}",
            *([f"  lacks      {baseline.lacks}"] if baseline.lacks else []),
            f"  cost       {baseline.told_cost}",
        ]
    )


def _difference(number: Number, here: float) -> str:
    return f"{here - number.expected:+.2g}{'' if number.holds(here) else ' !'}"


def _ran(verdict: Verdict) -> str:
    """Commit, hardware and date; what it would cost where nothing ran."""
    if not verdict.results:
        return f"costs {verdict.baseline.told_cost}"
    ran = []
    for result in verdict.results:
        trained = [each[:9] for each in (*result.earlier, result.commit) if each]
        commit = f"{' then '.join(trained)}{'+' * bool(result.changed)}" if trained else "no commit"
        commit += f" scored by {result.scored_by[:9]}" if result.scored_by else ""
        gpus, cores = result.hardware.get("gpus") or [], result.hardware.get("cpu_count")
        processor = f"{cores} cores of {result.hardware.get('processor') or 'a CPU'}"
        ran.append(f"{commit}, {' + '.join(gpus) or processor}, {result.hardware.get('precision')}, {result.date}")
    return "; ".join(dict.fromkeys(ran))
