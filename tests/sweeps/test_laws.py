"""What a sweep says of its trials: laws of spreads, fronts and importance; the page; the board; devices shared out."""

import io
import random
import statistics
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from rich.console import Console

from stylegan_lab.sweeps.board import Board
from stylegan_lab.sweeps.devices import Devices
from stylegan_lab.sweeps.page import page, parallel_coordinates
from stylegan_lab.sweeps.ranking import best, importance
from stylegan_lab.sweeps.space import grid, parse
from stylegan_lab.sweeps.spread import grouped, spread
from stylegan_lab.sweeps.trial import Follower, Trial


def trial(number: int, score: float, seed: int | None = None, state: str = "done", **point: str) -> Trial:
    return Trial(number, point, seed, [], Path(), state, "", {"val/ssim": score, "val/l1": -score, "loss/g": 1.0})


def test_a_spread_is_the_mean_and_the_unbiased_deviation() -> None:
    values = [random.Random(1).gauss(3, 2) for _ in range(7)]
    told = spread(values)
    assert told.mean == pytest.approx(statistics.mean(values))
    assert told.deviation == pytest.approx(statistics.stdev(values)) and told.n == 7
    assert spread([2.0]).deviation is None and str(spread([2.0])) == "2"


def test_groups_are_of_one_point_and_of_what_is_done() -> None:
    groups = grouped(
        [trial(0, 1, 0, a="x"), trial(1, 3, 1, a="x"), trial(2, 9, 0, "failed", a="y"), trial(3, 5, 1, a="y")]
    )
    assert [str(group.scores["val/ssim"]) for group in groups] == ["2 ± 1.4 (2)", "5"]
    assert [group.is_whole for group in groups] == [True, False] and "loss/g" not in groups[0].scores
    assert best(groups, {"val/ssim": "higher"}) == groups[:1], "a point with a failed seed is none to recommend"


def test_a_front_is_what_none_beats_in_all_scores() -> None:
    groups = grouped([trial(number, score, a=str(number)) for number, score in enumerate([1.0, 3.0, 2.0])])
    assert len(best(groups, {"val/ssim": "higher", "val/l1": "higher"})) == 3, "each is better in one"
    assert best(groups, {"val/ssim": "higher", "val/l1": "lower"}) == [groups[1]]


@pytest.mark.parametrize("numbers", [False, True])
def test_importance_is_one_for_what_decides_and_nothing_for_chance(numbers: bool) -> None:
    chance = random.Random(3)
    decided = [chance.uniform(0, 1) if numbers else chance.choice("123") for _ in range(60)]
    points = [{"decides": str(each), "idle": str(chance.random())} for each in decided]
    groups = grouped([trial(n, -abs(float(each["decides"]) - 0.5), **each) for n, each in enumerate(points)])
    shares = importance(groups, "val/ssim")
    assert list(shares) == ["decides", "idle"] and shares["decides"] > 0.7 and shares["idle"] < 0.15
    assert importance(groups[:3], "val/ssim") == {}, "of three points nothing is told"


def test_a_space_is_what_file_and_command_line_say_and_the_line_wins() -> None:
    axes, rest = parse({"loss": ["lsgan", "hinge"], "a.b": "1,2,3"}, ["a.b=range(0,4,2)", "c=1", "~d"])
    assert [(axis.key, axis.values) for axis in axes] == [("loss", ("lsgan", "hinge")), ("a.b", ("0", "2"))]
    assert rest == ["c=1", "~d"]
    assert list(grid(axes))[1] == {"loss": "lsgan", "a.b": "2"} and len(list(grid(axes))) == 4
    (whole, log), _ = parse({}, ["x=int(interval(1,8))", "y=tag(log,interval(1e-5,1e-3))"])
    assert whole.whole and whole.show(3.0) == "3" and log.log and log.show(1e-4) == "0.0001"


def test_the_page_is_well_formed_and_draws_a_line_for_each_scored_point() -> None:
    groups = grouped([trial(n, n, a=str(n), b="<&>") for n in range(5)] + [trial(9, 0, None, "failed", a="7", b="x")])
    marked = [(group, group is groups[4]) for group in groups]
    drawing = ET.fromstring(parallel_coordinates(marked, {"val/ssim": "higher"}))
    lines = drawing.findall("path")
    assert len(lines) == 5 and [line.get("class") for line in lines] == [None] * 4 + ["best"]
    ends = [float(line.attrib["d"].split()[-1]) for line in lines]
    assert ends == sorted(ends, reverse=True), "higher scores end higher up"
    whole = page("<sweep>", groups, groups[4:5], {"val/ssim": "higher"}, {"val/ssim": {"a": 0.5}})
    assert "&lt;sweep&gt;" in whole and "<&>" not in whole and "http" not in whole


def test_a_board_on_a_terminal_is_a_table() -> None:
    shown = io.StringIO()
    board = Board({"val/ssim": "higher"}, 4, 1, Console(file=shown, force_terminal=True, width=120))
    done, playing = trial(0, 0.25, a="1"), trial(1, 0.5, None, "playing", a="2")
    done.seconds, playing.seconds, playing.iteration, playing.iterations = 60.0, 30.0, 10, 20
    board.begins(done)
    board.begins(playing)
    board.close()
    for told in ("val/ssim ↑", "a=1", "done", "0.25", "10/20", "0:00:30", "1 of 4 trials over", "about 0:02:30 left"):
        assert told in shown.getvalue()


def test_devices_are_apart_while_they_last_and_then_the_least_busy() -> None:
    devices = Devices(["0", "1", "2"], at_once=3, needed=2, cores=12)
    first, second = devices.take(), devices.take()
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("0,1", "0,2")
    devices.give_back(first)
    assert devices.take()["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert Devices(["0", "1", "2", "3"], 2, None).take()["CUDA_VISIBLE_DEVICES"] == "0,1", "an equal share"
    assert Devices([], 1, 2).take() == {}, "nothing to share, and all processors for the one"


def test_a_record_that_was_cut_is_read_anew() -> None:
    record, follower = Path("metrics.jsonl"), Follower(Path())
    record.write_text('{"iteration": 1}\n{"iteration": 2}\n{"itera')
    assert [row["iteration"] for row in follower.new_rows()] == [1, 2]
    record.write_text('{"iteration": 1}\n')
    assert [row["iteration"] for row in follower.new_rows()] == [1]
    with record.open("a") as more:
        more.write('{"iteration": 2}\n')
    assert [row["iteration"] for row in follower.new_rows()] == [2]
