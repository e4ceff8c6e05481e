"""Errors and warnings about image folders."""

import os
import sys
import traceback
from pathlib import Path

import pytest
import torch
from PIL import Image

from stylegan_lab.cli.main import run
from stylegan_lab.errors import UserError
from tests.data.folders.photos import batches, data_of, photo, photos, training_arguments
from tests.refusals import assert_refused, refused

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names or links cannot be made")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for side in "AB":
        photos(tmp_path / "root" / f"train{side}", 4)
        photos(tmp_path / "root" / f"test{side}", 2)
    return tmp_path / "root"


def truncated_image(path: Path) -> Path:
    """An image with a valid header and truncated pixels."""
    data = photo(path, size=(64, 64)).read_bytes()
    path.write_bytes(data[: len(data) - 30])
    return path


def damaged_image(path: Path) -> Path:
    """An image with a valid header and end, and damaged pixels, which only decoding finds."""
    data = bytearray(photo(path, size=(64, 64)).read_bytes())
    data[48:56] = b"\xff" * 8
    path.write_bytes(data)
    return path


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with refused("data.root_not_set", "data.root=FOLDER"):
        data_of("data=unpaired")
    with refused("data.folder_missing", "nowhere"):
        data_of("data=flat", f"data.root={tmp_path / 'nowhere'}")
    with refused("data.no_images", str(tmp_path), ".bmp", ".jpeg"):
        data_of("data=auto", f"data.root={tmp_path}")
    (tmp_path / "empty").mkdir()
    with refused("data.no_images", str(tmp_path / "empty")):
        data_of("data=unpaired", f"data.a={photos(tmp_path / 'full', 4)}", f"data.b={tmp_path / 'empty'}")


def test_an_empty_domain(root: Path) -> None:
    for path in (root / "trainB").iterdir():
        path.unlink()
    with refused("data.no_training_images", "B", "by folder"):
        data_of("data=unpaired", f"data.root={root}")


def test_a_domain_of_one_image(tmp_path: Path) -> None:
    photos(tmp_path / "a", 1), photos(tmp_path / "b", 8)
    folders = f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}"
    with refused("data.too_few_images", "a has 1", "data.val_fraction=0"):
        data_of("data=unpaired", *folders)
    data = data_of("data=unpaired", *folders, "data.val_fraction=0", "data.test_fraction=0")
    assert len(batches(data)) == 4 and len(data.first_batch("test", 9)["a"]) == 8
    assert any("val and test use training images" in note for note in data.plan_notes)


def test_domains_of_very_different_sizes_cause_a_warning(root: Path) -> None:
    photos(root / "trainB", 40)
    data = data_of("data=unpaired", f"data.root={root}")
    assert any(
        note.startswith("warning: A has 4 training images, B has 40; each image of A is used 10 times")
        for note in data.plan_notes
    )


def test_images_that_must_be_upscaled_cause_a_warning(tmp_path: Path) -> None:
    photos(tmp_path / "a", 20, size=(90, 70)), photos(tmp_path / "b", 3, first=20, size=(300, 300))
    root = f"data.root={tmp_path}"

    def warnings(*arguments: str) -> list[str]:
        data = data_of("data=flat", root, "data.val_fraction=0", "data.test_fraction=0", *arguments)
        assert data.num_samples == 23
        return [note for note in data.plan_notes if "warning" in note]

    (warning,) = warnings("data.size=128", "data.load_size=128")
    assert "20 of 23 training images are smaller than data.size=128 (half of them have at most 70 px" in warning
    assert "; use data.size=64 to avoid upscaling" in warning
    assert warnings("data.size=64", "data.load_size=64") == []


