"""Comparisons: what differs, what is averaged, what is best, and what is told of runs that are not whole."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.comparison.as_json import as_json
from stylegan_lab.comparison.comparison import _full, compare
from stylegan_lab.comparison.found import find_runs
from stylegan_lab.comparison.page import page
from stylegan_lab.comparison.score import Protocol, scores_of, scores_on_the_way
from stylegan_lab.comparison.significance import beyond, holm, permutation, welch
from stylegan_lab.comparison.table import as_csv, as_markdown, as_text
from stylegan_lab.mistake import Mistake
from tests.comparison.folders import make_run


def two_rows(place: Path) -> Path:
    for seed, (good, bad) in enumerate([(0.50, 0.30), (0.52, 0.29), (0.51, 0.31)]):
        make_run(place / f"good-{seed}", seed, {"ssim": good, "l1": 0.1})
        make_run(place / f"bad-{seed}", seed, {"ssim": bad, "l1": 0.1 + seed / 1000}, {"model.cycle_weight": 1.0})
    return place


def test_runs_that_differ_in_their_seed_alone_are_one_row(tmp_path: Path) -> None:
    comparison = compare(find_runs([str(two_rows(tmp_path))]))
    assert [(row.name, row.seeds) for row in comparison.rows] == [
        ("bad-{0,1,2}", [0, 1, 2]),
        ("good-{0,1,2}", [0, 1, 2]),
    ][::-1]
    assert list(comparison.differences.shown) == ["model.cycle_weight"]
    ssim = next(each for each in comparison.columns if each.name == "test/ssim")
    assert ssim.better == "higher"
    best, worse = ssim.cells
    assert best is not None and worse is not None
    assert (
        best.spread.mean == pytest.approx(0.51) and best.spread.deviation == pytest.approx(0.01) and best.spread.n == 3
    )
    assert (best.standing, worse.standing) == ("best", "apart")
    assert worse.exact == pytest.approx(2 / 20)  # the least that three seeds and three can give


def test_best_follows_the_direction_and_luck_is_not_called_merit(tmp_path: Path) -> None:
    for seed, (one, other) in enumerate([(0.10, 0.11), (0.14, 0.13), (0.12, 0.14)]):
        make_run(tmp_path / f"one-{seed}", seed, {"l1": one})
        make_run(tmp_path / f"other-{seed}", seed, {"l1": other}, {"translator.channels": 32})
    (l1,) = compare(find_runs([str(tmp_path)])).columns
    assert [cell and cell.standing for cell in l1.cells] == ["best", "alike"]


def test_one_seed_is_too_few(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 0, {"l1": 0.1})
    make_run(tmp_path / "other", 0, {"l1": 0.2}, {"model.cycle_weight": 1.0})
    comparison = compare(find_runs([str(tmp_path)]))
    assert [cell and cell.standing for cell in comparison.columns[0].cells] == ["best", "untested"]
    assert any("too few seeds" in note for note in comparison.notes)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_is_not_ranked(tmp_path: Path, value: float) -> None:
    for name, ssim in (("broken", value), ("good", 0.5), ("bad", 0.3)):
        make_run(tmp_path / name, 0, {"ssim": ssim}, {"model.cycle_weight": float(len(name))},
                 {"untranslated": {"ssim": value}})  # fmt: skip
    comparison = compare(find_runs([str(tmp_path)]))
    assert [row.name for row in comparison.rows] == ["good", "bad", "broken"]
    assert [cell and cell.standing for cell in comparison.columns[0].cells] == ["best", "untested", "unranked"]
    assert any("not ranked: test/ssim of broken" in note for note in comparison.notes)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    told = json.loads(as_json(comparison.as_json()), parse_constant=refuse)
    assert told["rows"][2]["scores"]["test/ssim"]["mean"] is None
    scripts = re.findall(r'application/json" id="told">(.*?)</script>', page(comparison))
    assert json.loads(scripts[0], parse_constant=refuse)["rows"][2]["values"]["test/ssim"] is None


@pytest.mark.parametrize(
    "other", [{"n": 8}, {"ema": False}, {"untranslated": {"l1": 0.3}}, {"protocol": {"l1": "else"}}]
)
def test_scores_of_another_protocol_are_shown_but_not_compared(tmp_path: Path, other: dict[str, object]) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, 0, {"l1": 0.2}, {"model.cycle_weight": float(len(name) + (name == "two"))})
    make_run(tmp_path / "odd", 0, {"l1": 0.1}, {"model.cycle_weight": 1.0}, other)
    comparison = compare(find_runs([str(tmp_path)]))
    standings = {
        row.name: cell and cell.standing for row, cell in zip(comparison.rows, comparison.columns[0].cells, strict=True)
    }
    assert standings["odd"] == "elsewhere" and sorted(map(str, standings.values())) == ["best", "elsewhere", "untested"]
    assert any("not compared: test/l1 of odd" in note for note in comparison.notes)


def test_seeds_scored_otherwise_are_left_out_of_the_mean(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path / str(seed), seed, {"l1": 0.1}, evaluation={"n": 8} if seed == 2 else None)
    comparison = compare(find_runs([str(tmp_path)]))
    (cell,) = comparison.columns[0].cells
    assert cell is not None and cell.spread.n == 2
    assert any("left out of its mean" in note for note in comparison.notes)


def test_what_follows_from_another_choice_is_implied(tmp_path: Path) -> None:
    make_run(tmp_path / "one", settings={"translator.blocks": 9})
    make_run(tmp_path / "other", settings={"translator": {"_target_": "lab.nets.UNet", "depth": 6, "channels": 16}})
    differences = compare(find_runs([str(tmp_path)])).differences
    assert (list(differences.shown), list(differences.implied)) == (
        ["translator"],
        ["translator.blocks", "translator.depth"],
    )
    assert [each["translator"] for each in differences.of] == ["ResNet", "UNet"]


def test_what_is_in_a_mapping_differs_from_its_being_empty(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "other", settings={"loss.penalties": {"r1": {"_target_": "lab.R1", "weight": 10}}})
    comparison = compare(find_runs([str(tmp_path)]))
    assert list(comparison.differences.shown) == ["loss.penalties.r1"] and len(comparison.rows) == 2


def test_where_a_run_stands_and_how_it_is_watched_makes_no_difference(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 0)
    make_run(
        tmp_path / "other",
        1,
        settings={"output_dir": "x", "callbacks.samples": None, "data.workers": 4, "logger": {"w": 1}},
    )
    assert len(compare(find_runs([str(tmp_path)])).rows) == 1


def test_a_setting_that_an_older_run_does_not_know_is_told_and_makes_no_row(tmp_path: Path) -> None:
    make_run(tmp_path / "old", 0)
    make_run(tmp_path / "new", 1, settings={"model.identity_weight": 0.0, "accumulate": 1})
    comparison = compare(find_runs([str(tmp_path)]))
    assert len(comparison.rows) == 1
    (note,) = [note for note in comparison.notes if "another version" in note]
    assert "old" in note and "model.identity_weight" in note and "accumulate" in note


def test_whatever_state_a_run_was_left_in_it_stays_in_the_table(tmp_path: Path) -> None:
    make_run(tmp_path / "whole", 0, {"l1": 0.1})
    make_run(tmp_path / "killed", 1, iterations=50)
    cut = make_run(tmp_path / "cut", 0, {"l1": 0.2}, {"model.cycle_weight": 1.0})
    for name in ("metrics.jsonl", "config.yaml", "environment.json", "scores.jsonl"):
        whole = (cut / name).read_bytes()
        (cut / name).write_bytes(whole[: len(whole) * 2 // 3])
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "environment.json").write_text("{}")
    comparison = compare(find_runs([str(tmp_path)]))
    assert {run.folder.name for row in comparison.rows for run in row.runs} == {"whole", "killed", "cut", "begun"}
    told = "\n".join(comparison.notes)
    assert "killed: it is at 50 of 100 iterations" in told and "begun: nothing is recorded of it" in told
    assert "begun: it has no config.yaml" in told and "cut: an evaluation of it cannot be read" in told
    assert "killed: not evaluated; stylegan-lab evaluate" in told
    for form in (as_csv, as_markdown, lambda each: as_text(each, 80), lambda each: json.dumps(each.as_json())):
        assert "begun" in form(comparison)


def test_scores_of_a_training_are_by_the_protocol_it_wrote(tmp_path: Path) -> None:
    for name, weight, ema in [("one", 1.0, True), ("two", 2.0, True), ("odd", 3.0, False)]:
        folder = make_run(tmp_path / name, 0, settings={"model.cycle_weight": weight})
        told = {
            "ema": ema,
            "counts": {"target": 7},
            "better": {"val/ssim": "higher"},
            "protocol": {"val/ssim": "plain"},
        }
        (folder / "protocol.json").write_text(json.dumps(told))
    (column,) = compare(find_runs([str(tmp_path)])).columns
    assert column.better == "higher" and [cell and cell.standing for cell in column.cells][2] == "elsewhere"


def test_cost_counts_what_was_played_and_no_pauses(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one", iterations=100)
    cost = compare([folder]).runs[0].cost
    assert (cost.images, cost.seconds, cost.gpu_hours, cost.peak_bytes) == (200, 50.0, 0.0, None)
    sitting = {"seconds": 1800.0, "gpus": 2, "hardware": "2 x H200", "peak_bytes": 5}
    (folder / "cost.json").write_text(json.dumps({"sittings": [sitting, sitting | {"peak_bytes": 7}]}))
    cost = compare([folder]).runs[0].cost
    assert (cost.seconds, cost.gpu_hours, cost.peak_bytes, cost.hardware) == (3600.0, 2.0, 7, "2 x H200")


def test_runs_are_found_in_folders_sweeps_and_patterns_and_counted_once(tmp_path: Path) -> None:
    for name in ("sweep/10", "sweep/9", "other"):
        make_run(tmp_path / name)
    (tmp_path / "other" / "wandb").mkdir()
    (tmp_path / "other" / "wandb" / "config.yaml").touch()
    found = find_runs([str(tmp_path / "sweep"), str(tmp_path / "*"), str(tmp_path / "other")])
    assert [path.name for path in found] == ["9", "10", "other"]
    with pytest.raises(Mistake, match="there is no such run"):
        find_runs(["nowhere/*"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match="holds no runs"):
        find_runs([str(tmp_path / "empty")])


def test_every_form_tells_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(two_rows(tmp_path / "runs"))
    assert run(["compare", place, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["runs"], row["test/ssim"][:4], row["test/ssim n"]) for row in rows] == [
        ("good-{0,1,2}", "0.51", "3"), ("bad-{0,1,2}", "0.3", "3")]  # fmt: skip
    assert run(["compare", place, "--scores", "l1", "--json", "new/folder/out.json", "--markdown", "out.md"]) == 0
    told = json.loads((tmp_path / "new/folder/out.json").read_text())
    assert list(told["scores"]) == ["test/l1"] and told["scores"]["test/l1"]["better"] == "lower"
    assert (tmp_path / "out.md").read_text().count("| good-{0,1,2} |") == 1
    assert run(["compare", "--csv", place, place]) == 2 and "a folder" in capsys.readouterr().err


def test_a_comparison_loads_no_torch(tmp_path: Path) -> None:
    compared = f"run(['compare', {str(two_rows(tmp_path))!r}])"
    code = f"import sys; from stylegan_lab.cli.main import run; {compared}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_students_t_is_that_of_the_tables() -> None:
    for t, freedom, chance in [
        (12.706, 1, 0.05),
        (4.303, 2, 0.05),
        (2.776, 4, 0.05),
        (3.169, 10, 0.01),
        (1.962, 1000, 0.05),
    ]:
        assert beyond(t, freedom) == pytest.approx(chance, rel=2e-3)
    assert beyond(0, 1.5) == pytest.approx(1)


def test_tests_of_means_are_symmetric_and_blind_to_scale() -> None:
    one, other = [1.0, 2.0, 4.0], [3.0, 5.0, 6.0, 9.0]
    for test in (welch, permutation):
        chance = test(one, other)
        assert chance == pytest.approx(test(other, one))
        assert chance == pytest.approx(test([10 * x - 3 for x in other], [10 * x - 3 for x in one]))
        assert test(one, one) == pytest.approx(1)
    assert permutation([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / 70)
    assert welch([1.0], other) is None and welch([1, 1], [2, 2]) == 0
    assert holm([0.01, None, 0.04, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06), pytest.approx(0.06)]


@pytest.mark.parametrize("row", ["untranslated", "training", "held_out"])
def test_other_pictures_are_seen_by_what_no_model_made(row: str) -> None:
    one, other = (
        scores_of({"split": "x", "metrics": {"fid_x": 5.0}, row: {"fid_x": plain}})["x/fid_x"].protocol
        for plain in (3.0, 9.0)
    )
    assert not one.agrees(other) and one.agrees(one)


def test_scores_on_the_way_of_other_held_out_pictures_are_not_compared() -> None:
    def score(**data: object) -> Protocol:
        return scores_on_the_way([{"iteration": 2, "val/l1": 0.5}], {}, data)["val/l1"].protocol

    assert score(target="ink", batch_size=1).agrees(score(target="ink", batch_size=4, workers=2))
    assert score(target="ink").unlike(score(target="ukiyoe")) == "data.target ink and ukiyoe"


def test_without_a_split_that_of_the_test_is_meant() -> None:
    assert _full("ssim", ["val/l1", "val/ssim", "test/ssim"]) == "test/ssim"
    assert _full("l1", ["val/l1", "val/ssim", "test/ssim"]) == _full("val/l1", ["val/l1"]) == "val/l1"
    assert _full("psnr", ["val/l1"]) is None


def test_what_one_protocol_has_and_the_other_has_not_is_told_in_words() -> None:
    one, other = Protocol({"size": 64, "translated pictures": 4}), Protocol({"size": 64, "generated pictures": 9})
    assert not one.agrees(other)
    assert one.unlike(other) == "translated pictures 4 and none, generated pictures none and 9"
