"""Each way in which folders can be wrong has its sentence."""

import os
import sys
from pathlib import Path

import pytest
import torch

from stylegan_lab.cli.main import run
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake
from tests.data.folders.photos import batches, data_of, photo, photos, played

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere such names or links cannot be made")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for side in "AB":
        photos(tmp_path / "root" / f"train{side}", 4)
        photos(tmp_path / "root" / f"test{side}", 2)
    return tmp_path / "root"


def broken(path: Path) -> Path:
    """Its header is good, its pixels are cut short."""
    whole = photo(path, size=(64, 64)).read_bytes()
    path.write_bytes(whole[: len(whole) - 30])
    return path


def test_missing_and_empty_folders(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match=r"data.root=FOLDER is needed: where your pictures are"):
        data_of("data=unpaired")
    with pytest.raises(Mistake, match=r"nowhere does not exist"):
        data_of("data=flat", f"data.root={tmp_path / 'nowhere'}")
    with pytest.raises(Mistake, match=r"holds no pictures \(\.bmp, \.gif, \.jpeg, .*\)"):
        data_of("data=auto", f"data.root={tmp_path}")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Mistake, match=r"empty holds no pictures"):
        data_of("data=unpaired", f"data.a={photos(tmp_path / 'full', 4)}", f"data.b={tmp_path / 'empty'}")


def test_an_empty_domain(root: Path) -> None:
    for path in (root / "trainB").iterdir():
        path.unlink()
    with pytest.raises(Mistake, match=r"B has no pictures for training: by folder, all are held out"):
        data_of("data=unpaired", f"data.root={root}")


def test_one_picture(tmp_path: Path) -> None:
    photos(tmp_path / "a", 1), photos(tmp_path / "b", 8)
    folders = f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}"
    with pytest.raises(
        Mistake, match=r"a has 1 picture; training and val and test need 3 that differ .*data.val_share=0"
    ):
        data_of("data=unpaired", *folders)
    data = data_of("data=unpaired", *folders, "data.val_share=0", "data.test_share=0")
    assert len(batches(data)) == 4 and len(data.first("test", 9)["a"]) == 8
    assert any("val and test show training pictures" in note for note in data.notes)


def test_uneven_domains_are_worth_a_word(root: Path) -> None:
    photos(root / "trainB", 40)
    data = data_of("data=unpaired", f"data.root={root}")
    assert any(
        note.startswith("warning: A has 4 training pictures, B 40; each of A is seen 10 times") for note in data.notes
    )


def test_pictures_that_have_to_be_enlarged_are_worth_a_word(tmp_path: Path) -> None:
    photos(tmp_path / "a", 20, size=(90, 70)), photos(tmp_path / "b", 3, first=20, size=(300, 300))
    root = f"data.root={tmp_path}"

    def told(*given: str) -> list[str]:
        data = data_of("data=flat", root, "data.val_share=0", "data.test_share=0", *given)
        assert data.samples == 23
        return [note for note in data.notes if "warning" in note]

    (warning,) = told("data.size=128", "data.load_size=128")
    assert "20 of 23 training pictures are smaller than data.size=128 (half of all have at most 70 px" in warning
    assert "data.size=64 needs no enlarging" in warning
    assert told("data.size=64", "data.load_size=64") == []


@LINUX
def test_links_that_lead_nowhere_or_round(root: Path) -> None:
    (root / "trainA" / "round").symlink_to(root / "trainA")
    assert data_of("data=unpaired", f"data.root={root}").samples == 4
    (root / "trainA" / "gone.png").symlink_to(root / "nothing.png")
    with pytest.raises(Mistake, match=r"1 file of 13 cannot be used:\n.*trainA/gone.png does not exist"):
        _ = data_of("data=unpaired", f"data.root={root}").samples


@pytest.mark.parametrize("cache", ["true", "false"])
def test_bad_files_are_refused_by_name(root: Path, cache: str) -> None:
    for number in range(7):
        (root / "trainA" / f"bad{number}.jpg").write_bytes(b"<html>")
    with pytest.raises(Mistake) as refused:
        _ = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}").samples
    said = str(refused.value)
    assert "7 files of 19 cannot be used" in said and said.count(".jpg is not a picture") == 5 and "and 2 more" in said
    assert f"stylegan-lab data check {root}" in said and "data.bad_files=skip" in said


