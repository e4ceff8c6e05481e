"""Comparisons: rows and settings, means and rankings, and the notes about incomplete runs."""

import csv
import io
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from stylegan_lab.cli.main import run
from stylegan_lab.console import format_json
from stylegan_lab.reporting.comparison import _full_name, compare_runs
from stylegan_lab.reporting.comparison_page import comparison_page
from stylegan_lab.reporting.comparison_table import as_csv, as_markdown, as_text
from stylegan_lab.reporting.score_protocol import ScoreProtocol, scores_by_name, validation_scores
from stylegan_lab.runs.reader import find_runs
from stylegan_lab.runs.state import RunState, Session
from tests.refusals import assert_refused, refused
from tests.reporting.run_folders import make_run


def make_two_rows(place: Path) -> Path:
    for seed, (good, bad) in enumerate([(0.50, 0.30), (0.52, 0.29), (0.51, 0.31)]):
        make_run(place / f"good-{seed}", seed, {"ssim": good, "l1": 0.1})
        make_run(place / f"bad-{seed}", seed, {"ssim": bad, "l1": 0.1 + seed / 1000}, {"model.cycle_weight": 1.0})
    return place


def test_runs_that_differ_only_in_their_seed_form_one_row(tmp_path: Path) -> None:
    comparison = compare_runs(find_runs([str(make_two_rows(tmp_path))]))
    assert [(row.name, row.seeds) for row in comparison.rows] == [
        ("bad-{0,1,2}", [0, 1, 2]),
        ("good-{0,1,2}", [0, 1, 2]),
    ][::-1]
    assert list(comparison.differences.shown) == ["model.cycle_weight"]
    ssim = next(each for each in comparison.columns if each.name == "test/ssim")
    assert ssim.direction == "higher"
    best, worse = ssim.cells
    assert best is not None and worse is not None
    assert best.summary.mean == pytest.approx(0.51) and best.summary.std == pytest.approx(0.01) and best.summary.n == 3
    assert (best.ranking, worse.ranking) == ("best", "worse")
    assert worse.exact_p_value == pytest.approx(2 / 20)  # the minimum for three seeds against three


def test_the_best_follows_the_direction_and_small_differences_are_not_significant(tmp_path: Path) -> None:
    for seed, (one, other) in enumerate([(0.10, 0.11), (0.14, 0.13), (0.12, 0.14)]):
        make_run(tmp_path / f"one-{seed}", seed, {"l1": one})
        make_run(tmp_path / f"other-{seed}", seed, {"l1": other}, {"generator.channels": 32})
    (l1,) = compare_runs(find_runs([str(tmp_path)])).columns
    assert [cell and cell.ranking for cell in l1.cells] == ["best", "not_significant"]


