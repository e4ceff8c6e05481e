"""A baseline counts as reproduced only if all its seeds were trained and scored as it asks."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from stylegan_lab.reporting.baselines.baseline import settings_fingerprint
from stylegan_lab.reporting.baselines.result import BaselineResult, BaselineResults
from stylegan_lab.reporting.baselines.status import (
    baseline_status,
    baselines_as_markdown,
    baselines_as_text,
    why_not_run,
)
from stylegan_lab.runs.run import Run
from tests.refusals import refused
from tests.reporting.baselines.baselines import YAML, baseline, result, settings_fingerprint_once


@pytest.mark.parametrize(
    ("ssim", "l1", "status"),
    [
        ((0.45, 0.41), (0.24, 0.2), "reproduced"),
        ((0.9, 0.9), (0.01, 0.01), "reproduced"),  # better than expected by any amount
        ((0.45, 0.31), (0.24, 0.2), "partial: ssim is off"),
        ((0.3, 0.3), (0.3, 0.3), "failed: ssim, l1"),
    ],
)
def test_the_mean_over_seeds_is_compared_with_the_expected_score(
    ssim: tuple[float, ...], l1: tuple[float, ...], status: str
) -> None:
    thing = baseline()
    results = [result(thing, seed, ssim=ssim[seed], l1=l1[seed]) for seed in (0, 1)]
    assert str(baseline_status(thing, results)) == status


def test_missing_seeds_metrics_or_commits_make_it_partial() -> None:
    thing = baseline()
    good = {"ssim": 0.5, "l1": 0.2}
    assert baseline_status(thing, []).status == "not run"
    assert str(baseline_status(thing, [result(thing, 1, **good)])) == "partial: seed 0 not run"
    both = [result(thing, 0, **good), result(thing, 1, ssim=0.5)]
    assert str(baseline_status(thing, both)) == "partial: l1 was not measured"
    for changed in (True, None):
        doubtful = [result(thing, 0, **good), result(thing, 1, changed, **good)]
        assert str(baseline_status(thing, doubtful)) == "partial: the code was not committed"


def test_a_result_counts_only_for_the_baseline_it_was_recorded_for() -> None:
    thing, results = baseline(), BaselineResults(Path("results"))
    results.record(result(thing, 0, ssim=0.35, l1=0.2))
    assert [each.seed for each in results.for_baseline(thing)] == [0] and not results.why_outdated(thing)
    looser = baseline(YAML.replace("0.1", "0.2"))
    assert results.for_baseline(looser) == [] and results.why_outdated(looser)
    assert (
        why_not_run(looser, results.why_outdated(looser)) == "the baseline was changed after its results were recorded"
    )


def test_a_result_is_outdated_when_the_settings_have_changed() -> None:
    thing, results = baseline(), BaselineResults(Path("results"))
    results.record(replace(result(thing, 0, ssim=0.5, l1=0.2), settings_fingerprint=settings_fingerprint_once(thing)))
    results.record(result(thing, 1, ssim=0.5, l1=0.2))
    assert [each.seed for each in results.for_baseline(thing)] == [0, 1] and not results.why_outdated(thing)
    results.record(replace(result(thing, 0, ssim=0.5, l1=0.2), settings_fingerprint="of other settings"))
    assert [each.seed for each in results.for_baseline(thing)] == [1]
    why = why_not_run(thing, results.why_outdated(thing))
    assert why == "experiment=smoke was changed after its results were recorded"
    assert str(baseline_status(thing, results.for_baseline(thing), why)) == f"partial: seed 0 not run ({why})"


def test_the_settings_fingerprint_depends_on_relevant_settings_only() -> None:
    def fingerprint(*overrides: str) -> str:
        return settings_fingerprint(replace(baseline(), overrides=list(overrides)))

    plain = fingerprint()
    assert (
        fingerprint("strategy=cpu", "data.num_workers=3", "callbacks.samples=null", "runs_dir=there", "seed=7") == plain
    )
    assert fingerprint("compile=true", "channels_last=true", "tf32=false", "optimizer.fused=false") == plain
    for each in ("data.batch_size=4", "optimizer.lr=1", "metrics=untrained", "callbacks.ema.half_life_images=1"):
        assert fingerprint(each) != plain, each


def test_an_unsupported_protocol_is_not_run_whatever_is_recorded() -> None:
    thing = baseline(YAML.replace("metrics:", "unsupported: it needs moonlight\nmetrics:"))
    assert thing.fingerprint == baseline().fingerprint
    both = [result(thing, seed, ssim=0.5, l1=0.2) for seed in (0, 1)]
    assert str(baseline_status(thing, both)) == "not run: it needs moonlight"
    assert why_not_run(thing, "") == "it needs moonlight"


def test_provenance_covers_every_session_and_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    run, thing = Run(Path("mine")), baseline()
    config = {"precision": "32", "strategy": {"accelerator": "cpu"}}
    run.create()
    monkeypatch.setattr("stylegan_lab.reporting.baselines.result.settings_fingerprint", lambda _: "fingerprint")

    def train(*commits: str | None) -> None:
        for place, commit in enumerate(commits):
            run.record_config(config, [], {"commit": commit, "python": "3", "versions": {}}, commits[:place])

    def config_to_record(scorer: str | None) -> BaselineResult:
        monkeypatch.setattr("stylegan_lab.reporting.baselines.result.commit_of_code", lambda: scorer)
        return BaselineResult.from_run(thing, 0, run, {"metrics": {"ssim": 0.5, "l1": 0.2}}, None)

    train("a", "a")
    clean = config_to_record("a")
    assert (clean.commit, clean.has_local_changes, clean.earlier_commits, clean.evaluation_commit) == (
        "a",
        False,
        [],
        None,
    )
    train("d+", "b", "c")
    several = config_to_record("e")
    assert (several.commit, several.has_local_changes, several.earlier_commits, several.evaluation_commit) == (
        "c",
        True,
        ["d", "b"],
        "e",
    )
    assert "d then b then c+ evaluated by e" in baselines_as_text([baseline_status(thing, [several])])
    assert str(baseline_status(thing, [several])) == "partial: seed 1 not run; the code was not committed"
    train("a")  # at the beginning again
    assert (
        config_to_record("a").has_local_changes is False
        and config_to_record("a+").has_local_changes is True
        and config_to_record(None).has_local_changes is None
    )
    train(None, "a")
    assert config_to_record("a").has_local_changes is None


def test_unreadable_results_are_reported() -> None:
    thing, results = baseline(), BaselineResults(Path("results"))
    path = results.record(result(thing, 0, ssim=0.35))
    path.write_text(json.dumps({"schema": 99}))
    with refused("baseline.result_too_new", "thing-seed0.json", "schema 99"):
        results.for_baseline(thing)
    path.write_text("{}")
    with refused("baseline.result_unreadable", "thing-seed0.json"):
        results.for_baseline(thing)


def test_the_table_shows_expected_measured_and_difference() -> None:
    thing = baseline()
    results = [result(thing, seed, ssim=0.35, l1=0.2) for seed in (0, 1)]
    printed = baselines_as_text(
        [baseline_status(thing, results), baseline_status(baseline(name="other"), [], "requires a GPU")]
    )
    first, second = printed.splitlines()[1:3]
    assert first.split()[:4] == ["thing", "ssim", "↑", "0.5"] and "-0.15 !" in first and "partial" in first
    assert "0.2 ± 0 (2)" in second and "+0" in second
    assert printed.splitlines()[-1] == "other: not run: requires a GPU"
    assert "| not run: requires a GPU | costs 1 CPU minutes x 2 seeds |" in baselines_as_markdown(
        [baseline_status(baseline(), [], "requires a GPU")]
    )


def test_a_paper_without_a_score_has_a_row_too() -> None:
    thing = baseline(YAML.split("metrics:")[0] + "metrics: {}\n")
    assert str(baseline_status(thing, [], why_not_run(thing, ""))) == "not run: the paper reports no score"
    assert "thing" in baselines_as_text([baseline_status(thing, [])])