@pytest.mark.parametrize("cache", ["true", "false"])
def test_bad_files_are_skipped_and_counted(root: Path, cache: str) -> None:
    (root / "trainA" / "000.png").write_bytes(b"")
    (root / "testB" / "000.png").write_bytes(b"")
    data = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}", "data.bad_files=skip")
    assert len(data.training[0]) == 3 and batches(data)  # type: ignore[attr-defined]
    assert any(note.startswith("skipped 2 files of 12, which cannot be used") for note in data.notes)
    assert data.first("test", 9)["b"].shape[0] == 2


def test_what_only_decoding_shows_is_known_before_training_by_the_cache(root: Path) -> None:
    broken(root / "trainA" / "zzz.png")
    given = "data=unpaired", f"data.root={root}"
    with pytest.raises(Mistake, match=r"1 file of 13 cannot be used:\n.*zzz.png cannot be read: .*truncated"):
        _ = data_of(*given, "data.cache=true").samples
    assert len(data_of(*given, "data.cache=true", "data.bad_files=skip").training[0]) == 4  # type: ignore[attr-defined]
    plain = data_of(*given, "data.cache=false", "data.batch_size=1")
    with pytest.raises(Unreadable, match=r"zzz.png cannot be read"):
        batches(plain, 9)


@pytest.mark.parametrize("workers", [0, 2])
def test_files_that_vanish_during_a_run(root: Path, workers: int, capfd: pytest.CaptureFixture[str]) -> None:
    given = ["data=unpaired", f"data.root={root}", "data.cache=false", f"data.workers={workers}"]
    strict, lenient, kept = data_of(*given), data_of(*given, "data.bad_files=skip"), data_of(*given, "data.cache=true")
    for data in (strict, lenient, kept):
        assert data.samples == 4
    (root / "trainA" / "001.png").unlink()
    with pytest.raises(
        (Mistake, RuntimeError), match=r"001.png does not exist"
    ):  # the latter is what torch makes of it
        batches(strict)
    assert len(batches(lenient)) == 2
    if workers == 0:  # what workers say goes to where their server's words went when it was started
        assert "001.png does not exist; 1 so far, others take their place" in capfd.readouterr().err
    assert len(batches(kept)) == 2  # what was decoded needs no file


def test_when_all_vanish_there_is_an_end(root: Path) -> None:
    data = data_of("data=unpaired", f"data.root={root}", "data.cache=false", "data.bad_files=skip")
    assert data.samples == 4
    for path in (root / "trainA").iterdir():
        path.unlink()
    with pytest.raises(Mistake, match=r"none of the 4 pictures can be read any more"):
        batches(data)


@LINUX
def test_names_in_any_script_and_with_no_valid_encoding(root: Path) -> None:
    for name in ("浮世絵.png", "фото 1.png", "a\nb.png", "😀.png"):
        photo(root / "trainA" / name)
    odd = os.fsencode(root / "trainA") + b"/\xff\xfe.png"
    (root / "trainA" / "000.png").rename(os.fsdecode(odd))
    for cache in ("true", "false"):
        data = data_of("data=unpaired", f"data.root={root}", f"data.cache={cache}")
        assert data.samples == 8 and len(batches(data)) == 4
    os.truncate(odd, 0)
    with pytest.raises(Mistake, match=r"\\udcff\\udcfe.png is empty") as refused:
        _ = data_of("data=unpaired", f"data.root={root}").samples
    str(refused.value).encode("utf-8")


def test_missing_mates_are_listed(tmp_path: Path) -> None:
    photos(tmp_path / "a", 10), photos(tmp_path / "b", 17)
    (tmp_path / "a" / "003.png").rename(tmp_path / "a" / "alone.png")
    with pytest.raises(
        Mistake,
        match=r"9 pictures have no mate of the same name in the other folder: .*b/003.png, .*010.png.* and 4 more",
    ):
        data_of("data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}")


