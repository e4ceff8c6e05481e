"""The report of a sweep: statistics over seeds, the Pareto front, parameter importance, and the page."""

import random
import re
import statistics
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from stylegan_lab.reporting.statistics import mean_and_std
from stylegan_lab.sweeps.sweep_page import short_number, sweep_page
from stylegan_lab.sweeps.sweep_report import SweepReport, best_groups, group_trials, parameter_importance
from stylegan_lab.sweeps.trial import Trial


def make_trial(number: int, score: float, seed: int | None = None, state: str = "complete", **point: str) -> Trial:
    return Trial(number, point, seed, [], Path(), state, "", {"val/ssim": score, "val/l1": -score, "loss/g": 1.0})


def test_mean_and_std_is_unbiased_and_needs_two_values() -> None:
    values = [random.Random(1).gauss(3, 2) for _ in range(7)]
    result = mean_and_std(values)
    assert result.mean == pytest.approx(statistics.mean(values))
    assert result.std == pytest.approx(statistics.stdev(values)) and result.n == 7
    assert mean_and_std([2.0]).std is None and str(mean_and_std([2.0])) == "2"


def test_trials_are_grouped_by_point_and_only_complete_ones_are_averaged() -> None:
    groups = group_trials(
        [
            make_trial(0, 1, 0, a="x"),
            make_trial(1, 3, 1, a="x"),
            make_trial(2, 9, 0, "failed", a="y"),
            make_trial(3, 5, 1, a="y"),
        ]
    )
    assert [str(group.scores["val/ssim"]) for group in groups] == ["2 ± 1.4 (2)", "5"]
    assert [group.is_complete for group in groups] == [True, False] and "loss/g" not in groups[0].scores
    assert best_groups(groups, {"val/ssim": "higher"}) == groups[:1], "a point with a failed seed is not the best"


def test_the_pareto_front_contains_all_points_that_no_other_dominates() -> None:
    groups = group_trials([make_trial(number, score, a=str(number)) for number, score in enumerate([1.0, 3.0, 2.0])])
    assert len(best_groups(groups, {"val/ssim": "higher", "val/l1": "higher"})) == 3, "each is better in one objective"
    assert best_groups(groups, {"val/ssim": "higher", "val/l1": "lower"}) == [groups[1]]


@pytest.mark.parametrize("numbers", [False, True])
def test_importance_is_near_one_for_the_decisive_parameter_and_near_zero_for_noise(numbers: bool) -> None:
    rng = random.Random(3)
    decisive = [rng.uniform(0, 1) if numbers else rng.choice("123") for _ in range(60)]
    points = [{"decisive": str(each), "noise": str(rng.random())} for each in decisive]
    groups = group_trials([make_trial(n, -abs(float(each["decisive"]) - 0.5), **each) for n, each in enumerate(points)])
    shares = parameter_importance(groups, "val/ssim")
    assert list(shares) == ["decisive", "noise"] and shares["decisive"] > 0.7 and shares["noise"] < 0.15
    assert parameter_importance(groups[:3], "val/ssim") == {}, "three points are not enough"


def test_the_page_is_well_formed_and_draws_a_line_for_each_scored_point() -> None:
    trials = [make_trial(n, n, a=str(n), b="<&>") for n in range(5)] + [make_trial(9, 0, None, "failed", a="7", b="x")]
    page = sweep_page(SweepReport(Path("<sweep>"), trials, {"val/ssim": "higher"}, "grid"))
    drawings = [ET.fromstring(f"<svg{each.partition('</svg>')[0]}</svg>") for each in page.split("<svg")[1:]]
    lines = drawings[0].findall("path")
    assert len(lines) == 5 and [line.get("class") for line in lines] == [None] * 4 + ["best"]
    ends = [float(line.attrib["d"].split()[-1]) for line in lines]
    assert ends == sorted(ends, reverse=True), "higher scores end higher up"
    assert len(drawings) == 2 and len(drawings[1].findall("rect")) == 2, "importance has a bar for each parameter"
    assert page.count("<tr>") + page.count('<tr class="best">') == 7, "the table has a row for each point"
    assert "&lt;sweep&gt;" in page and "<&>" not in page and "http" not in page


def test_the_page_lists_the_best_points_first_with_their_folders_images_and_the_command(tmp_path: Path) -> None:
    trials = [make_trial(n, score, a=str(n)) for n, score in enumerate([0.2, 0.9, 0.5])] + [
        make_trial(3, 0, a="x", state="failed")
    ]
    for trial in trials:
        trial.sweep = tmp_path
        trial.overrides = [f"a={trial.number}", "b='[1, 2]'"]
    names = PngInfo()
    names.add_text("rows", '["input", "<output>"]')
    for number in (0, 1):
        (tmp_path / str(number) / "samples").mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / str(number) / "samples" / "000004.png", pnginfo=names)
    page = sweep_page(SweepReport(tmp_path, trials, {"val/ssim": "higher"}, "grid"))
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert re.findall(r'<td><a href="(\d)/">', table) == ["1", "2", "0", "3"], "the best first, without a score last"
    assert "val/ssim ↑</th>" in page
    assert "stylegan-lab train a=1 &#39;" in page, "the command of the best trial"
    shown = re.findall(r'alt="samples of trial (\d)"', page)
    assert shown == ["1", "0"] and page.count("data:image/webp") == 2
    assert page.count("<span>input</span><span>&lt;output&gt;</span>") == 2


def test_numbers_of_searches_are_short_and_other_values_stay() -> None:
    assert short_number("0.000212345678") == "0.0002123" and short_number("10.123456789") == "10.12"
    assert [short_number(each) for each in ("0.0005", "1e-4", "20000", "resnet_small")] == [
        "0.0005",
        "1e-4",
        "20000",
        "resnet_small",
    ]


def test_names_of_axes_stay_inside_the_drawing() -> None:
    trials = [make_trial(n, n, **{f"a.long.name.of.parameter{i}": str(n * i) for i in range(5)}) for n in range(5)]
    page = sweep_page(
        SweepReport(Path("sweep"), trials, {"val/a_long_name_of_an_objective": "higher", "val/ssim": "lower"}, "grid")
    )
    assert "No point has a value for every objective" in page  # an objective without scores
    page = sweep_page(SweepReport(Path("sweep"), trials, {"val/ssim": "higher"}, "grid"))
    texts = [ET.fromstring(each) for each in re.findall(r'<text class="name".*?</text>', page)]
    for text in texts:
        x, width = float(text.attrib["x"]), 7 * len(text.text or "")
        left = {"start": x, "middle": x - width / 2, "end": x - width}[text.attrib["text-anchor"]]
        assert left >= 0 and left + width <= 960, text.text
    assert len({text.attrib["y"] for text in texts[:2]}) == 2, "neighbors are on two heights"
