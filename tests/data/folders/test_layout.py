"""A folder's names tell what it is for: each layout is recognised, with its splits, and says by what."""

from pathlib import Path

import pytest

from stylegan_lab.data.folders.layout import Layout, Part, mates, recognise


def seen(*names: str, size: tuple[int, int] | None = (16, 16)) -> Layout:
    return recognise([Path(name) for name in names], lambda path: size)


def each(*folders: str, names: tuple[str, ...] = ("1.png", "2.png", "3.png")) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]


@pytest.mark.parametrize(
    ("names", "data", "parts"),
    [
        (each("trainA", "trainB", "testA", "testB"), "unpaired", ["train A", "train B", "test A", "test B"]),
        (each("train/cat", "train/dog", "train/wild", "val/cat"), "domains", ["train cat", "train dog", "train wild", "val cat"]),
        (each("A/train", "B/train", "A/Test", "B/Test"), "paired", ["train A", "train B", "test A", "test B"]),
        (each("cats", "dogs", "foxes"), "domains", ["cats", "dogs", "foxes"]),
        ([*each("contents"), "styles/wave.jpg"], "style", ["contents", "styles"]),
        (each("photos") + each("prints", names=("x.png", "y.png", "z.png")), "unpaired", ["photos", "prints"]),
        (each("labels") + each("photos", names=("1.jpg", "2.jpg", "4.jpg")), "paired", ["labels", "photos"]),
        (["1.png", "2.png", "3.png"], "flat", [""]),
        (each("cats"), "flat", ["cats"]),
        (["before.png", "after.png"], "single_pair", [""]),
    ],
)  # fmt: skip
def test_layouts_are_recognised(names: list[str], data: str, parts: list[str]) -> None:
    layout = seen(*names)
    assert layout.data == data and [part.name for part in layout.parts] == parts
    assert layout.evidence and sorted(str(path) for part in layout.parts for path in part.files) == sorted(names)


def test_pictures_twice_as_wide_as_high_are_pairs_if_all_are() -> None:
    names = [f"train/{number}.jpg" for number in range(3)]
    assert seen(*names, size=(32, 16)).data == "paired"
    assert recognise([Path(name) for name in names], lambda path: (32 - (path.stem == "1"), 16)).data == "flat"
    assert seen(*names, size=None).data == "flat"


def test_what_lies_in_one_folder_is_looked_at_from_there() -> None:
    layout = seen(*each("afhq/train/cat", "afhq/train/dog", "afhq/val/cat", "afhq/val/dog"))
    assert layout.below == Path("afhq") and layout.domains == ("cat", "dog")
    assert layout.parts[0] == Part("cat", "train", tuple(Path(f"afhq/train/cat/{number}.png") for number in (1, 2, 3)))


def test_folders_of_the_same_folders_are_said_to_be_splits() -> None:
    evidence = " ".join(seen(*each("ref/cat", "ref/dog", "src/cat", "src/dog")).evidence)
    assert "if these are the domains, rename ref and src to train and test" in evidence


def test_what_lies_beside_the_folders_is_said_to() -> None:
    assert "1 picture lies beside the folders, in none of them" in seen(*each("cats", "dogs"), "cover.png").evidence


def test_mates_have_the_same_name_in_the_same_split() -> None:
    parts = seen(*each("a/train", "b/train", names=("x/1.png", "x/2.png")), "a/test/1.png", "b/test/2.jpg").parts
    assert list(mates(parts)) == [
        ("train", (Path("a/train/x/1.png"), Path("b/train/x/1.png"))),
        ("train", (Path("a/train/x/2.png"), Path("b/train/x/2.png"))),
        ("test", (Path("a/test/1.png"), None)),
        ("test", (None, Path("b/test/2.jpg"))),
    ]


def test_accents_written_in_two_ways_are_mates() -> None:
    ((_, (a, b)),) = mates(seen("a/caf\u00e9.png", "b/cafe\u0301.png").parts)
    assert a and b
