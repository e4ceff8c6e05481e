"""Blind judgements: pages that give nothing away, votes counted once, win rates that behave."""

import json
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from math import comb
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.comparison.blind import blind, questions
from stylegan_lab.comparison.comparison import compare
from stylegan_lab.comparison.cutting import cells_of, given_rows
from stylegan_lab.comparison.found import find_runs
from stylegan_lab.comparison.judgement import judge, strengths, wilson
from stylegan_lab.comparison.votes import Vote, read_votes
from stylegan_lab.images.grid import GAP
from stylegan_lab.mistake import Mistake
from tests.comparison.browser import Page, browser, needed
from tests.comparison.folders import make_run

SIZE, COLUMNS = 16, 4


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("chromium")) as page:
        yield page


def grid(*rows: int) -> Image.Image:
    """Pictures of one gray a row, each column a little lighter."""
    step = SIZE + GAP
    picture = Image.new("RGB", (COLUMNS * step - GAP, len(rows) * step - GAP), "white")
    for y, gray in enumerate(rows):
        for x in range(COLUMNS):
            picture.paste((gray + 5 * x,) * 3, (x * step, y * step, x * step + SIZE, y * step + SIZE))
    return picture


def evaluated_runs(place: Path) -> Path:
    """Two rows of two seeds, which translate alike inputs differently."""
    for index, (name, weight) in enumerate(
        [("secret-0", 10.0), ("secret-1", 10.0), ("hidden-0", 1.0), ("hidden-1", 1.0)]
    ):
        folder = make_run(place / name, index % 2, {"ssim": 0.5 + index / 100}, {"model.cycle_weight": weight})
        grid(200, 50 + 20 * index, 220).save(folder / "test.png")
    return place