def test_one_seed_cannot_be_tested(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 0, {"l1": 0.1})
    make_run(tmp_path / "other", 0, {"l1": 0.2}, {"model.cycle_weight": 1.0})
    comparison = compare_runs(find_runs([str(tmp_path)]))
    assert [cell and cell.ranking for cell in comparison.columns[0].cells] == ["best", "untested"]
    assert any("too few seeds" in note for note in comparison.notes)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_not_ranked(tmp_path: Path, value: float) -> None:
    for name, ssim in (("broken", value), ("good", 0.5), ("bad", 0.3)):
        make_run(tmp_path / name, 0, {"ssim": ssim}, {"model.cycle_weight": float(len(name))},
                 {"untranslated": {"ssim": value}})  # fmt: skip
    comparison = compare_runs(find_runs([str(tmp_path)]))
    assert [row.name for row in comparison.rows] == ["good", "bad", "broken"]
    assert [cell and cell.ranking for cell in comparison.columns[0].cells] == ["best", "untested", "unranked"]
    assert any("not ranked: test/ssim of broken" in note for note in comparison.notes)

    def refuse_constant(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    contents = json.loads(format_json(comparison.as_json()), parse_constant=refuse_constant)
    assert contents["rows"][2]["scores"]["test/ssim"]["mean"] is None
    scripts = re.findall(r'application/json" id="page-data">(.*?)</script>', comparison_page(comparison))
    assert json.loads(scripts[0], parse_constant=refuse_constant)["rows"][2]["values"]["test/ssim"] is None


@pytest.mark.parametrize(
    "other", [{"n": 8}, {"ema": False}, {"untranslated": {"l1": 0.3}}, {"protocol": {"l1": "else"}}]
)
def test_scores_of_another_protocol_are_shown_but_not_ranked(tmp_path: Path, other: dict[str, object]) -> None:
    for name in ("one", "two"):
        make_run(tmp_path / name, 0, {"l1": 0.2}, {"model.cycle_weight": float(len(name) + (name == "two"))})
    make_run(tmp_path / "odd", 0, {"l1": 0.1}, {"model.cycle_weight": 1.0}, other)
    comparison = compare_runs(find_runs([str(tmp_path)]))
    rankings = {
        row.name: cell and cell.ranking for row, cell in zip(comparison.rows, comparison.columns[0].cells, strict=True)
    }
    assert rankings["odd"] == "other_protocol" and sorted(map(str, rankings.values())) == [
        "best",
        "other_protocol",
        "untested",
    ]
    assert any("not compared: test/l1 of odd" in note for note in comparison.notes)


def test_each_protocol_has_its_own_best_however_many_rows_it_has(tmp_path: Path) -> None:
    for index, (l1, n) in enumerate([(0.1, 8), (0.2, 8), (0.3, 8), (0.5, 64), (0.4, 64)]):
        make_run(tmp_path / f"run{index}", 0, {"l1": l1}, {"model.cycle_weight": float(index)}, {"n": n})
    comparison = compare_runs(find_runs([str(tmp_path)]))
    cells = {row.name: cell for row, cell in zip(comparison.rows, comparison.columns[0].cells, strict=True) if cell}
    assert {name: cell.letter for name, cell in cells.items() if cell.ranking == "best"} == {"run0": "A", "run4": "B"}
    assert cells["run0"].format(1) == "0.1 * A" and cells["run3"].format(1) == "0.5 ? B"
    assert [row.name for row in comparison.rows] == ["run0", "run1", "run2", "run4", "run3"]
    assert any("only with those of the same letter (A, B)" in note for note in comparison.notes)
    assert 'class="number best"' not in comparison_page(comparison), "no best score of the whole column"


def test_rows_that_are_called_by_a_time_stamp_have_their_folder_in_the_name(tmp_path: Path) -> None:
    for index, name in enumerate(["demo/20260101-120000", "demo/20260102-130000-ab12"]):
        make_run(tmp_path / name, 0, {"l1": 0.1}, {"model.cycle_weight": float(index)})
    names = {row.name for row in compare_runs(find_runs([str(tmp_path)])).rows}
    assert names == {"demo/20260101-120000", "demo/20260102-130000-ab12"}


def test_seeds_with_another_protocol_are_excluded_from_the_mean(tmp_path: Path) -> None:
    for seed in range(3):
        make_run(tmp_path / str(seed), seed, {"l1": 0.1}, evaluation={"n": 8} if seed == 2 else None)
    comparison = compare_runs(find_runs([str(tmp_path)]))
    (cell,) = comparison.columns[0].cells
    assert cell is not None and cell.summary.n == 2
    assert any("excluded from its mean" in note for note in comparison.notes)


def test_settings_that_follow_from_another_choice_are_implied(tmp_path: Path) -> None:
    make_run(tmp_path / "one", settings={"generator.blocks": 9})
    make_run(tmp_path / "other", settings={"generator": {"_target_": "lab.networks.UNet", "depth": 6, "channels": 16}})
    differences = compare_runs(find_runs([str(tmp_path)])).differences
    assert (list(differences.shown), list(differences.implied)) == (
        ["generator"],
        ["generator.blocks", "generator.depth"],
    )
    assert [each["generator"] for each in differences.values] == ["ResNet", "UNet"]


def test_an_entry_differs_from_an_empty_mapping(tmp_path: Path) -> None:
    make_run(tmp_path / "one")
    make_run(tmp_path / "other", settings={"loss.regularizers": {"r1": {"_target_": "lab.R1", "weight": 10}}})
    comparison = compare_runs(find_runs([str(tmp_path)]))
    assert list(comparison.differences.shown) == ["loss.regularizers.r1"] and len(comparison.rows) == 2


def test_storage_and_monitoring_settings_make_no_difference(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 0)
    make_run(
        tmp_path / "other",
        1,
        settings={"output_dir": "x", "callbacks.samples": None, "data.num_workers": 4, "logger": {"w": 1}},
    )
    assert len(compare_runs(find_runs([str(tmp_path)])).rows) == 1


def test_a_setting_that_one_run_does_not_have_is_a_difference(tmp_path: Path) -> None:
    make_run(tmp_path / "one", 0)
    make_run(tmp_path / "other", 1, settings={"model.identity_weight": 0.0, "micro_batches": 1})
    comparison = compare_runs(find_runs([str(tmp_path)]))
    assert len(comparison.rows) == 2
    assert set(comparison.differences.shown) == {"model.identity_weight", "micro_batches"}


def test_incomplete_and_damaged_runs_stay_in_the_table(tmp_path: Path) -> None:
    make_run(tmp_path / "complete", 0, {"l1": 0.1})
    make_run(tmp_path / "killed", 1, iterations=50)
    cut = make_run(tmp_path / "cut", 0, {"l1": 0.2}, {"model.cycle_weight": 1.0})
    for name in ("metrics.jsonl", "config.yaml", "environment.json", "scores.jsonl"):
        contents = (cut / name).read_bytes()
        (cut / name).write_bytes(contents[: len(contents) * 2 // 3])
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "environment.json").write_text("{}")
    comparison = compare_runs(find_runs([str(tmp_path)]))
    assert {run.folder.name for row in comparison.rows for run in row.runs} == {"complete", "killed", "cut", "begun"}
    notes = "\n".join(comparison.notes)
    assert "killed: at iteration 50 of 100" in notes and "begun: no metrics are recorded" in notes
    assert "begun: config.yaml is missing" in notes and "cut: an evaluation cannot be read" in notes
    assert "killed: not evaluated; run stylegan-lab evaluate" in notes
    for form in (as_csv, as_markdown, lambda each: as_text(each, 80), lambda each: json.dumps(each.as_json())):
        assert "begun" in form(comparison)


def test_validation_scores_use_the_protocol_that_the_run_recorded(tmp_path: Path) -> None:
    for name, weight, ema in [("one", 1.0, True), ("two", 2.0, True), ("odd", 3.0, False)]:
        folder = make_run(tmp_path / name, 0, settings={"model.cycle_weight": weight})
        contents = {
            "ema": ema,
            "counts": {"target": 7},
            "better": {"val/ssim": "higher"},
            "protocol": {"val/ssim": "plain"},
        }
        (folder / "protocol.json").write_text(json.dumps(contents))
    (column,) = compare_runs(find_runs([str(tmp_path)])).columns
    assert column.direction == "higher" and [cell and cell.ranking for cell in column.cells][2] == "other_protocol"


def test_cost_is_the_sum_over_sessions(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one", iterations=100)
    cost = compare_runs([folder]).runs[0].cost
    assert (cost.images, cost.seconds, cost.gpu_hours, cost.peak_bytes) == (200, None, None, None)
    session = Session("2026-01-01T00:00:00+0000", 100, 0, 100, 2, 2, "2 x H200", seconds=1800.0, peak_bytes=5)
    RunState("finished", 100, 100, [session, replace(session, peak_bytes=7)]).write(folder)
    cost = compare_runs([folder]).runs[0].cost
    assert (cost.seconds, cost.gpu_hours, cost.peak_bytes, cost.hardware) == (3600.0, 2.0, 7, "2 x H200")


def test_a_finished_run_that_was_resumed_with_a_longer_budget_is_not_finished(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "one", 0, {"l1": 0.1})
    assert compare_runs([folder]).rows[0].state == "finished"
    RunState("interrupted", 1000, 500).write(folder)
    comparison = compare_runs([folder])
    assert comparison.rows[0].state == "interrupted"
    assert any("at iteration 500 of 1000: interrupted" in note for note in comparison.notes)


def test_runs_are_found_in_folders_sweeps_and_patterns_and_counted_once(tmp_path: Path) -> None:
    for name in ("sweep/10", "sweep/9", "other"):
        make_run(tmp_path / name)
    (tmp_path / "other" / "wandb").mkdir()
    (tmp_path / "other" / "wandb" / "config.yaml").touch()
    found = find_runs([str(tmp_path / "sweep"), str(tmp_path / "*"), str(tmp_path / "other")])
    assert [path.name for path in found] == ["9", "10", "other"]
    with refused("run.not_found", "nowhere/*"):
        find_runs(["nowhere/*"])
    (tmp_path / "empty").mkdir()
    with refused("run.none_in_folder", "empty"):
        find_runs([str(tmp_path / "empty")])


def test_csv_json_and_markdown_agree(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = str(make_two_rows(tmp_path / "runs"))
    assert run(["compare", place, "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["runs"], row["test/ssim"][:4], row["test/ssim n"]) for row in rows] == [
        ("good-{0,1,2}", "0.51", "3"), ("bad-{0,1,2}", "0.3", "3")]  # fmt: skip
    assert run(["compare", place, "--scores", "l1", "--json", "new/folder/out.json", "--markdown", "out.md"]) == 0
    contents = json.loads((tmp_path / "new/folder/out.json").read_text())
    assert list(contents["scores"]) == ["test/l1"] and contents["scores"]["test/l1"]["direction"] == "lower"
    assert (tmp_path / "out.md").read_text().count("| good-{0,1,2} |") == 1
    assert run(["compare", "--csv", place, place]) == 2
    assert_refused(capsys.readouterr().err, "cli.output_is_folder", f"--csv {place}")


def test_a_comparison_does_not_import_torch(tmp_path: Path) -> None:
    compared = f"run(['compare', {str(make_two_rows(tmp_path))!r}])"
    code = f"import sys; from stylegan_lab.cli.main import run; {compared}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("row", ["untranslated", "training", "held_out"])
def test_different_reference_scores_mean_different_images(row: str) -> None:
    one, other = (
        scores_by_name({"split": "x", "metrics": {"fid_x": 5.0}, row: {"fid_x": plain}})["x/fid_x"].protocol
        for plain in (3.0, 9.0)
    )
    assert not one.matches(other) and one.matches(one)


def test_validation_scores_of_different_held_out_images_do_not_match() -> None:
    def protocol_of(**data: object) -> ScoreProtocol:
        return validation_scores([{"iteration": 2, "val/l1": 0.5}], {}, data)["val/l1"].protocol

    assert protocol_of(target="ink", batch_size=1).matches(protocol_of(target="ink", batch_size=4, num_workers=2))
    assert protocol_of(target="ink").difference_from(protocol_of(target="ukiyoe")) == "data.target ink and ukiyoe"


def test_a_score_without_a_split_means_the_test_split() -> None:
    assert _full_name("ssim", ["val/l1", "val/ssim", "test/ssim"]) == "test/ssim"
    assert _full_name("l1", ["val/l1", "val/ssim", "test/ssim"]) == _full_name("val/l1", ["val/l1"]) == "val/l1"
    assert _full_name("psnr", ["val/l1"]) is None


def test_the_difference_of_two_protocols_is_described() -> None:
    one, other = (
        ScoreProtocol({"size": 64, "translated images": 4}),
        ScoreProtocol({"size": 64, "generated images": 9}),
    )
    assert not one.matches(other)
    assert one.difference_from(other) == "translated images 4 and none, generated images none and 9"
