"""Whether benchmarks/which_metric.py ranks metrics as their agreement with the truth is."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from benchmarks.which_metric import SCORES, group, rank_metric, read_csv, read_runs, replace_rows, spearman, write_csv
from stylegan_lab.reporting.statistics import ranks


def rows(count: int = 40) -> list[dict[str, object]]:
    """Runs of two models, the second better by 100. `fid_within` orders the runs of a model rightly, but not the models."""
    noise = random.Random(0)
    found = []
    for index in range(count):
        model, quality = index % 2, noise.random()
        found.append(
            {
                "model": model, "data.target": "ink", "direction": "a2b", "l1": 200 - 100 * model - quality,
                "kid_perfect": -100 * model - quality, "precision_reversed": -100 * model - quality,
                "fid_within": 100 * model - quality, "coverage_random": noise.random(), "density_constant": 1.0,
            }
        )  # fmt: skip
    return found


def ranking(name: str):
    runs = rows()
    return rank_metric(name, "l1", group(runs, "data.target"), group(runs, "data.target", "model"), resamples=50)


def test_the_metric_that_orders_runs_as_the_truth_does_has_rho_one() -> None:
    perfect, turned = ranking("kid_perfect"), ranking("precision_reversed")
    assert perfect[:6] == pytest.approx((1,) * 6) and perfect.best_of_ten == 0
    assert turned[:6] == pytest.approx((-1,) * 6) and turned.best_of_ten == 1
    assert ranking("density_constant")[:6] == (0,) * 6


def test_the_order_of_models_counts_only_among_all_runs() -> None:
    found = ranking("fid_within")
    assert found.within == pytest.approx(1) and found.overall < 0
    chance = ranking("coverage_random")
    assert chance.low < 0 < chance.high and 0.3 < chance.best_of_ten < 0.7


def test_equal_values_share_their_mean_rank() -> None:
    assert ranks([3.0, 1.0, 3.0, 9.0]) == [2.5, 1, 2.5, 4]
    # by hand: ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert spearman(np.array([0.0, 5, 5, 7]), np.array([1.0, 2, 3, 4])) == pytest.approx(4.5 / np.sqrt(4.5 * 5))


def test_each_direction_of_a_run_is_a_line_of_the_csv(tmp_path: Path) -> None:
    run = tmp_path / "cyclegan" / "0"
    run.mkdir(parents=True)
    (run / "overrides.txt").write_text(
        "experiment=demo\ndata.target=ink\nmodel.cycle_weight=5\nseed=1\niterations=100\n"
    )
    scores = {"a2b": {"l1": 1 / 3, "fid_x": 2.0}, "b2a": {"l1": 0.5}}
    (run / SCORES).write_text(json.dumps(scores))
    write_csv(tmp_path / "runs.csv", read_runs(tmp_path))
    first, second = read_csv(tmp_path / "runs.csv")
    assert (first["run"], first["model"], first["weight"], first["seed"]) == ("cyclegan/0", "cyclegan", "5", "1")
    assert (first["l1"], second["direction"], second["l1"]) == (0.333333, "b2a", 0.5) and np.isnan(second["fid_x"])


def test_a_csv_keeps_the_runs_that_are_not_scored_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    write_csv(path, replace_rows(path, [{"run": "cut/0", "l1": 1.0}, {"run": "cut/1", "l1": 2.0}]))
    write_csv(path, replace_rows(path, [{"run": "cut/1", "l1": 3.0}, {"run": "cut/2", "l1": 4.0}]))
    assert [(row["run"], row["l1"]) for row in read_csv(path)] == [("cut/0", 1.0), ("cut/1", 3.0), ("cut/2", 4.0)]