def test_what_is_no_pair_among_pairs_side_by_side_is_refused(tmp_path: Path) -> None:
    photos(tmp_path, 12, size=(32, 16)), photo(tmp_path / "cover.png", size=(32, 32))
    for data in ("paired", "auto"):
        with pytest.raises(Mistake, match="1 of 13 pictures is not twice as wide as high.*cover.png is 32x32. Remove"):
            assert data_of(f"data={data}", f"data.root={tmp_path}").samples
    photos(tmp_path / "others", 12, size=(48, 16)), photo(tmp_path / "others" / "one.png", size=(32, 16))
    assert data_of("data=paired", f"data.root={tmp_path / 'others'}").samples > 9, "pairs of any shape, if most are"


@LINUX
def test_mates_that_differ_by_case(tmp_path: Path) -> None:
    photos(tmp_path / "a", 4), photos(tmp_path / "b", 4)
    (tmp_path / "a" / "003.png").rename(tmp_path / "a" / "Last.png")
    (tmp_path / "b" / "003.png").rename(tmp_path / "b" / "last.png")
    with pytest.raises(Mistake, match=r"2 pictures have no mate.*some names differ only by upper and lower case"):
        data_of("data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}")


def test_mates_of_another_size(tmp_path: Path) -> None:
    photos(tmp_path / "a", 4), photos(tmp_path / "b", 4, size=(40, 32))
    given = "data=paired", f"data.a={tmp_path / 'a'}", f"data.b={tmp_path / 'b'}"
    assert data_of(*given).samples == 2  # of the same aspect
    photo(tmp_path / "b" / "002.png", size=(16, 20))
    with pytest.raises(Mistake, match=r"1 pair of another aspect: .*a/002.png is 20x16 and .*b/002.png 16x20. The two"):
        _ = data_of(*given).samples


def test_roots_that_are_laid_out_otherwise(root: Path, tmp_path: Path) -> None:
    for number in range(6):
        photo(tmp_path / "pairs" / "train" / f"{number}.png", 9, (16, 16), right=99)
        photo(tmp_path / "flat" / f"{number}.png", 9, (16, 16))
    with pytest.raises(Mistake, match=r"data=unpaired needs two domains.*twice as wide as high.*\(try data=paired\)"):
        data_of("data=unpaired", f"data.root={tmp_path / 'pairs'}")
    with pytest.raises(Mistake, match=r"data=paired needs pictures that show a and b side by side.*\(try data=flat\)"):
        data_of("data=paired", f"data.root={tmp_path / 'flat'}")
    with pytest.raises(Mistake, match=r"data=domains needs a folder for each domain.*\(try data=flat\)"):
        data_of("data=domains", f"data.root={tmp_path / 'flat'}")
    with pytest.raises(Mistake, match=r"data=style needs folders contents and styles.*\(try data=unpaired\)"):
        data_of("data=style", f"data.root={root}")


def test_lists_decide_where_they_are_given(root: Path, tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text("trainA/000.png\ntrainB/001.png\n")
    data = data_of("data=unpaired", f"data.root={root}", f"data.test_list={tmp_path / 'test.txt'}")
    assert [len(domain) for domain in data.files["train"]] == [5, 5]  # type: ignore[attr-defined]
    assert [domain[0].name for domain in data.files["test"]] == ["000.png", "001.png"]  # type: ignore[attr-defined]


def test_a_model_that_does_not_take_what_auto_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = photos(tmp_path / "photos", 6)
    assert run(played("data=auto", f"data.root={root}")) == 2
    assert "model=cyclegan needs two unpaired domains; data=auto has pictures" in capsys.readouterr().err


def test_a_training_on_bad_files_does_not_begin(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "trainA" / "bad.jpg").write_bytes(b"<html>")
    assert run(played("data=auto", f"data.root={root}")) == 2
    assert "1 file of 13 cannot be used" in capsys.readouterr().err and not Path("run").exists()


def test_a_training_on_folders_is_scored(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(played("data=auto", f"data.root={root}", "data.channels=1")) == 0
    assert "looks like data=unpaired" in capsys.readouterr().out and Path("run/test.png").exists()


def test_the_order_of_a_seed_is_kept(root: Path) -> None:
    one, other = (batches(data_of("data=unpaired", f"data.root={root}", "seed=5")) for _ in range(2))
    assert all(torch.equal(x["a"], y["a"]) for x, y in zip(one, other, strict=True))
