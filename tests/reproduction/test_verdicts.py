"""Nothing is called reproduced that was not run, whole, as its baseline says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.result import Result, Results
from stylegan_lab.reproduction.settings import settings_print
from stylegan_lab.reproduction.table import markdown, text
from stylegan_lab.reproduction.verdict import verdict, why_not_run
from stylegan_lab.runs import Run
from tests.reproduction.baselines import YAML, baseline, result


@pytest.mark.parametrize(
    ("ssim", "l1", "status"),
    [
        ((0.45, 0.41), (0.24, 0.2), "reproduced"),
        ((0.9, 0.9), (0.01, 0.01), "reproduced"),  # better than expected by any amount
        ((0.45, 0.31), (0.24, 0.2), "partly: ssim is off"),
        ((0.3, 0.3), (0.3, 0.3), "failed: ssim, l1"),
    ],
)
def test_the_mean_over_seeds_is_judged(ssim: tuple[float, ...], l1: tuple[float, ...], status: str) -> None:
    thing = baseline()
    results = [result(thing, seed, ssim=ssim[seed], l1=l1[seed]) for seed in (0, 1)]
    assert str(verdict(thing, results)) == status


def test_what_was_not_run_whole_is_not_reproduced() -> None:
    thing = baseline()
    good = {"ssim": 0.5, "l1": 0.2}
    assert verdict(thing, []).status == "not run"
    assert str(verdict(thing, [result(thing, 1, **good)])) == "partly: seed 0 not run"
    both = [result(thing, 0, **good), result(thing, 1, ssim=0.5)]
    assert str(verdict(thing, both)) == "partly: l1 was not measured"
    for changed in (True, None):
        doubtful = [result(thing, 0, **good), result(thing, 1, changed, **good)]
        assert str(verdict(thing, doubtful)) == "partly: from code that is no commit"


def test_a_result_counts_only_for_the_baseline_it_was_recorded_for() -> None:
    thing, results = baseline(), Results(Path("results"))
    results.record(result(thing, 0, ssim=0.35, l1=0.2))
    assert [each.seed for each in results.of(thing)] == [0] and not results.outdated(thing)
    looser = baseline(YAML.replace("0.1", "0.2"))
    assert results.of(looser) == [] and results.outdated(looser)
    assert why_not_run(looser, results.outdated(looser)) == "it was changed after its results were recorded"


def test_a_result_of_settings_that_were_edited_since_is_outdated_and_one_of_before_prints_is_not() -> None:
    thing, results = baseline(), Results(Path("results"))
    results.record(replace(result(thing, 0, ssim=0.5, l1=0.2), settings=settings_print(thing)))
    results.record(result(thing, 1, ssim=0.5, l1=0.2))
    assert [each.seed for each in results.of(thing)] == [0, 1] and not results.outdated(thing)
    results.record(replace(result(thing, 0, ssim=0.5, l1=0.2), settings="of another day"))
    assert [each.seed for each in results.of(thing)] == [1]
    why = why_not_run(thing, results.outdated(thing))
    assert why == "experiment=smoke was changed after its results were recorded"
    assert str(verdict(thing, results.of(thing), why)) == f"partly: seed 0 not run ({why})"


def test_settings_of_no_matter_leave_no_print_and_those_of_matter_do() -> None:
    def printed(*overrides: str) -> str:
        return settings_print(replace(baseline(), overrides=list(overrides)))

    plain = printed()
    assert printed("strategy=cpu", "data.workers=3", "callbacks.samples=null", "runs_dir=there", "seed=7") == plain
    for each in ("data.batch_size=4", "optimizer.lr=1", "metrics=untrained", "callbacks.averaging.half_life=1"):
        assert printed(each) != plain, each


def test_what_lacks_a_part_of_its_protocol_is_not_run_whatever_is_recorded() -> None:
    thing = baseline(YAML.replace("numbers:", "lacks: it is to be seen by moonlight\nnumbers:"))
    assert thing.fingerprint == baseline().fingerprint
    both = [result(thing, seed, ssim=0.5, l1=0.2) for seed in (0, 1)]
    assert str(verdict(thing, both)) == "not run: it is to be seen by moonlight"
    assert why_not_run(thing, "") == "it is to be seen by moonlight"


def test_provenance_is_that_of_every_sitting_and_of_what_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    run, thing = Run(Path("mine")), baseline()
    config = {"precision": "32", "strategy": {"accelerator": "cpu"}}
    run.make()
    monkeypatch.setattr("stylegan_lab.reproduction.result.settings_print", lambda _: "print")

    def sit(*commits: str | None) -> None:
        for place, commit in enumerate(commits):
            run.describe(config, [], {"commit": commit, "python": "3", "versions": {}}, goes_on=place > 0)

    def recorded(scorer: str | None) -> Result:
        monkeypatch.setattr("stylegan_lab.reproduction.result.commit_of_code", lambda: scorer)
        return Result.of(thing, 0, run, {"metrics": {"ssim": 0.5, "l1": 0.2}}, None)

    sit("a", "a")
    clean = recorded("a")
    assert (clean.commit, clean.changed, clean.earlier, clean.scored_by) == ("a", False, [], None)
    sit("d+", "b", "c")
    several = recorded("e")
    assert (several.commit, several.changed, several.earlier, several.scored_by) == ("c", True, ["d", "b"], "e")
    assert "d then b then c+ scored by e" in text([verdict(thing, [several])])
    assert str(verdict(thing, [several])) == "partly: seed 1 not run; from code that is no commit"
    sit("a")  # at the beginning again
    assert recorded("a").changed is False and recorded("a+").changed is True and recorded(None).changed is None
    sit(None, "a")
    assert recorded("a").changed is None


def test_what_is_no_result_is_named() -> None:
    thing, results = baseline(), Results(Path("results"))
    path = results.record(result(thing, 0, ssim=0.35))
    path.write_text(json.dumps({"schema": 99}))
    with pytest.raises(Mistake, match="recorded by a newer stylegan_lab"):
        results.of(thing)
    path.write_text("{}")
    with pytest.raises(Mistake, match=r"thing-seed0.json is no recorded result"):
        results.of(thing)


def test_the_table_says_expected_here_and_the_difference() -> None:
    thing = baseline()
    results = [result(thing, seed, ssim=0.35, l1=0.2) for seed in (0, 1)]
    printed = text([verdict(thing, results), verdict(baseline(name="other"), [], "needs a GPU")])
    first, second = printed.splitlines()[1:3]
    assert first.split()[:4] == ["thing", "ssim", "↑", "0.5"] and "-0.15 !" in first and "partly" in first
    assert "0.2 ± 0 (2)" in second and "+0" in second
    assert printed.splitlines()[-1] == "other: not run: needs a GPU"
    assert "| not run: needs a GPU | costs 1 CPU minutes x 2 seeds |" in markdown(
        [verdict(baseline(), [], "needs a GPU")]
    )


def test_a_paper_without_a_number_has_a_row_too() -> None:
    thing = baseline(YAML.split("numbers:")[0] + "numbers: {}\n")
    assert str(verdict(thing, [], why_not_run(thing, ""))) == "not run: its paper gives no number"
    assert "thing" in text([verdict(thing, [])])