def test_crops_much_smaller_than_the_held_out_images_cause_a_warning(root: Path) -> None:
    """A published data set at a smaller data.size keeps its data.load_size."""

    def warnings(load_size: int) -> list[str]:
        sizes = ["data.size=32", f"data.load_size={load_size}"]
        data = data_of("data=unpaired", f"data.root={root}", "augment=paper", *sizes)
        return [note for note in data.plan_notes if "crops" in note]

    (warning,) = warnings(72)
    assert "data.size=32 px from data.load_size=72, 20% of" in warning and "data.load_size=36" in warning
    assert warnings(36) == warnings(48) == []


@LINUX
def test_broken_links_and_loops_of_links(root: Path) -> None:
    (root / "trainA" / "round").symlink_to(root / "trainA")
    assert data_of("data=unpaired", f"data.root={root}").num_samples == 4
    (root / "trainA" / "gone.png").symlink_to(root / "nothing.png")
    with refused("data.unreadable_images", "trainA/gone.png", "1 file of 13"):
        _ = data_of("data=unpaired", f"data.root={root}").num_samples


@pytest.mark.parametrize("cache", ["true", "false"])
def test_bad_files_are_listed_in_the_error(root: Path, cache: str) -> None:
    for number in range(7):
        (root / "trainA" / f"bad{number}.jpg").write_bytes(b"<html>")
    with refused("data.unreadable_images", f"stylegan-lab data check {root}", "data.bad_files=skip") as error:
        _ = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}").num_samples
    message = str(error.value)
    assert "7 files of 19" in message and message.count(".jpg ") == 5 and "2 more" in message


@pytest.mark.parametrize("cache", ["true", "false"])
def test_bad_files_are_skipped_and_counted(root: Path, cache: str) -> None:
    (root / "trainA" / "000.png").write_bytes(b"")
    (root / "testB" / "000.png").write_bytes(b"")
    data = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}", "data.bad_files=skip")
    assert len(data.training_images[0]) == 3 and batches(data)  # type: ignore[attr-defined]
    assert any(note.startswith("skipped 2 files of 12, which cannot be used") for note in data.plan_notes)
    assert data.first_batch("test", 9)["b"].shape[0] == 2


def test_the_cache_finds_damaged_images_before_training(root: Path) -> None:
    damaged_image(root / "trainA" / "zzz.png")
    arguments = "data=unpaired", f"data.root={root}"
    with refused("data.unreadable_images", "trainA/zzz.png", "1 file of 13"):
        _ = data_of(*arguments, "data.cache=true").num_samples
    assert len(data_of(*arguments, "data.cache=true", "data.bad_files=skip").training_images[0]) == 4  # type: ignore[attr-defined]
    plain = data_of(*arguments, "data.cache=false", "data.batch_size=1")
    with refused("image.unreadable", "zzz.png"):
        batches(plain, 9)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_files_removed_during_training(root: Path, num_workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["data=unpaired", f"data.root={root}", "data.cache=false", f"data.num_workers={num_workers}"]
    strict, skipping, cached = (
        data_of(*arguments),
        data_of(*arguments, "data.bad_files=skip"),
        data_of(*arguments, "data.cache=true"),
    )
    for data in (strict, skipping, cached):
        assert data.num_samples == 4
    (root / "trainA" / "001.png").unlink()
    with pytest.raises((UserError, RuntimeError)) as error:  # torch wraps errors of workers in RuntimeError
        batches(strict)
    assert_refused("".join(traceback.format_exception(error.value)), "image.not_found", "trainA/001.png")
    assert len(batches(skipping)) == 2
    if num_workers == 0:  # the output of workers goes to the streams of the fork server
        assert "001.png does not exist; 1 so far, other images are used instead" in capfd.readouterr().err
    assert len(batches(cached)) == 2  # cached images need no file


def test_training_ends_when_all_images_are_removed(root: Path) -> None:
    data = data_of("data=unpaired", f"data.root={root}", "data.cache=false", "data.bad_files=skip")
    assert data.num_samples == 4
    for path in (root / "trainA").iterdir():
        path.unlink()
    with refused("data.no_readable_images", "4 images"):
        batches(data)


@LINUX
def test_names_in_any_script_and_with_no_valid_encoding(root: Path) -> None:
    for name in ("浮世絵.png", "фото 1.png", "a\nb.png", "😀.png"):
        photo(root / "trainA" / name)
    odd = os.fsencode(root / "trainA") + b"/\xff\xfe.png"
    (root / "trainA" / "000.png").rename(os.fsdecode(odd))
    for cache in ("true", "false"):
        data = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}")
        assert data.num_samples == 8 and len(batches(data)) == 4
    os.truncate(odd, 0)
    with refused("data.unreadable_images", r"\udcff\udcfe.png") as error:
        _ = data_of("data=unpaired", f"data.root={root}").num_samples
    str(error.value).encode("utf-8")