def asked(place: Path, *options: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The page's questions, and its key."""
    assert run(["compare", str(evaluated_runs(place / "runs")), "--blind", str(place / "ask.html"), *options]) == 0
    told = re.search(r'id="told">(.*?)</script>', (place / "ask.html").read_text(encoding="utf-8"))
    assert told
    return json.loads(told[1]), json.loads((place / "ask.key.json").read_text())


def ballot(
    told: dict[str, Any], choose: Callable[[dict[str, str]], str], judge: str = "ada", **more: str
) -> dict[str, Any]:
    kept = ("left", "right")
    votes = [
        {"question": each["id"], "choice": choose(each)} | {side: each[side] for side in kept}
        for each in told["questions"]
    ]
    return {
        "schema": 1,
        "page": told["page"],
        "judge": judge,
        "session": judge,
        "saved": "2026-01-01",
        "votes": votes,
    } | more


def test_a_grid_is_cut_into_what_it_was_made_of(tmp_path: Path) -> None:
    grid(200, 50, 220).save(tmp_path / "one.png")
    grid(200, 90, 220).save(tmp_path / "other.png")
    grids = [cells_of(tmp_path / name, size) for name, size in (("one.png", SIZE), ("other.png", None))]
    assert [(len(cells), len(cells[0]), cells[0][0].size) for cells in grids] == [(3, COLUMNS, (SIZE, SIZE))] * 2
    assert grids[0][1][2].getpixel((3, 3)) == (60, 60, 60)
    assert given_rows(grids) == {0, 2}
    Image.effect_noise((40, 31), 80).save(tmp_path / "noise.png")
    with pytest.raises(Mistake, match="no grid"):
        cells_of(tmp_path / "noise.png")


def test_a_blind_page_gives_nothing_away(tmp_path: Path) -> None:
    told, key = asked(tmp_path)
    text = (tmp_path / "ask.html").read_text(encoding="utf-8")
    assert not re.search("secret|hidden-|runs/|cycle_weight", text) and str(tmp_path) not in text
    pictures = set(told["pictures"])
    assert set(key["pictures"]) < pictures
    assert list(told["pictures"]) == sorted(pictures), "in an order that says nothing"
    for question in told["questions"]:
        assert {question["input"], question["left"], question["right"]} <= pictures
    again, _ = asked(tmp_path)
    assert not pictures & set(again["pictures"])


def test_questions_are_balanced_in_sides_pairs_and_runs() -> None:
    groups, places = [[0, 1], [2, 3, 4], [5]], [(1, column) for column in range(10)]
    for seed in range(5):
        found = questions(groups, places, 60, random.Random(seed))
        assert len(found) == 60 and len(set(found)) == 60
        rows = {member: row for row, group in enumerate(groups) for member in group}
        pairs = Counter((rows[each.left], rows[each.right]) for each in found)
        assert all(pairs[one, other] == pairs[other, one] == 10 for one, other in [(0, 1), (0, 2), (1, 2)])
        assert {each.left for each in found} | {each.right for each in found} == set(range(6))
        assert {each.place for each in found} == set(places)
    assert len(questions([[0], [1]], places, 60, random.Random(0))) == len(places), "none twice"
    assert len({tuple(questions(groups, places, 9, random.Random(seed))) for seed in range(5)}) == 5


def test_each_seed_of_a_row_is_asked_about_as_often_as_the_others() -> None:
    for one, other, columns, most in [(3, 3, 8, 20), (3, 1, 8, 8), (2, 3, 6, 9), (2, 4, 16, 60), (3, 3, 3, 9)]:
        groups = [list(range(one)), list(range(one, one + other))]
        found = questions(groups, [(1, column) for column in range(columns)], most, random.Random(0))
        times = Counter(run for each in found for run in (each.left, each.right))
        assert len(found) == most
        for group in groups:
            assert max(times[run] for run in group) - min(times[run] for run in group) <= 1
        met = {frozenset((each.left, each.right)) for each in found}
        assert len({(each.place, frozenset((each.left, each.right))) for each in found}) == most
        assert len(met) == min(most, one * other) and len({each.place for each in found}) == min(most, columns)


def test_runs_of_different_pictures_are_not_judged(tmp_path: Path) -> None:
    place = evaluated_runs(tmp_path / "runs")
    scores = json.loads((place / "hidden-0" / "scores.json").read_text())
    for name in ("scores.json", "scores.jsonl"):
        (place / "hidden-0" / name).write_text(json.dumps(scores | {"untranslated": {"l1": 0.9}}))
    comparison = compare(find_runs([str(place)]))
    with pytest.raises(Mistake, match="different pictures"):
        blind(comparison, 60, random.Random(0))


def test_a_judge_who_always_picks_one_gives_it_all_wins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told, key = asked(tmp_path)
    runs = {name: Path(each["run"]).name for name, each in key["pictures"].items()}
    for judge_ in ("ada", "bo"):
        votes = ballot(told, lambda each: "left" if "secret" in runs[each["left"]] else "right", judge_)
        (tmp_path / f"{judge_}.json").write_text(json.dumps(votes))
    (tmp_path / "copy of ada.json").write_text((tmp_path / "ada.json").read_text())
    capsys.readouterr()
    files = [str(tmp_path / name) for name in ("copy of ada.json", "bo.json", "ada.json")]
    (tmp_path / "runs").rename(tmp_path / "moved")  # runs are known by what they are, not by where they stand
    assert run(["compare", str(tmp_path / "moved"), "--json", "--votes", *files]) == 0
    told_back = json.loads(capsys.readouterr().out)
    rates = {row["name"]: row["preferred"] for row in told_back["rows"]}
    count = 2 * len(told["questions"])
    assert (rates["secret-{0,1}"]["rate"], rates["hidden-{0,1}"]["rate"]) == (1.0, 0.0)
    assert (
        rates["secret-{0,1}"]["votes"] == count == told_back["judgement"]["votes"]
        and told_back["judgement"]["judges"] == 2
    )
    assert rates["hidden-{0,1}"]["standing"] == "apart" and rates["secret-{0,1}"]["low"] > 0.5
    for form in (["--csv"], ["--markdown"], [], ["--html", "page.html"]):
        assert run(["compare", str(tmp_path / "moved"), *form, "--votes", *files]) == 0
    assert "preferred" in (tmp_path / "page.html").read_text()


def test_a_session_that_was_saved_twice_counts_as_it_was_last(tmp_path: Path) -> None:
    told, _ = asked(tmp_path)
    first = ballot(told, lambda each: "left", saved="2026-01-01T10")
    first["votes"] = first["votes"][:2]
    second = ballot(told, lambda each: "tie", saved="2026-01-01T11")
    for name, each in (("z", first), ("a", second)):
        (tmp_path / f"{name}.json").write_text(json.dumps(each))
    votes = read_votes([tmp_path / "z.json", tmp_path / "a.json"])
    assert [vote.worth for vote in votes] == [0.5] * len(told["questions"])


def test_votes_without_their_key_or_of_other_runs_are_told(tmp_path: Path) -> None:
    told, _ = asked(tmp_path)
    (tmp_path / "votes.json").write_text(json.dumps(ballot(told, lambda each: "tie")))
    only = compare(find_runs([str(tmp_path / "runs" / "secret-*")])).judged(read_votes([tmp_path / "votes.json"]))
    assert only.judgement is not None and only.judgement.counted == 0
    assert any("not counted" in note for note in only.notes)
    (tmp_path / "ask.key.json").rename(tmp_path / "elsewhere")
    with pytest.raises(Mistake, match="key"):
        read_votes([tmp_path / "votes.json"])
    assert len(read_votes([tmp_path / "votes.json", tmp_path / "elsewhere"])) == len(told["questions"])
    (tmp_path / "bad.json").write_text("[]")
    with pytest.raises(Mistake, match="holds no votes"):
        read_votes([tmp_path / "bad.json"])


def test_the_order_of_votes_does_not_matter() -> None:
    chance = random.Random(0)
    names = {"a": 0, "b": 1, "c": 2, "a2": 0}
    votes = [
        Vote(*chance.sample(sorted(names), 2), chance.choice([0.0, 0.5, 1.0]), chance.choice("xyz")) for _ in range(200)
    ]
    whole = judge(votes, names, 3)
    shuffled = judge(chance.sample(votes, len(votes)), names, 3)
    turned = judge([Vote(vote.other, vote.one, 1 - vote.worth, vote.judge) for vote in votes], names, 3)
    for other in (shuffled, turned):
        assert str(other.rates) == str(whole.rates)
        assert other.strengths == pytest.approx(whole.strengths) and other.counted == whole.counted
    assert sum(rate.mean * rate.n for rate in whole.rates if rate) == pytest.approx(whole.counted), (
        "every vote is one win"
    )


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    n, shares = 40, []
    for truth in (percent / 100 for percent in range(2, 99)):
        chances = {won: comb(n, won) * truth**won * (1 - truth) ** (n - won) for won in range(n + 1)}
        shares.append(sum(chance for won, chance in chances.items() if wilson(won, n)[0] <= truth <= wilson(won, n)[1]))
    assert sum(shares) / len(shares) == pytest.approx(0.95, abs=0.01) and min(shares) > 0.88
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # as statsmodels' proportion_confint says
    assert wilson(0, 5)[0] == pytest.approx(0) and wilson(5, 5)[1] == pytest.approx(1)


def test_strengths_find_again_what_made_the_votes() -> None:
    power = [4.0, 2.0, 1.0]
    won = [[0 if one == other else 1000 * p / (p + q) for other, q in enumerate(power)] for one, p in enumerate(power)]
    found = strengths(won)
    odds = [share / (1 - share) for share in found if share is not None]
    assert [each / odds[2] for each in odds] == pytest.approx(power, rel=0.01)
    assert strengths([[0, 3, 0], [0, 0, 0], [0, 0, 0]])[2] is None


@needed
def test_a_person_judges_with_the_keyboard_and_saves_a_file(tmp_path: Path, chromium: Page) -> None:
    asked(tmp_path, "--questions", "5")
    chromium.complaints.clear()
    chromium.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    chromium.open(tmp_path / "ask.html")
    assert chromium.value("$('asking').hidden")
    chromium.value("$('judge').focus()")
    for letter in "Ada":
        chromium.press(letter)
    chromium.press("Enter")
    assert not chromium.value("$('asking').hidden") and chromium.value("$('count').textContent") == "0 of 5"
    for key in ("ArrowLeft", "ArrowUp", "ArrowLeft", "ArrowRight", "ArrowDown"):
        chromium.press(key)
    assert chromium.value("$('count').textContent") == "3 of 5"
    chromium.open(tmp_path / "ask.html")  # a page that was closed goes on where it was left
    assert chromium.value("$('count').textContent") == "3 of 5"
    chromium.value("document.querySelector('[data-choice=right]').click()")
    chromium.press("ArrowDown")
    assert "thank you, Ada" in chromium.value("$('thanks').textContent")
    chromium.value("$('save').focus()")
    chromium.press("Enter")
    chromium.until("$('saved').textContent !== ''")
    (saved,) = until_there(tmp_path)
    choices = [vote["choice"] for vote in json.loads(saved.read_text())["votes"]]
    assert choices == ["left", "right", "tie", "right", "tie"]
    assert len(read_votes([saved])) == 5
    chromium.value("setTimeout(() => $('another').click())")  # once this is answered: it leaves the page
    chromium.until("document.documentElement?.dataset.ready && !document.getElementById('start').hidden")
    assert chromium.complaints == []


def until_there(folder: Path) -> list[Path]:
    for _ in range(500):
        if found := list(folder.glob("votes-Ada-*.json")):
            return found
        time.sleep(0.02)
    return []


def test_what_a_generator_made_is_judged_without_inputs(tmp_path: Path) -> None:
    """Its evaluation shows rows it made, and one of held-out pictures."""
    told = {"untranslated": None, "training": {"l1": 0.1}}
    for index, name in enumerate(["one", "other"]):
        folder = make_run(tmp_path / name, 0, {"l1": 0.5}, {"model.cycle_weight": float(index)}, told)
        grid(50 + 20 * index, 60 + 20 * index, 220).save(folder / "test.png")
    comparison = compare(find_runs([str(tmp_path)]))
    text, key = blind(comparison, 60, random.Random(0))
    assert {each["row"] for each in key["pictures"].values()} == {0, 1}
    assert text.count('"input": null') == 2 * COLUMNS
