"""Each thing that can be found in a folder of pictures, found and told in its sentence; and nothing where nothing is."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from stylegan_lab.checks import choices_that
from stylegan_lab.cli import data_check
from stylegan_lab.conf_dir import CONF
from stylegan_lab.data.folders import checking, findings, looking, looks, strangers
from stylegan_lab.data.folders.checking import Report, check
from stylegan_lab.data.folders.findings import Finding
from stylegan_lab.data.folders.layout import ENOUGH
from stylegan_lab.data.folders.looks import Bad, Large, Seen, look_at
from stylegan_lab.data.folders.telling import command
from stylegan_lab.images.batch import Domains, Labelled, Pair, Plain, Stylized, Unpaired, serves
from stylegan_lab.images.opening import MOST_PIXELS
from stylegan_lab.mistake import Mistake

ROOT = Path("photos")


def look_here(paths: Sequence[Path], advance: Callable[[int], None]) -> dict[Path, Seen | Bad]:
    """Without other processes, which take seconds to start."""
    advance(len(paths))
    return {path: look for path in paths if not isinstance(look := look_at(path), Large)}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "look_at_all", look_here)


def picture(name: str, width: int = 16, height: int = 16, mode: str = "RGB", **options: Any) -> Path:
    """Of noise that its name decides, so that no two are alike."""
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "little"))
    noise = Image.fromarray(chance.integers(0, 256, (height, width, 3), dtype=np.uint8))
    noise.convert(mode).save(path, **options)
    return path


def found(kind: str) -> Finding:
    (finding,) = (finding for finding in check(ROOT).findings if finding.kind == kind)
    return finding


def items(finding: Finding) -> list[tuple[list[str], str]]:
    return [([str(path) for path in item.files], item.note) for item in finding.items]


def unpaired() -> None:
    for place in ("trainA", "trainB", "testA", "testB"):
        for number in range(3):
            picture(f"{place}/{place}_{number}.png")


def test_in_a_good_folder_nothing_is_found() -> None:
    unpaired()
    report = check(ROOT)
    assert report.findings == [] and report.clean and report.layout.data == "unpaired"
    first = report.summaries[0]
    assert (first.split, first.domain, first.pictures, first.bad) == ("train", "A", 3, 0)
    assert first.modes == {"RGB": 3} and first.formats == {"PNG": 3} and first.median == (16, 16)


def test_every_bad_file_is_named_with_its_reason_in_order() -> None:
    unpaired()
    (ROOT / "trainA" / "a.png").touch()
    (ROOT / "testB" / "z.jpg").write_text("<html>not found</html>")
    cut = picture("trainB/cut.png", 64, 64)
    cut.write_bytes(cut.read_bytes()[:500])
    finding = found("bad")
    assert finding.serious and finding.says.startswith("3 bad pictures; a training refuses to begin with them")
    assert [files for files, _ in items(finding)] == [["testB/z.jpg"], ["trainA/a.png"], ["trainB/cut.png"]]
    assert [note for _, note in items(finding)][:2] == [
        "is not a picture that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)",
        "is empty",
    ]


def test_a_pixel_bomb_is_refused_from_its_header() -> None:
    unpaired()
    bomb = picture("trainA/bomb.bmp")
    header = bytearray(bomb.read_bytes())
    header[18:26] = (12_000).to_bytes(4, "little") * 2
    bomb.write_bytes(header)
    assert items(found("bad")) == [(["trainA/bomb.bmp"], "has 12000x12000 pixels; at most 100,000,000 are read")]


def test_the_same_file_twice_in_a_domain_is_a_duplicate() -> None:
    unpaired()
    (ROOT / "trainA" / "copy.png").write_bytes((ROOT / "trainA" / "trainA_0.png").read_bytes())
    finding = found("duplicates")
    assert finding.says == "1 picture more than once in the same domain, seen that much more often in training"
    assert items(finding) == [(["trainA/copy.png", "trainA/trainA_0.png"], "the same file")]
    assert check(ROOT).clean


def test_without_folders_for_splits_a_duplicate_may_leak() -> None:
    for name in ("a.png", "b.png", "c.png"):
        picture(name)
    (ROOT / "d.png").write_bytes((ROOT / "a.png").read_bytes())
    assert found("duplicates").says.endswith("; a split by chance may put one copy into train and another into test")


def test_the_same_picture_saved_again_in_another_split_is_a_leak() -> None:
    unpaired()
    Image.open(ROOT / "trainA" / "trainA_0.png").save(ROOT / "testA" / "again.webp", lossless=True)
    finding = found("leaks")
    assert finding.serious
    assert finding.says == "1 picture in more than one split, so that scores are taken on what was trained on"
    assert items(finding) == [(["trainA/trainA_0.png", "testA/again.webp"], "the same pixels, saved again")]


def test_a_picture_in_two_domains_is_told() -> None:
    unpaired()
    (ROOT / "trainB" / "x.png").write_bytes((ROOT / "trainA" / "trainA_0.png").read_bytes())
    assert found("in_two_domains").says == "1 picture in more than one domain"


@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_pictures_that_only_alpha_or_depth_tells_apart_are_no_duplicates(mode: str) -> None:
    unpaired()
    for number in range(2):
        if mode == "RGBA":
            pixels = np.full((16, 16, 4), 255, dtype=np.uint8)
            pixels[:8, :, 3] = number
        else:
            pixels = np.full((16, 16), number, dtype=np.uint16)
        Image.fromarray(pixels).save(ROOT / "trainA" / f"{number}.png")
    assert not [finding for finding in check(ROOT).findings if finding.kind == "duplicates"]


@pytest.mark.parametrize(
    ("name", "broken", "seen_by"),
    [
        ("_digest_of_pixels", lambda pixels: "always the same", test_in_a_good_folder_nothing_is_found),
        ("_digest_of_pixels", id, test_the_same_file_twice_in_a_domain_is_a_duplicate),
        ("_digest_of_file", lambda path: path, test_the_same_file_twice_in_a_domain_is_a_duplicate),
        ("with_alpha", lambda picture: False, lambda: test_pictures_that_only_alpha_or_depth_tells_apart_are_no_duplicates("RGBA")),
        ("decode", lambda *_, **__: np.zeros((1, 1, 3)), test_every_bad_file_is_named_with_its_reason_in_order),
    ],
)  # fmt: skip
def test_a_check_that_is_broken_is_seen_to_be(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any], seen_by: Callable[[], None]
) -> None:
    monkeypatch.setattr(looks, name, broken)
    with pytest.raises((AssertionError, ValueError)):
        seen_by()


def pairs() -> None:
    for number in range(5):
        picture(f"train/edges/{number}.png")
        picture(f"train/photos/{number}.jpg")


def test_two_folders_of_the_same_names_are_pairs() -> None:
    pairs()
    report = check(ROOT)
    assert report.clean and report.layout.data == "paired"
    assert "two folders of pictures, edges, photos, with 5 of 5 names in both: true pairs" in report.layout.evidence


def test_missing_mates_are_named_on_both_sides() -> None:
    pairs()
    picture("train/edges/more.png")
    picture("train/photos/other.jpg")
    finding = found("missing_mates")
    assert finding.serious
    assert finding.says == "2 pictures without a mate; give the mate the same name, or remove what is alone"
    assert items(finding) == [
        (["train/edges/more.png"], "has no mate in train photos"),
        (["train/photos/other.jpg"], "has no mate in train edges"),
    ]


def test_two_that_could_be_the_mate_are_named() -> None:
    pairs()
    picture("train/photos/1.png")
    finding = found("many_mates")
    assert finding.serious and items(finding) == [(["train/photos/1.jpg", "train/photos/1.png"], "")]
    assert finding.says == "1 name with several suffixes in one folder, so that it is not clear which is the mate"


def test_pairs_of_two_sizes_are_named() -> None:
    pairs()
    picture("train/photos/3.jpg", 20, 16)
    finding = found("pair_sizes")
    assert finding.serious and items(finding) == [(["train/edges/3.png", "train/photos/3.jpg"], "16x16 and 20x16")]


def test_a_pair_of_twice_the_same_picture_is_told() -> None:
    pairs()
    for place in ("edges", "photos"):
        Image.new("RGB", (16, 16)).save(ROOT / "train" / place / "same.png")
    assert found("pairs_alike").says == "1 pair of twice the same picture"


def test_halves_side_by_side_are_recognised() -> None:
    for number in range(3):
        picture(f"train/{number}.jpg", 32, 16)
    report = check(ROOT)
    assert report.clean and report.layout.data == "paired"
    assert report.layout.evidence[0].startswith("pictures twice as wide as high")


def test_a_copy_by_its_name_in_another_split_is_told() -> None:
    unpaired()
    picture("trainA/beach.png"), picture("testA/beach (2).png"), picture("testB/beach - Copy.png")
    picture("trainA/7.png"), picture("testA/7.png")  # numbered alike, as any two splits may be
    finding = found("names_alike")
    assert (
        finding.says == "1 picture in one split whose copy, by its name, is in another; see whether they show the same"
    )
    assert items(finding) == [(["trainA/beach.png", "testA/beach (2).png"], "")]


def test_what_is_no_pair_among_pairs_side_by_side_is_named() -> None:
    for number in range(ENOUGH):
        picture(f"{number:02d}.png", 16, 8)
    picture("alone.png", 8, 8), picture("00_first.png", 8, 8)
    finding = found("pair_sizes")
    assert finding.serious and items(finding) == [(["00_first.png"], "8x8"), (["alone.png"], "8x8")]
    assert (
        check(ROOT)
        .layout.evidence[0]
        .startswith("pictures twice as wide as high (but 1 of the first 24), as pairs are")
    )
    assert finding.says == "2 pictures not twice as wide as high, as the others are: no pair, or one of another shape"


def test_names_that_differ_by_case_or_accents_are_told() -> None:
    unpaired()
    for name in ("Cat.png", "cat.PNG", "caf\u00e9.png", "cafe\u0301.png"):
        picture(f"trainA/{name}")
    finding = found("case")
    assert not finding.serious and finding.says.startswith("2 names written in two ways")
    assert [len(files) for files, _ in items(finding)] == [2, 2]


def test_a_suffix_that_says_another_format_is_told() -> None:
    unpaired()
    picture("trainA/x.jpg", format="PNG")
    assert items(found("suffixes")) == [(["trainA/x.jpg"], "holds PNG")]


def test_gray_pictures_among_coloured_ones_are_told() -> None:
    unpaired()
    picture("trainA/gray.png", mode="L")
    finding = found("modes")
    assert finding.says.startswith("pictures of 2 modes (12 RGB, 1 gray); all are read as RGB")
    assert items(finding) == [(["trainA/gray.png"], "gray")]


def test_pictures_that_a_camera_turned_are_counted_and_measured_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture("a.jpg", 24, 16, exif=exif)
    picture("b.jpg", 24, 16), picture("c.jpg", 24, 16)
    report = check(ROOT)
    assert report.summaries[0].turned == 1 and report.summaries[0].sizes == 2
    assert found("turned").says == "1 picture that EXIF says to turn; they are read upright, as viewers show them"


def test_a_domain_much_smaller_than_another_is_told() -> None:
    for number in range(23):
        picture(f"a/a{number}.png")
    picture("b/b.png")
    assert found("unbalanced").says == "a has 23 pictures, b only 1; those few are soon learnt by heart"


def test_what_is_no_picture_is_passed_over_and_told() -> None:
    unpaired()
    (ROOT / "notes.txt").write_text("mine")
    picture("trainA/photo", format="JPEG")
    finding = found("other_files")
    assert finding.says == (
        "2 other files (1 .txt, 1 without a suffix) passed over; trainA/photo holds JPEG: name it .jpg to have it read"
    )
    assert check(ROOT).clean


def test_links_are_followed_once_and_broken_ones_are_bad() -> None:
    unpaired()
    (ROOT / "trainA" / "loop").symlink_to(ROOT.absolute())
    (ROOT / "trainA" / "gone.png").symlink_to("nowhere.png")
    report = check(ROOT)
    assert sum(summary.pictures for summary in report.summaries) == 13
    assert items(found("bad")) == [(["trainA/gone.png"], "is a link to what does not exist")]


@pytest.mark.parametrize(
    ("prepare", "sentence"),
    [
        (lambda: None, "photos does not exist; give a folder of pictures"),
        (ROOT.touch, "photos is a file; give a folder of pictures"),
        (ROOT.mkdir, r"photos holds no pictures \(\.bmp, .*\)$"),
        (lambda: (ROOT.mkdir(), (ROOT / "a.zip").write_bytes(b"PK\3\4")), r"1 other file \(1 \.zip\) .*unpack it"),
    ],
)
def test_where_there_is_nothing_to_check_it_is_said(prepare: Callable[[], Any], sentence: str) -> None:
    prepare()
    with pytest.raises(Mistake, match=sentence):
        check(ROOT)


def test_text_and_document_tell_every_finding_and_the_code_tells_whether_there_is_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unpaired()
    assert data_check.main([str(ROOT)]) == 0
    assert "nothing to mend" in capsys.readouterr().out
    (ROOT / "trainA" / "a.png").touch()
    picture("trainA/gray.png", mode="L")
    assert data_check.main([str(ROOT)]) == 1
    text = capsys.readouterr().out
    assert data_check.main([str(ROOT), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1 and not document["clean"] and document["layout"]["data"] == "unpaired"
    assert {finding["kind"] for finding in document["findings"]} == {"bad", "modes"}
    for finding in document["findings"]:
        assert finding["says"] in text
        assert all(name in text for item in finding["items"] for name in (*item["files"], item["note"]))
    for fit in document["fits"]:
        assert f"data={fit['data']} " in text and all(model in text for model in fit["models"])
    assert document["fits"][0]["command"] in text


def test_names_in_any_script_and_of_any_bytes_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    unpaired()
    odd = [b"\xff\xfe.png", "浮世絵.png".encode(), "می‌خواهم.png".encode(), b"two\nlines\x1b[31m.png", b'it\'s "so".png']
    for name in odd:
        Path("photos", "trainA", os.fsdecode(name)).touch()
    assert data_check.main([str(ROOT)]) == 1
    text = capsys.readouterr().out
    assert data_check.main([str(ROOT), "--json"]) == 1
    names = {
        name
        for finding in json.loads(capsys.readouterr().out)["findings"]
        for item in finding["items"]
        for name in item["files"]
    }
    assert names == {
        "trainA/" + name
        for name in (r"\udcff\udcfe.png", "浮世絵.png", "می‌خواهم.png", r"two\nlines\x1b[31m.png", 'it\'s "so".png')
    }
    assert all(name in text for name in names) and "\x1b" not in text


def test_bad_files_are_told_whole_and_the_rest_in_short(capsys: pytest.CaptureFixture[str]) -> None:
    unpaired()
    for number in range(30):
        (ROOT / "trainA" / f"bad{number}.png").touch()
        picture(f"trainB/gray{number}.png", mode="L")
    data_check.main([str(ROOT)])
    text = capsys.readouterr().out
    assert text.count("is empty") == 30
    assert "and 2 more; --json names them all" in text  # RGB is rarer than gray, so that it is what is named


def test_a_folder_of_any_name_stands_in_the_command_as_hydra_reads_it() -> None:
    layout = checking.recognise([Path("a/1.png"), Path("b/2.png")], lambda path: None)
    report = Report(Path("my photos, 2nd=best"), layout, [], [])
    assert command(report, "unpaired", "cyclegan").endswith(""" 'data.root="my photos, 2nd=best"'""")
    assert command(Report(Path("photos"), layout, [], []), "unpaired", "cyclegan").endswith(" data.root=photos")


MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "WEBP": ["RGB", "RGBA", "L"],
    "TIFF": ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "GIF": ["1", "L", "P", "RGB", "RGBA"],
}


@given(st.data())
@settings(deadline=None, max_examples=80, database=None)
def test_what_pillow_writes_is_never_called_bad(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(MODES)))
    mode = data.draw(st.sampled_from(MODES[kind]))
    width, height = data.draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    options: dict[str, Any] = {}
    if kind == "TIFF":
        options["compression"] = data.draw(st.sampled_from(["raw", "tiff_lzw", "tiff_deflate", "packbits"]))
    if kind == "JPEG":
        options = {"quality": data.draw(st.integers(1, 100)), "progressive": data.draw(st.booleans())}
    if data.draw(st.booleans()):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = data.draw(st.integers(1, 8))
    bits = {"1": (width + 7) // 8, "I;16": 2 * width}
    length = height * bits.get(mode, width * len(Image.new(mode, (1, 1)).getbands()))
    noise = np.random.default_rng(data.draw(st.integers(0, 99))).bytes(length)
    path = tmp_path_factory.mktemp("any") / "x"
    Image.frombytes(mode, (width, height), noise).save(path, format=kind, **options)
    assert isinstance(look_at(path), Seen)


def test_a_file_that_kills_or_stalls_its_reader_is_one_bad_file_more(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [picture(f"{number}.png") for number in range(6)]
    monkeypatch.setattr(looking, "look_at", look_nastily)
    seen = looking.look_at_all(paths, patience=2.0)
    assert seen[paths[2]] == Bad("ends the process that reads it (SIGSEGV)")
    assert seen[paths[4]] == Bad("is not read within 2 seconds")
    assert all(isinstance(seen[path], Seen) for path in (paths[0], paths[1], paths[3], paths[5]))


def look_nastily(path: Path, most_pixels: int = MOST_PIXELS) -> Any:
    if path.name == "2.png":
        os.kill(os.getpid(), 11)
    if path.name == "4.png":
        time.sleep(60)
    return look_at(path, most_pixels)


def test_large_pictures_are_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(looking, "LARGE", 300)
    paths = [picture("small.png"), picture("large.png", 20, 20)]
    told: list[int] = []
    seen = looking.look_at_all(paths, told.append)
    assert [look.size for look in seen.values() if isinstance(look, Seen)] == ["16x16", "20x20"] and sum(told) == 2


def test_a_check_starts_without_torch() -> None:
    """Which would take longer to load than most folders to read, once for each process."""
    code = "import sys, stylegan_lab.cli.data_check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_explains_every_kind_of_finding() -> None:
    page = (Path(__file__).parents[3] / "docs" / "checking-data.md").read_text(encoding="utf-8")
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (findings, strangers))
    kinds = re.findall(r'Finding\(\s*"(\w+)", (True|False)', source)
    assert len(kinds) > 14
    to_mend, good_to_know = page.split("## What is good to know")
    for kind, serious in kinds:
        assert f"\n| `{kind}` |" in (to_mend if serious == "True" else good_to_know), kind


def test_the_models_named_are_those_that_can_play() -> None:
    kinds = {"unpaired": Unpaired, "paired": Pair, "domains": Domains, "style": Stylized, "vintage": Pair,
             "single_pair": Pair, "flat": Plain, "labelled": Labelled}  # fmt: skip
    for data, kind in kinds.items():
        fitting = choices_that("model", lambda target, kind=kind: serves(kind, target.takes))
        named = {name for name in data_check.FITS[data] if "_target_" in (CONF / "model" / f"{name}.yaml").read_text()}
        assert named == {*fitting}, f"FITS[{data!r}]; others are one of these in other settings"
