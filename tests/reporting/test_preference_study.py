"""Preference studies: the page does not reveal the runs, votes count once, win rates are consistent."""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.images.grid import GAP
from stylegan_lab.reporting.comparison import compare_runs
from stylegan_lab.reporting.preference_study.grid_cells import equal_rows, split_grid
from stylegan_lab.reporting.preference_study.preferences import compute_preferences
from stylegan_lab.reporting.preference_study.study import build_study, sample_questions
from stylegan_lab.reporting.preference_study.votes import Vote, read_votes
from stylegan_lab.runs.reader import find_runs
from tests.refusals import refused
from tests.reporting.browser import Page, browser, needs_browser
from tests.reporting.run_folders import make_run

SIZE, COLUMNS = 16, 4


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def grid(*rows: int) -> Image.Image:
    """Uniform gray cells: one gray for each row, and each column a little lighter."""
    step = SIZE + GAP
    image = Image.new("RGB", (COLUMNS * step - GAP, len(rows) * step - GAP), "white")
    for y, gray in enumerate(rows):
        for x in range(COLUMNS):
            image.paste((gray + 5 * x,) * 3, (x * step, y * step, x * step + SIZE, y * step + SIZE))
    return image


def evaluated_runs(place: Path) -> Path:
    """Two rows of two seeds, with the same inputs and different outputs."""
    for index, (name, weight) in enumerate(
        [("secret-0", 10.0), ("secret-1", 10.0), ("hidden-0", 1.0), ("hidden-1", 1.0)]
    ):
        folder = make_run(place / name, index % 2, {"ssim": 0.5 + index / 100}, {"model.cycle_weight": weight})
        grid(200, 50 + 20 * index, 220).save(folder / "test.png")
    return place