def test_images_without_a_counterpart_are_listed(tmp_path: Path) -> None:
    photos(tmp_path / "a", 10), photos(tmp_path / "b", 17)
    (tmp_path / "a" / "003.png").rename(tmp_path / "a" / "alone.png")
    with refused("data.counterpart_missing", "9 images", "b/003.png", "010.png", "4 more"):
        data_of("data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}")


def test_a_name_with_two_suffixes_is_ambiguous(tmp_path: Path) -> None:
    photos(tmp_path / "root" / "a", 4), photos(tmp_path / "root" / "b", 4)
    (first, *_) = sorted((tmp_path / "root" / "b").iterdir())
    photo(first.with_suffix(".jpg" if first.suffix == ".png" else ".png"))
    with refused("data.counterpart_ambiguous", str(first)):
        data_of("data=paired", f"data.root={tmp_path / 'root'}")


def test_all_faults_of_pairs_are_told_at_once(tmp_path: Path) -> None:
    for side in "ab":
        photos(tmp_path / "root" / side, 6)
    folder = tmp_path / "root" / "b"
    photo(folder / "000.jpg")
    (folder / "001.png").unlink()
    photo(folder / "002.png", size=(50, 16))
    truncated_image(folder / "003.png")
    with refused("data.several_problems") as error:
        data_of("data=paired", f"data.root={tmp_path / 'root'}")
    ambiguous, missing, *bad, sizes = str(error.value).splitlines()
    assert "b/000.jpg" in ambiguous and "a/001.png" in missing
    assert "b/003.png" in "".join(bad) and "b/002.png 50x16" in sizes
    (folder / "000.jpg").unlink(), photo(folder / "001.png")
    with refused("data.several_problems", "003.png", "002.png"):
        _ = data_of("data=paired", f"data.root={tmp_path / 'root'}").training_images  # type: ignore[attr-defined]


def test_counterparts_whose_names_end_in_another_word(tmp_path: Path) -> None:
    for side in "AB":
        for number in range(4):
            photo(tmp_path / "root" / side / f"{number}_{side}.png")
    with refused("data.counterpart_missing", "8 images", "A and in B"):
        data_of("data=paired", f"data.root={tmp_path / 'root'}")


