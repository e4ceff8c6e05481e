from pathlib import Path, PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as some

from stylegan_lab.data.folders.splitting import duplicate_key, split_by_fraction, split_by_lists
from tests.refusals import refused

FRACTIONS = {"val": 0.1, "test": 0.2}


@pytest.mark.parametrize(
    "name",
    ["img_001.jpg", "IMG_001 (copy).jpg", "img_001_2.png", "img_001 (2).jpg", "img_001 - Copy.JPG", "img_001~2.webp",
     "img_001@2x.png", "img_001-1024x768.jpg", "img_001_edited.jpg", "img_001 - Copy (3).jpg", "else/img_001.gif"],
)  # fmt: skip
def test_copies_have_the_key_of_the_original(name: str) -> None:
    assert duplicate_key(PurePath(name)) == "img_001"


@pytest.mark.parametrize("name", ["img_002.jpg", "img_0011.jpg", "img_1.jpg", "copy.jpg", "dog_001.jpg", "(1).jpg"])
def test_other_images_have_other_keys(name: str) -> None:
    assert duplicate_key(PurePath(name)) not in ("img_001", "")


@given(some.lists(some.integers(0, 400), min_size=4, unique=True), some.integers(0, 5))
def test_copies_are_never_in_two_splits_and_no_image_is_lost(numbers: list[int], seed: int) -> None:
    paths = [PurePath(f"{number // 2:03}{'' if number % 2 else ' (copy)'}.png") for number in numbers]
    if len({duplicate_key(path) for path in paths}) < 3:
        return
    splits = split_by_fraction(paths, FRACTIONS, seed)
    seen = [{duplicate_key(path) for path in members} for members in splits.values()]
    assert sum(map(len, seen)) == len(set.union(*seen))
    assert sorted(path for members in splits.values() for path in members) == sorted(paths)
    assert all(splits.values())


def test_splits_have_the_requested_fractions() -> None:
    paths = [PurePath(f"{number}.png") for number in range(200)]
    splits = split_by_fraction(paths, FRACTIONS, 0)
    assert {split: len(members) for split, members in splits.items()} == {"train": 140, "val": 20, "test": 40}
    assert split_by_fraction(paths, FRACTIONS, 0) == splits != split_by_fraction(paths, FRACTIONS, 1)
    assert split_by_fraction(paths, {"val": 0, "test": 0}, 0)["train"] == paths


def test_a_new_image_moves_few_others() -> None:
    paths = [PurePath(f"{number}.png") for number in range(100)]
    before, after = (
        split_by_fraction(paths, FRACTIONS, 0),
        split_by_fraction([*paths, PurePath("new.png")], FRACTIONS, 0),
    )
    assert len({*after["test"]} - {*before["test"]}) <= 2


def test_second_numbers_do_not_mark_copies_if_all_names_have_them() -> None:
    splits = split_by_fraction([PurePath(f"photo_2020_{number}.png") for number in range(10)], FRACTIONS, 0)
    assert all(splits.values())


def test_too_few_images_are_an_error() -> None:
    with refused("data.too_few_images", "trainA has 1"):
        split_by_fraction([PurePath("a.png")], FRACTIONS, 0, "trainA")
    with refused("data.too_few_images", "all has 2"):
        split_by_fraction([PurePath("a.png"), PurePath("b.png")], FRACTIONS, 0, "all")
    with refused("data.too_few_images", "3 images", "count as 1"):
        split_by_fraction([PurePath("a.png"), PurePath("a (1).png"), PurePath("a (2).png")], FRACTIONS, 0)


def test_list_files_decide_the_splits(tmp_path: Path) -> None:
    paths = {Path(f"root/{number}.png"): [f"{number}.png", f"root/{number}.png"] for number in range(5)}
    (tmp_path / "test.txt").write_text("# held out\n3.png\n\n./root/4.png\r\n")
    splits = split_by_lists(paths, {"test": tmp_path / "test.txt"})
    assert [path.stem for path in splits["train"]] == ["0", "1", "2"]
    assert [path.stem for path in splits["test"]] == ["3", "4"]
    (tmp_path / "train.txt").write_text("0.png\n")
    assert [len(members) for members in split_by_lists(paths, {"train": tmp_path / "train.txt"}).values()] == [1, 0, 4]


def test_list_files_with_unknown_or_contradictory_names_are_errors(tmp_path: Path) -> None:
    paths = {Path("root/a.png"): ["a.png"]}
    (tmp_path / "test.txt").write_text("a.png\nb.png\nc.png\nd.png\ne.png\n")
    with refused("data.listed_image_missing", "test.txt", "b.png, c.png, d.png", "1 more"):
        split_by_lists(paths, {"test": tmp_path / "test.txt"})
    (tmp_path / "test.txt").write_text("a.png\n")
    with refused("data.image_in_two_lists", "a.png", "data.train_list", "data.test_list"):
        split_by_lists(paths, {"train": tmp_path / "test.txt", "test": tmp_path / "test.txt"})
    with refused("data.list_unreadable", "nowhere.txt"):
        split_by_lists(paths, {"test": tmp_path / "nowhere.txt"})
