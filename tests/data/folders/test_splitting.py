from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stylegan_lab.data.folders.splitting import by_lists, by_share, likeness
from stylegan_lab.mistake import Mistake

SHARES = {"val": 0.1, "test": 0.2}


@pytest.mark.parametrize(
    "name",
    ["img_001.jpg", "IMG_001 (copy).jpg", "img_001_2.png", "img_001 (2).jpg", "img_001 - Copy.JPG", "img_001~2.webp",
     "img_001@2x.png", "img_001-1024x768.jpg", "img_001_edited.jpg", "img_001 - Copy (3).jpg", "else/img_001.gif"],
)  # fmt: skip
def test_copies_are_alike(name: str) -> None:
    assert likeness(PurePath(name)) == "img_001"


@pytest.mark.parametrize("name", ["img_002.jpg", "img_0011.jpg", "img_1.jpg", "copy.jpg", "dog_001.jpg", "(1).jpg"])
def test_others_are_not(name: str) -> None:
    assert likeness(PurePath(name)) not in ("img_001", "")


@given(some.lists(some.integers(0, 400), min_size=4, unique=True), some.integers(0, 5))
def test_no_likeness_is_in_two_splits_and_nothing_is_lost(numbers: list[int], seed: int) -> None:
    paths = [PurePath(f"{number // 2:03}{'' if number % 2 else ' (copy)'}.png") for number in numbers]
    if len({likeness(path) for path in paths}) < 3:
        return
    splits = by_share(paths, SHARES, seed)
    seen = [{likeness(path) for path in members} for members in splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    assert sorted(path for members in splits.values() for path in members) == sorted(paths)
    assert all(splits.values())


def test_shares_are_kept() -> None:
    paths = [PurePath(f"{number}.png") for number in range(200)]
    splits = by_share(paths, SHARES, 0)
    assert {split: len(members) for split, members in splits.items()} == {"train": 140, "val": 20, "test": 40}
    assert by_share(paths, SHARES, 0) == splits != by_share(paths, SHARES, 1)
    assert by_share(paths, {"val": 0, "test": 0}, 0)["train"] == paths


def test_a_new_picture_moves_few_others() -> None:
    paths = [PurePath(f"{number}.png") for number in range(100)]
    before, after = by_share(paths, SHARES, 0), by_share([*paths, PurePath("new.png")], SHARES, 0)
    assert len({*after["test"]} - {*before["test"]}) <= 2


def test_second_numbers_are_no_marks_where_all_names_have_them() -> None:
    splits = by_share([PurePath(f"photo_2020_{number}.png") for number in range(10)], SHARES, 0)
    assert all(splits.values())


def test_too_few_are_told_of() -> None:
    with pytest.raises(Mistake, match="trainA has 1 picture; training and val and test need 3 that differ"):
        by_share([PurePath("a.png")], SHARES, 0, "trainA")
    with pytest.raises(Mistake, match="has 3 pictures, all alike by name"):
        by_share([PurePath("a.png"), PurePath("a (1).png"), PurePath("a (2).png")], SHARES, 0)


def test_lists_say_which(tmp_path: Path) -> None:
    paths = {Path(f"root/{number}.png"): [f"{number}.png", f"root/{number}.png"] for number in range(5)}
    (tmp_path / "test.txt").write_text("# held out\n3.png\n\n./root/4.png\r\n")
    splits = by_lists(paths, {"test": tmp_path / "test.txt"})
    assert [path.stem for path in splits["train"]] == ["0", "1", "2"]
    assert [path.stem for path in splits["test"]] == ["3", "4"]
    (tmp_path / "train.txt").write_text("0.png\n")
    assert [len(members) for members in by_lists(paths, {"train": tmp_path / "train.txt"}).values()] == [1, 0, 4]


def test_lists_that_do_not_fit_are_told_of(tmp_path: Path) -> None:
    paths = {Path("root/a.png"): ["a.png"]}
    (tmp_path / "test.txt").write_text("a.png\nb.png\nc.png\nd.png\ne.png\n")
    with pytest.raises(Mistake, match=r"test.txt names b.png, c.png, d.png and 1 more that are not there"):
        by_lists(paths, {"test": tmp_path / "test.txt"})
    (tmp_path / "test.txt").write_text("a.png\n")
    with pytest.raises(Mistake, match=r"a.png is in data.train_list and in data.test_list"):
        by_lists(paths, {"train": tmp_path / "test.txt", "test": tmp_path / "test.txt"})
    with pytest.raises(Mistake, match=r"nowhere.txt cannot be read: No such file"):
        by_lists(paths, {"test": tmp_path / "nowhere.txt"})
