"""The layout of a folder is detected from its file names, and the evidence is reported."""

from pathlib import Path

import pytest

from stylegan_lab.data.folders.layout import Layout, LayoutPart, detect_layout, matched_pairs


def layout_of(*names: str, size: tuple[int, int] | None = (16, 16)) -> Layout:
    return detect_layout([Path(name) for name in names], lambda path: size)


def in_folders(*folders: str, names: tuple[str, ...] = ("1.png", "2.png", "3.png")) -> list[str]:
    return [f"{folder}/{name}" for folder in folders for name in names]


@pytest.mark.parametrize(
    ("names", "data", "parts"),
    [
        (in_folders("trainA", "trainB", "testA", "testB"), "unpaired", ["train A", "train B", "test A", "test B"]),
        (in_folders("train/cat", "train/dog", "train/wild", "val/cat"), "domains",
         ["train cat", "train dog", "train wild", "val cat"]),
        (in_folders("A/train", "B/train", "A/Test", "B/Test"), "paired", ["train A", "train B", "test A", "test B"]),
        (in_folders("cats", "dogs", "foxes"), "domains", ["cats", "dogs", "foxes"]),
        ([*in_folders("contents"), "styles/wave.jpg"], "style", ["contents", "styles"]),
        (in_folders("photos") + in_folders("prints", names=("x.png", "y.png", "z.png")), "unpaired", ["photos", "prints"]),
        (in_folders("labels") + in_folders("photos", names=("1.jpg", "2.jpg", "4.jpg")), "paired", ["labels", "photos"]),
        (["1.png", "2.png", "3.png"], "flat", [""]),
        (in_folders("cats"), "flat", ["cats"]),
        (["before.png", "after.png"], "single_pair", [""]),
    ],
)  # fmt: skip
def test_layouts_are_detected(names: list[str], data: str, parts: list[str]) -> None:
    layout = layout_of(*names)
    assert layout.data == data and [part.name for part in layout.parts] == parts
    assert layout.evidence and sorted(str(path) for part in layout.parts for path in part.files) == sorted(names)


def test_images_twice_as_wide_as_high_are_pairs_if_all_are() -> None:
    names = [f"train/{number}.jpg" for number in range(3)]
    assert layout_of(*names, size=(32, 16)).data == "paired"
    assert detect_layout([Path(name) for name in names], lambda path: (32 - (path.stem == "1"), 16)).data == "flat"
    assert layout_of(*names, size=None).data == "flat"


def test_a_single_outer_folder_is_skipped() -> None:
    layout = layout_of(*in_folders("afhq/train/cat", "afhq/train/dog", "afhq/val/cat", "afhq/val/dog"))
    assert layout.root == Path("afhq") and layout.domains == ("cat", "dog")
    assert layout.parts[0] == LayoutPart(
        "cat", "train", tuple(Path(f"afhq/train/cat/{number}.png") for number in (1, 2, 3))
    )


def test_folders_with_equal_subfolders_are_reported_as_possible_splits() -> None:
    evidence = " ".join(layout_of(*in_folders("ref/cat", "ref/dog", "src/cat", "src/dog")).evidence)
    assert "if these are the domains, rename ref and src to train and test" in evidence


def test_images_outside_the_domain_folders_are_reported() -> None:
    assert (
        "1 image lies outside the folders of the domains"
        in layout_of(*in_folders("cats", "dogs"), "cover.png").evidence
    )


def test_pairs_have_the_same_name_in_the_same_split() -> None:
    parts = layout_of(
        *in_folders("a/train", "b/train", names=("x/1.png", "x/2.png")), "a/test/1.png", "b/test/2.jpg"
    ).parts
    assert list(matched_pairs(parts)) == [
        ("train", (Path("a/train/x/1.png"), Path("b/train/x/1.png"))),
        ("train", (Path("a/train/x/2.png"), Path("b/train/x/2.png"))),
        ("test", (Path("a/test/1.png"), None)),
        ("test", (None, Path("b/test/2.jpg"))),
    ]


def test_names_with_differently_encoded_accents_match() -> None:
    ((_, (a, b)),) = matched_pairs(layout_of("a/caf\u00e9.png", "b/cafe\u0301.png").parts)
    assert a and b