@pytest.mark.parametrize(
    ("kind", "split"), [("jpg", "trainA"), ("png", "trainB"), ("webp", "testA"), ("gif", "trainA")]
)
def test_truncated_images_are_listed_before_training_without_a_cache(root: Path, kind: str, split: str) -> None:
    photo(tmp := root.parent / "whole.png", size=(64, 64))
    with Image.open(tmp) as image:
        image.save(root / split / f"cut.{kind}")
        image.save(root / split / f"longer.{kind}")
    data = (root / split / f"cut.{kind}").read_bytes()
    (root / split / f"cut.{kind}").write_bytes(data[: len(data) * 2 // 3])
    with (root / split / f"longer.{kind}").open("ab") as file:
        file.write(b"a program's own data")
    with refused("data.unreadable_images", f"cut.{kind}", "1 file of 14"):
        _ = data_of("data=unpaired", f"data.root={root}", "data.cache=false").training_images


def test_single_images_among_side_by_side_pairs_are_an_error(tmp_path: Path) -> None:
    photos(tmp_path, 12, size=(32, 16)), photo(tmp_path / "cover.png", size=(32, 32))
    for data in ("paired", "auto"):
        with refused("data.not_side_by_side", "1 of 13", "cover.png is 32x32"):
            assert data_of(f"data={data}", f"data.root={tmp_path}").num_samples
    photos(tmp_path / "others", 12, size=(48, 16)), photo(tmp_path / "others" / "one.png", size=(32, 16))
    assert data_of("data=paired", f"data.root={tmp_path / 'others'}").num_samples > 9, "pairs of any shape, if most are"


@LINUX
def test_pair_names_that_differ_by_case(tmp_path: Path) -> None:
    photos(tmp_path / "a", 4), photos(tmp_path / "b", 4)
    (tmp_path / "a" / "003.png").rename(tmp_path / "a" / "Last.png")
    (tmp_path / "b" / "003.png").rename(tmp_path / "b" / "last.png")
    with refused("data.counterpart_missing", "2 images", "upper and lower case"):
        data_of("data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}")


def test_pairs_of_different_sizes(tmp_path: Path) -> None:
    photos(tmp_path / "a", 4), photos(tmp_path / "b", 4, size=(40, 32))
    arguments = "data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}"
    assert data_of(*arguments).num_samples == 2  # of the same aspect
    photo(tmp_path / "b" / "002.png", size=(16, 20))
    with refused("data.pair_aspects_differ", "a/002.png is 20x16", "b/002.png 16x20"):
        _ = data_of(*arguments).num_samples


def test_a_root_with_another_layout_is_an_error(root: Path, tmp_path: Path) -> None:
    for number in range(6):
        photo(tmp_path / "pairs" / "train" / f"{number}.png", 9, (16, 16), right=99)
        photo(tmp_path / "flat" / f"{number}.png", 9, (16, 16))
    with refused("data.layout_mismatch", "data=unpaired", "data=paired"):
        data_of("data=unpaired", f"data.root={tmp_path / 'pairs'}")
    with refused("data.layout_mismatch", "data=paired", "data=flat"):
        data_of("data=paired", f"data.root={tmp_path / 'flat'}")
    with refused("data.layout_mismatch", "data=domains", "data=flat"):
        data_of("data=domains", f"data.root={tmp_path / 'flat'}")
    with refused("data.layout_mismatch", "data=style", "data=unpaired"):
        data_of("data=style", f"data.root={root}")


def test_list_files_decide_the_splits(root: Path, tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("trainA/000.png\ntrainB/001.png\n")
    data = data_of("data=unpaired", f"data.root={root}", f"data.test_list={tmp_path / 'test.txt'}")
    assert [len(domain) for domain in data.files["train"]] == [5, 5]  # type: ignore[attr-defined]
    assert [domain[0].name for domain in data.files["test"]] == ["000.png", "001.png"]  # type: ignore[attr-defined]


def test_auto_data_that_does_not_fit_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "photos", 6)
    assert run(training_arguments("data=auto", f"data.root={root}")) == 2
    assert_refused(capsys.readouterr().err, "model.data_mismatch", "model=cyclegan", "data=auto")


def test_training_does_not_start_with_bad_files(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "trainA" / "bad.jpg").write_bytes(b"<html>")
    assert run(training_arguments("data=auto", f"data.root={root}")) == 2
    assert_refused(capsys.readouterr().err, "data.unreadable_images", "1 file of 13")
    assert not Path("run").exists()


def test_training_on_folders_is_evaluated(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(training_arguments("data=auto", f"data.root={root}", "data.channels=1")) == 0
    assert "looks like data=unpaired" in capsys.readouterr().out and Path("run/test.png").exists()


def test_the_sample_order_depends_on_the_seed_only(root: Path) -> None:
    one, other = (batches(data_of("data=unpaired", f"data.root={root}", "seed=5")) for _ in range(2))
    assert all(torch.equal(x["a"], y["a"]) for x, y in zip(one, other, strict=True))
