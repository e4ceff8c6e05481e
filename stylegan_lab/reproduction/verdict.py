"""A verdict: whether what was run bears a baseline out. Nothing is called reproduced that was not run, whole, as it says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from stylegan_lab.reproduction.baseline import Baseline
from stylegan_lab.reproduction.result import Result
from stylegan_lab.sweeps.spread import Spread, spread

STATUSES = ("reproduced", "partly", "failed", "not run")


@dataclass(frozen=True)
class Verdict:
    """`here`: mean and spread over seeds."""

    baseline: Baseline
    results: Sequence[Result]
    here: Mapping[str, Spread]
    status: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.why}" if self.why else self.status


def verdict(baseline: Baseline, results: Sequence[Result], why_not: str = "") -> Verdict:
    """All numbers hold: reproduced; none: failed; else, or with seeds missing or from changed code: partly."""
    if baseline.lacks:
        return Verdict(baseline, [], {}, "not run", baseline.lacks)
    if not results:
        return Verdict(baseline, results, {}, "not run", why_not)
    here = {
        name: spread([result.numbers[name] for result in results])
        for name in baseline.numbers
        if all(name in result.numbers for result in results)
    }
    missed = [name for name, number in baseline.numbers.items() if name in here and not number.holds(here[name].mean)]
    if len(missed) == len(here):
        return Verdict(baseline, results, here, "failed", f"{', '.join(missed) or 'no number was measured'}")
    doubts = [f"{name} is off" for name in missed]
    doubts += [f"{name} was not measured" for name in baseline.numbers if name not in here]
    if seeds := [str(seed) for seed in baseline.seeds if seed not in {result.seed for result in results}]:
        doubts.append(f"seed{'s' * (len(seeds) > 1)} {', '.join(seeds)} not run{why_not and f' ({why_not})'}")
    if any(result.changed is not False for result in results):
        doubts.append("from code that is no commit")
    return Verdict(baseline, results, here, "partly" if doubts else "reproduced", "; ".join(doubts))


def why_not_run(baseline: Baseline, outdated: str) -> str:
    """As far as that can be said of any machine."""
    if not baseline.numbers:
        return "its paper gives no number"
    return baseline.lacks or outdated or (f"needs {', '.join(baseline.needs)}" if baseline.needs else "")