def make_study(place: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of the page, and its key."""
    assert (
        run(["compare", str(evaluated_runs(place / "runs")), "--preference-study", str(place / "ask.html"), *options])
        == 0
    )
    data = re.search(r'id="page-data">(.*?)</script>', (place / "ask.html").read_text(encoding="utf-8"))
    assert data
    return json.loads(data[1]), json.loads((place / "ask.key.json").read_text())


def vote_file(
    data: dict[str, Any], choose: Callable[[dict[str, str]], str], voter: str = "ada", **more: str
) -> dict[str, Any]:
    kept = ("left", "right")
    votes = [
        {"question": each["id"], "choice": choose(each)} | {side: each[side] for side in kept}
        for each in data["questions"]
    ]
    return {
        "schema": 1,
        "page": data["page"],
        "voter": voter,
        "session": voter,
        "saved": "2026-01-01",
        "votes": votes,
    } | more


def test_a_grid_is_split_into_its_cells(tmp_path: Path) -> None:
    grid(200, 50, 220).save(tmp_path / "one.png")
    grid(200, 90, 220).save(tmp_path / "other.png")
    grids = [split_grid(tmp_path / name, size) for name, size in (("one.png", SIZE), ("other.png", None))]
    assert [(len(cells), len(cells[0]), cells[0][0].size) for cells in grids] == [(3, COLUMNS, (SIZE, SIZE))] * 2
    assert grids[0][1][2].getpixel((3, 3)) == (60, 60, 60)
    assert equal_rows(grids) == {0, 2}
    Image.effect_noise((40, 31), 80).save(tmp_path / "noise.png")
    with refused("preference_study.not_a_grid", "noise.png"):
        split_grid(tmp_path / "noise.png")


def test_the_page_does_not_reveal_the_runs(tmp_path: Path) -> None:
    data, key = make_study(tmp_path)
    text = (tmp_path / "ask.html").read_text(encoding="utf-8")
    assert not re.search("secret|hidden-|runs/|cycle_weight", text) and str(tmp_path) not in text
    images = set(data["images"])
    assert set(key["images"]) < images
    assert list(data["images"]) == sorted(images), "the order must not reveal the runs"
    for question in data["questions"]:
        assert {question["input"], question["left"], question["right"]} <= images
    again, _ = make_study(tmp_path)
    assert not images & set(again["images"])


def test_questions_are_balanced_in_sides_pairs_and_runs() -> None:
    groups, places = [[0, 1], [2, 3, 4], [5]], [(1, column) for column in range(10)]
    for seed in range(5):
        found = sample_questions(groups, places, 60, random.Random(seed))
        assert len(found) == 60 and len(set(found)) == 60
        rows = {member: row for row, group in enumerate(groups) for member in group}
        pairs = Counter((rows[each.left], rows[each.right]) for each in found)
        assert all(pairs[one, other] == pairs[other, one] == 10 for one, other in [(0, 1), (0, 2), (1, 2)])
        assert {each.left for each in found} | {each.right for each in found} == set(range(6))
        assert {each.cell for each in found} == set(places)
    assert len(sample_questions([[0], [1]], places, 60, random.Random(0))) == len(places), "none twice"
    assert len({tuple(sample_questions(groups, places, 9, random.Random(seed))) for seed in range(5)}) == 5


def test_each_seed_of_a_row_occurs_equally_often() -> None:
    for one, other, columns, most in [(3, 3, 8, 20), (3, 1, 8, 8), (2, 3, 6, 9), (2, 4, 16, 60), (3, 3, 3, 9)]:
        groups = [list(range(one)), list(range(one, one + other))]
        found = sample_questions(groups, [(1, column) for column in range(columns)], most, random.Random(0))
        times = Counter(run for each in found for run in (each.left, each.right))
        assert len(found) == most
        for group in groups:
            assert max(times[run] for run in group) - min(times[run] for run in group) <= 1
        met = {frozenset((each.left, each.right)) for each in found}
        assert len({(each.cell, frozenset((each.left, each.right))) for each in found}) == most
        assert len(met) == min(most, one * other) and len({each.cell for each in found}) == min(most, columns)


def test_runs_evaluated_on_different_images_are_refused(tmp_path: Path) -> None:
    place = evaluated_runs(tmp_path / "runs")
    scores = json.loads((place / "hidden-0" / "scores.json").read_text())
    for name in ("scores.json", "scores.jsonl"):
        (place / "hidden-0" / name).write_text(json.dumps(scores | {"untranslated": {"l1": 0.9}}))
    comparison = compare_runs(find_runs([str(place)]))
    with refused("preference_study.different_images"):
        build_study(comparison, 60, random.Random(0))


def test_a_row_that_is_always_chosen_wins_all_votes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, key = make_study(tmp_path)
    runs = {name: Path(each["run"]).name for name, each in key["images"].items()}
    for voter in ("ada", "bo"):
        votes = vote_file(data, lambda each: "left" if "secret" in runs[each["left"]] else "right", voter)
        (tmp_path / f"{voter}.json").write_text(json.dumps(votes))
    (tmp_path / "copy of ada.json").write_text((tmp_path / "ada.json").read_text())
    capsys.readouterr()
    files = [str(tmp_path / name) for name in ("copy of ada.json", "bo.json", "ada.json")]
    (tmp_path / "runs").rename(tmp_path / "moved")  # runs are identified by their id, not by their path
    assert run(["compare", str(tmp_path / "moved"), "--json", "--votes", *files]) == 0
    comparison = json.loads(capsys.readouterr().out)
    rates = {row["name"]: row["preference"] for row in comparison["rows"]}
    count = 2 * len(data["questions"])
    assert (rates["secret-{0,1}"]["win_rate"], rates["hidden-{0,1}"]["win_rate"]) == (1.0, 0.0)
    assert (
        rates["secret-{0,1}"]["votes"] == count == comparison["preferences"]["votes"]
        and comparison["preferences"]["voters"] == 2
    )
    assert rates["hidden-{0,1}"]["ranking"] == "worse" and rates["secret-{0,1}"]["low"] > 0.5
    for form in (["--csv"], ["--markdown"], [], ["--html", "page.html"]):
        assert run(["compare", str(tmp_path / "moved"), *form, "--votes", *files]) == 0
    assert "preferred" in (tmp_path / "page.html").read_text()


def test_of_a_session_that_was_saved_twice_the_last_file_counts(tmp_path: Path) -> None:
    data, _ = make_study(tmp_path)
    first = vote_file(data, lambda each: "left", saved="2026-01-01T10")
    first["votes"] = first["votes"][:2]
    second = vote_file(data, lambda each: "tie", saved="2026-01-01T11")
    for name, each in (("z", first), ("a", second)):
        (tmp_path / f"{name}.json").write_text(json.dumps(each))
    votes = read_votes([tmp_path / "z.json", tmp_path / "a.json"])
    assert [vote.score for vote in votes] == [0.5] * len(data["questions"])


def test_votes_without_a_key_are_refused_and_votes_about_other_runs_are_noted(tmp_path: Path) -> None:
    data, _ = make_study(tmp_path)
    (tmp_path / "votes.json").write_text(json.dumps(vote_file(data, lambda each: "tie")))
    only = compare_runs(find_runs([str(tmp_path / "runs" / "secret-*")])).with_votes(
        read_votes([tmp_path / "votes.json"])
    )
    assert only.preferences is not None and only.preferences.num_votes == 0
    assert any("not counted" in note for note in only.notes)
    (tmp_path / "ask.key.json").rename(tmp_path / "elsewhere")
    with refused("preference_study.key_missing", "votes.json"):
        read_votes([tmp_path / "votes.json"])
    assert len(read_votes([tmp_path / "votes.json", tmp_path / "elsewhere"])) == len(data["questions"])
    (tmp_path / "bad.json").write_text("[]")
    with refused("preference_study.not_votes", "bad.json"):
        read_votes([tmp_path / "bad.json"])


def test_the_order_of_votes_does_not_matter() -> None:
    rng = random.Random(0)
    names = {"a": 0, "b": 1, "c": 2, "a2": 0}
    votes = [Vote(*rng.sample(sorted(names), 2), rng.choice([0.0, 0.5, 1.0]), rng.choice("xyz")) for _ in range(200)]
    original = compute_preferences(votes, names, 3)
    shuffled = compute_preferences(rng.sample(votes, len(votes)), names, 3)
    swapped = compute_preferences(
        [Vote(vote.second, vote.first, 1 - vote.score, vote.voter) for vote in votes], names, 3
    )
    for other in (shuffled, swapped):
        assert str(other.win_rates) == str(original.win_rates)
        assert other.strengths == pytest.approx(original.strengths) and other.num_votes == original.num_votes
    assert sum(each.wins for each in original.win_rates if each) == pytest.approx(original.num_votes), (
        "every vote is one win"
    )


@needs_browser
def test_a_study_can_be_answered_with_the_keyboard_and_saved(tmp_path: Path, chromium: Page) -> None:
    make_study(tmp_path, "--questions", "5")
    chromium.errors.clear()
    chromium.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    chromium.open(tmp_path / "ask.html")
    assert chromium.value("$('question').hidden")
    chromium.value("$('voter').focus()")
    for letter in "Ada":
        chromium.press(letter)
    chromium.press("Enter")
    assert not chromium.value("$('question').hidden") and chromium.value("$('count').textContent") == "0 of 5"
    for key in ("ArrowLeft", "ArrowUp", "ArrowLeft", "ArrowRight", "ArrowDown"):
        chromium.press(key)
    assert chromium.value("$('count').textContent") == "3 of 5"
    chromium.open(tmp_path / "ask.html")  # a page that was closed continues where it was left
    assert chromium.value("$('count').textContent") == "3 of 5"
    chromium.value("document.querySelector('[data-choice=right]').click()")
    chromium.press("ArrowDown")
    assert "thank you, Ada" in chromium.value("$('thanks').textContent")
    chromium.value("$('save').focus()")
    chromium.press("Enter")
    chromium.until("$('saved').textContent !== ''")
    (saved,) = wait_for_votes(tmp_path)
    choices = [vote["choice"] for vote in json.loads(saved.read_text())["votes"]]
    assert choices == ["left", "right", "tie", "right", "tie"]
    assert len(read_votes([saved])) == 5
    chromium.value("setTimeout(() => $('another').click())")  # once this is answered: it leaves the page
    chromium.until("document.documentElement?.dataset.ready && !document.getElementById('start').hidden")
    assert chromium.errors == []


def wait_for_votes(folder: Path) -> list[Path]:
    for _ in range(500):
        if found := list(folder.glob("votes-Ada-*.json")):
            return found
        time.sleep(0.02)
    return []


def test_generated_images_are_compared_without_inputs(tmp_path: Path) -> None:
    """The grid of a generator has rows of generated images and one of held-out images."""
    data = {"untranslated": None, "training": {"l1": 0.1}}
    for index, name in enumerate(["one", "other"]):
        folder = make_run(tmp_path / name, 0, {"l1": 0.5}, {"model.cycle_weight": float(index)}, data)
        grid(50 + 20 * index, 60 + 20 * index, 220).save(folder / "test.png")
    comparison = compare_runs(find_runs([str(tmp_path)]))
    text, key = build_study(comparison, 60, random.Random(0))
    assert {each["row"] for each in key["images"].values()} == {0, 1}
    assert text.count('"input": null') == 2 * COLUMNS
