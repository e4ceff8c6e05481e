"""`data check` finds every kind of issue in a folder, and none in a valid folder."""

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

from stylegan_lab.cli.data import MODELS_BY_DATA
from stylegan_lab.cli.data import check as run_check
from stylegan_lab.cli.main import run
from stylegan_lab.config.paths import CONF
from stylegan_lab.data.folders import check, issues, scan
from stylegan_lab.data.folders.check import DataReport, check_folder, suggested_command
from stylegan_lab.data.folders.issues import DataIssue
from stylegan_lab.data.folders.layout import NUM_PROBED, detect_layout
from stylegan_lab.data.folders.scan import BadFile, DeferredLargeFile, ProbedImage, probe_image
from stylegan_lab.images.batch import (
    DomainBatch,
    ImageBatch,
    LabelledBatch,
    PairedBatch,
    StyleBatch,
    UnpairedBatch,
    is_compatible,
)
from stylegan_lab.training.checks import matching_choices
from tests.refusals import refused

ROOT = Path("photos")


def scan_in_process(paths: Sequence[Path], advance: Callable[[int], None]) -> dict[Path, ProbedImage | BadFile]:
    """Probe images in this process, because workers take seconds to start."""
    advance(len(paths))
    return {path: probe for path in paths if not isinstance(probe := probe_image(path), DeferredLargeFile)}


@pytest.fixture(autouse=True)
def scan_without_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "scan_images", scan_in_process)


def image(name: str, width: int = 16, height: int = 16, mode: str = "RGB", **options: Any) -> Path:
    """An image of noise seeded by its name, so that no two are equal."""
    path = ROOT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(os.fsencode(name)).digest()[:8], "little"))
    noise = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
    noise.convert(mode).save(path, **options)
    return path


def find_issue(kind: str) -> DataIssue:
    (issue,) = (issue for issue in check_folder(ROOT).issues if issue.kind == kind)
    return issue


def items(issue: DataIssue) -> list[tuple[list[str], str]]:
    return [([str(path) for path in item.files], item.note) for item in issue.items]


def unpaired() -> None:
    for place in ("trainA", "trainB", "testA", "testB"):
        for number in range(3):
            image(f"{place}/{place}_{number}.png")


def test_a_valid_folder_has_no_issues() -> None:
    unpaired()
    report = check_folder(ROOT)
    assert report.issues == [] and report.has_no_problems and report.layout.data == "unpaired"
    first = report.summaries[0]
    assert (first.split, first.domain, first.images, first.bad) == ("train", "A", 3, 0)
    assert first.modes == {"RGB": 3} and first.formats == {"PNG": 3} and first.median == (16, 16)


def test_bad_files_are_listed_in_order_with_their_reasons() -> None:
    unpaired()
    (ROOT / "trainA" / "a.png").touch()
    (ROOT / "testB" / "z.jpg").write_text("<html>not found</html>")
    cut = image("trainB/cut.png", 64, 64)
    cut.write_bytes(cut.read_bytes()[:500])
    issue = find_issue("bad")
    assert issue.serious and issue.message.startswith("3 unreadable images; training does not start")
    assert [files for files, _ in items(issue)] == [["testB/z.jpg"], ["trainA/a.png"], ["trainB/cut.png"]]
    assert [note for _, note in items(issue)][:2] == [
        "is not an image that can be read (JPEG, PNG, WebP, TIFF, BMP, GIF)",
        "is empty",
    ]


LIMIT = "has 12000x12000 pixels; at most 89,478,485 are read (STYLEGAN_LAB_MAX_PIXELS)"


def test_a_decompression_bomb_is_rejected_by_its_header() -> None:
    unpaired()
    bomb = image("trainA/bomb.bmp")
    header = bytearray(bomb.read_bytes())
    header[18:26] = (12_000).to_bytes(4, "little") * 2
    bomb.write_bytes(header)
    assert items(find_issue("bad")) == [(["trainA/bomb.bmp"], LIMIT)]


def test_the_same_file_twice_in_a_domain_is_a_duplicate() -> None:
    unpaired()
    (ROOT / "trainA" / "copy.png").write_bytes((ROOT / "trainA" / "trainA_0.png").read_bytes())
    issue = find_issue("duplicates")
    assert issue.message == "1 image more than once in the same domain, used more often in training"
    assert items(issue) == [(["trainA/copy.png", "trainA/trainA_0.png"], "the same file")]
    assert check_folder(ROOT).has_no_problems


def test_a_duplicate_may_leak_in_a_random_split() -> None:
    for name in ("a.png", "b.png", "c.png"):
        image(name)
    (ROOT / "d.png").write_bytes((ROOT / "a.png").read_bytes())
    assert find_issue("duplicates").message.endswith(
        "; a random split may put one copy into train and another into test"
    )


def test_the_same_image_saved_again_in_another_split_is_a_leak() -> None:
    unpaired()
    Image.open(ROOT / "trainA" / "trainA_0.png").save(ROOT / "testA" / "again.webp", lossless=True)
    issue = find_issue("leaks")
    assert issue.serious
    assert issue.message == "1 image in more than one split, so scores are computed on training images"
    assert items(issue) == [(["trainA/trainA_0.png", "testA/again.webp"], "the same pixels, saved again")]


def test_an_image_in_two_domains_is_reported() -> None:
    unpaired()
    (ROOT / "trainB" / "x.png").write_bytes((ROOT / "trainA" / "trainA_0.png").read_bytes())
    assert find_issue("in_two_domains").message == "1 image in more than one domain"


@pytest.mark.parametrize("mode", ["RGBA", "I;16"])
def test_images_that_differ_only_in_alpha_or_bit_depth_are_no_duplicates(mode: str) -> None:
    unpaired()
    for number in range(2):
        if mode == "RGBA":
            pixels = np.full((16, 16, 4), 255, dtype=np.uint8)
            pixels[:8, :, 3] = number
        else:
            pixels = np.full((16, 16), number, dtype=np.uint16)
        Image.fromarray(pixels).save(ROOT / "trainA" / f"{number}.png")
    assert not [issue for issue in check_folder(ROOT).issues if issue.kind == "duplicates"]


@pytest.mark.parametrize(
    ("name", "broken", "detected_by"),
    [
        ("_digest_of_pixels", lambda pixels: "always the same", test_a_valid_folder_has_no_issues),
        ("_digest_of_pixels", id, test_the_same_file_twice_in_a_domain_is_a_duplicate),
        ("file_digest", lambda path: path, test_the_same_file_twice_in_a_domain_is_a_duplicate),
        ("has_alpha", lambda image: False, lambda: test_images_that_differ_only_in_alpha_or_bit_depth_are_no_duplicates("RGBA")),
        ("decode", lambda *_, **__: np.zeros((1, 1, 3)), test_bad_files_are_listed_in_order_with_their_reasons),
    ],
)  # fmt: skip
def test_the_tests_detect_a_broken_check(
    monkeypatch: pytest.MonkeyPatch, name: str, broken: Callable[..., Any], detected_by: Callable[[], None]
) -> None:
    monkeypatch.setattr(scan, name, broken)
    with pytest.raises((AssertionError, ValueError)):
        detected_by()


def pairs() -> None:
    for number in range(5):
        image(f"train/edges/{number}.png")
        image(f"train/photos/{number}.jpg")


def test_two_folders_of_the_same_names_are_pairs() -> None:
    pairs()
    report = check_folder(ROOT)
    assert report.has_no_problems and report.layout.data == "paired"
    assert "two folders of images, edges, photos, with 5 of 5 names in both: true pairs" in report.layout.evidence


def test_missing_counterparts_are_listed_for_both_domains() -> None:
    pairs()
    image("train/edges/more.png")
    image("train/photos/other.jpg")
    issue = find_issue("missing_pairs")
    assert issue.serious
    assert (
        issue.message == "2 images without a counterpart; give both images of a pair the same name, or remove the image"
    )
    assert items(issue) == [
        (["train/edges/more.png"], "has no counterpart in train photos"),
        (["train/photos/other.jpg"], "has no counterpart in train edges"),
    ]


def test_ambiguous_counterparts_are_listed() -> None:
    pairs()
    image("train/photos/1.png")
    issue = find_issue("ambiguous_pairs")
    assert issue.serious and items(issue) == [(["train/photos/1.jpg", "train/photos/1.png"], "")]
    assert issue.message == "1 name with several suffixes in one folder, so the counterpart is ambiguous"


def test_pairs_of_different_sizes_are_listed() -> None:
    pairs()
    image("train/photos/3.jpg", 20, 16)
    issue = find_issue("pair_sizes")
    assert issue.serious and items(issue) == [(["train/edges/3.png", "train/photos/3.jpg"], "16x16 and 20x16")]


def test_pairs_that_differ_by_a_pixel_or_in_scale_are_as_fine_as_for_training() -> None:
    pairs()
    image("train/edges/wide.png", 100, 50)
    image("train/photos/wide.jpg", 201, 100)
    assert check_folder(ROOT).has_no_problems


def test_equal_names_of_images_that_differ_in_shape_are_no_pairs() -> None:
    for number in range(4):
        image(f"day/{number}.png", 20, 16)
        image(f"night/{number}.png", 16, 20)
    layout = check_folder(ROOT).layout
    assert layout.data == "unpaired"
    assert layout.evidence[0].endswith("4 of 4 names in both, but 4 of the first 4 pairs differ in shape: no pairs")


def test_two_images_of_two_sizes_are_no_single_pair() -> None:
    image("a.png", 16, 16), image("b.png", 20, 20)
    assert find_issue("pair_sizes").message.startswith("1 pair of two sizes; as a single pair")


@pytest.mark.parametrize(
    ("counts", "named"), [((2, 9), "a has 2 images; training"), ((9, 1), "b has 1 image; training")]
)
def test_a_domain_too_small_to_hold_anything_out_is_a_problem(counts: tuple[int, int], named: str) -> None:
    for domain, count in zip("ab", counts, strict=True):
        for number in range(count):
            image(f"{domain}/{domain}{chr(97 + number)}.png")
    issue = find_issue("too_few")
    assert issue.serious and issue.message.startswith(named) and "names" not in issue.message
    assert run(["train", "experiment=tiny", "data=unpaired", "data.root=photos", "data.size=16", "dry_run=true"]) == 2


def test_copies_are_counted_once_when_images_are_held_out() -> None:
    for name in ("1.png", "1 (2).png", "1 - Copy.png"):
        image(f"all/{name}")
    assert "3 images, which count as 1" in find_issue("too_few").message


def test_names_that_end_in_a_word_are_pointed_out() -> None:
    for number in range(4):
        image(f"{number}_A.png"), image(f"{number}_B.png")
    layout = check_folder(ROOT).layout
    assert layout.data == "flat" and layout.evidence[-1].startswith("4 names end in A and in B: if these are pairs")


def test_equal_names_in_the_test_domains_are_pointed_out() -> None:
    unpaired()
    for number in range(4):
        image(f"testA/same{number}.png"), image(f"testB/same{number}.png")
    evidence = check_folder(ROOT).layout.evidence
    (shared,) = [each.split(";")[0] for each in evidence if "are in testB too" in each]
    assert shared == "4 of 7 names in testA are in testB too"


def test_few_images_are_no_data_for_generation(capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(5):
        image(f"{number}.png")
    assert not find_issue("few_images").serious
    assert run(["data", "check", "photos"]) == 0
    printed = capsys.readouterr().out
    assert (
        printed.index("data=vintage") < printed.index("model=stylegan2")
        and "train model=pix2pix data=vintage" in printed
    )


def test_a_pair_of_identical_images_is_reported() -> None:
    pairs()
    for place in ("edges", "photos"):
        Image.new("RGB", (16, 16)).save(ROOT / "train" / place / "same.png")
    assert find_issue("identical_pairs").message == "1 pair of two identical images"


def test_side_by_side_pairs_are_detected() -> None:
    for number in range(3):
        image(f"train/{number}.jpg", 32, 16)
    report = check_folder(ROOT)
    assert report.has_no_problems and report.layout.data == "paired"
    assert report.layout.evidence[0].startswith("images twice as wide as high")


def test_a_copy_judged_by_its_name_in_another_split_is_reported() -> None:
    unpaired()
    image("trainA/beach.png"), image("testA/beach (2).png"), image("testB/beach - Copy.png")
    image("trainA/7.png"), image("testA/7.png")  # numbered alike, as any two splits may be
    issue = find_issue("similar_names")
    assert (
        issue.message
        == "1 image in one split with a copy, judged by its name, in another split; check whether they show the same"
    )
    assert items(issue) == [(["trainA/beach.png", "testA/beach (2).png"], "")]


def test_single_images_among_side_by_side_pairs_are_listed() -> None:
    for number in range(NUM_PROBED):
        image(f"{number:02d}.png", 16, 8)
    image("alone.png", 8, 8), image("00_first.png", 8, 8)
    issue = find_issue("pair_sizes")
    assert issue.serious and items(issue) == [(["00_first.png"], "8x8"), (["alone.png"], "8x8")]
    assert (
        check_folder(ROOT)
        .layout.evidence[0]
        .startswith("images twice as wide as high (but 1 of the first 24), as images are")
    )
    assert issue.message == "2 images not twice as wide as high, unlike the others: no pair, or a pair of another shape"


def test_names_that_differ_by_case_or_accents_are_reported() -> None:
    unpaired()
    for name in ("Cat.png", "cat.PNG", "caf\u00e9.png", "cafe\u0301.png"):
        image(f"trainA/{name}")
    issue = find_issue("case")
    assert not issue.serious and issue.message.startswith("2 names that differ only by case")
    assert [len(files) for files, _ in items(issue)] == [2, 2]


def test_a_wrong_suffix_is_reported() -> None:
    unpaired()
    image("trainA/x.jpg", format="PNG")
    assert items(find_issue("suffixes")) == [(["trainA/x.jpg"], "holds PNG")]


def test_gray_images_among_color_ones_are_reported() -> None:
    unpaired()
    image("trainA/gray.png", mode="L")
    issue = find_issue("modes")
    assert issue.message.startswith("images of 2 modes (12 RGB, 1 gray); all are read as RGB")
    assert items(issue) == [(["trainA/gray.png"], "gray")]


def test_images_rotated_by_exif_are_counted_and_measured_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image("a.jpg", 24, 16, exif=exif)
    image("b.jpg", 24, 16), image("c.jpg", 24, 16)
    report = check_folder(ROOT)
    assert report.summaries[0].rotated == 1 and report.summaries[0].sizes == 2
    assert find_issue("rotated").message == "1 image rotated by EXIF; they are read upright, as viewers show them"


def test_a_much_smaller_domain_is_reported() -> None:
    for number in range(23):
        image(f"a/a{number}.png")
    image("b/b.png")
    assert find_issue("unbalanced").message == "a has 23 images, b only 1; a model may memorize the few images"


def test_images_outside_of_the_domains_are_not_a_domain() -> None:
    for number in range(23):
        image(f"{number}.png")
    image("a/a.png")
    assert check_folder(ROOT).summaries[0].domain == ""
    assert not [each for each in check_folder(ROOT).issues if each.kind == "unbalanced"]


def test_other_files_are_skipped_and_reported() -> None:
    unpaired()
    (ROOT / "notes.txt").write_text("mine")
    image("trainA/photo", format="JPEG")
    issue = find_issue("other_files")
    assert issue.message == (
        "2 other files (1 .txt, 1 without a suffix) skipped; trainA/photo holds JPEG: name it .jpg so that it is read"
    )
    assert check_folder(ROOT).has_no_problems


def test_links_are_followed_once_and_broken_ones_are_bad() -> None:
    unpaired()
    (ROOT / "trainA" / "loop").symlink_to(ROOT.absolute())
    (ROOT / "trainA" / "gone.png").symlink_to("nowhere.png")
    report = check_folder(ROOT)
    assert sum(summary.images for summary in report.summaries) == 13
    assert items(find_issue("bad")) == [(["trainA/gone.png"], "is a link to a file that does not exist")]


@pytest.mark.parametrize(
    ("prepare", "code", "named"),
    [
        (lambda: None, "data.folder_missing", ["photos"]),
        (ROOT.touch, "data.not_a_folder", ["photos"]),
        (ROOT.mkdir, "data.no_images", ["photos", ".bmp"]),
        (
            lambda: (ROOT.mkdir(), (ROOT / "a.zip").write_bytes(b"PK\3\4")),
            "data.no_images",
            ["1 .zip", "unpack it"],
        ),
    ],
)
def test_a_folder_without_images_is_an_error(prepare: Callable[[], Any], code: str, named: list[str]) -> None:
    prepare()
    with refused(code, *named):
        check_folder(ROOT)


def test_text_and_json_contain_every_issue_and_the_exit_code_is_1_for_problems(
    capsys: pytest.CaptureFixture[str],
) -> None:
    unpaired()
    assert run_check([str(ROOT)]) == 0
    assert "no problems" in capsys.readouterr().out
    (ROOT / "trainA" / "a.png").touch()
    image("trainA/gray.png", mode="L")
    assert run_check([str(ROOT)]) == 1
    text = capsys.readouterr().out
    assert run_check([str(ROOT), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == 1 and not document["clean"] and document["layout"]["data"] == "unpaired"
    assert {issue["kind"] for issue in document["issues"]} == {"bad", "modes"}
    for issue in document["issues"]:
        assert issue["message"] in text
        assert all(name in text for item in issue["items"] for name in (*item["files"], item["note"]))
    for suggestion in document["suggestions"]:
        assert f"data={suggestion['data']} " in text and all(model in text for model in suggestion["models"])
    assert document["suggestions"][0]["command"] in text


def test_names_in_any_script_or_invalid_encoding_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    unpaired()
    odd = [b"\xff\xfe.png", "浮世絵.png".encode(), "می‌خواهم.png".encode(), b"two\nlines\x1b[31m.png", b'it\'s "so".png']
    for name in odd:
        Path("photos", "trainA", os.fsdecode(name)).touch()
    assert run_check([str(ROOT)]) == 1
    text = capsys.readouterr().out
    assert run_check([str(ROOT), "--json"]) == 1
    names = {
        name
        for issue in json.loads(capsys.readouterr().out)["issues"]
        for item in issue["items"]
        for name in item["files"]
    }
    assert names == {
        "trainA/" + name
        for name in (r"\udcff\udcfe.png", "浮世絵.png", "می‌خواهم.png", r"two\nlines\x1b[31m.png", 'it\'s "so".png')
    }
    assert all(name in text for name in names) and "\x1b" not in text


def test_bad_files_are_listed_completely_and_other_issues_in_part(capsys: pytest.CaptureFixture[str]) -> None:
    unpaired()
    for number in range(30):
        (ROOT / "trainA" / f"bad{number}.png").touch()
        image(f"trainB/gray{number}.png", mode="L")
    run_check([str(ROOT)])
    text = capsys.readouterr().out
    assert text.count("is empty") == 30
    assert "and 2 more; --json lists all" in text  # RGB is rarer than gray here, so its images are listed


def test_folder_names_are_quoted_for_hydra_and_the_shell() -> None:
    layout = detect_layout([Path("a/1.png"), Path("b/2.png")], lambda path: None)
    report = DataReport(Path("my photos, 2nd=best"), layout, [], [])
    assert suggested_command(report, "unpaired", "cyclegan").endswith(""" 'data.root="my photos, 2nd=best"'""")
    assert suggested_command(DataReport(Path("photos"), layout, [], []), "unpaired", "cyclegan").endswith(
        " data.root=photos"
    )


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
def test_files_written_by_pillow_are_never_bad(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
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
    assert isinstance(probe_image(path), ProbedImage)


def test_a_file_that_kills_or_hangs_its_reader_is_a_bad_file(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [image(f"{number}.png") for number in range(6)]
    monkeypatch.setattr(scan, "probe_image", harmful_probe)
    probes = scan.scan_images(paths, timeout=2.0)
    assert probes[paths[2]] == BadFile("ends the process that reads it (SIGSEGV)")
    assert probes[paths[4]] == BadFile("is not read within 2 seconds")
    assert all(isinstance(probes[path], ProbedImage) for path in (paths[0], paths[1], paths[3], paths[5]))


def harmful_probe(path: Path, large: int | None = None) -> Any:
    if path.name == "2.png":
        os.kill(os.getpid(), 11)
    if path.name == "4.png":
        time.sleep(60)
    return probe_image(path, large)


def test_large_images_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "LARGE_IMAGE_PIXELS", 300)
    paths = [image("small.png"), image("large.png", 20, 20)]
    counts: list[int] = []
    probes = scan.scan_images(paths, counts.append)
    assert [probe.size for probe in probes.values() if isinstance(probe, ProbedImage)] == ["16x16", "20x20"] and sum(
        counts
    ) == 2


def test_a_check_does_not_import_torch() -> None:
    """Importing torch takes longer than reading most folders, and happens in each process."""
    code = "import sys, stylegan_lab.cli.data, stylegan_lab.data.folders.check; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_docs_explain_every_kind_of_issue() -> None:
    page = (Path(__file__).parents[3] / "docs" / "checking-data.md").read_text(encoding="utf-8")
    source = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in (issues,))
    kinds = re.findall(r'(?:DataIssue|_issue)\(\s*"(\w+)", (True|False)', source)
    assert len(kinds) > 14
    problems, hints = page.split("## Hints")
    for kind, serious in kinds:
        assert f"\n| `{kind}` |" in (problems if serious == "True" else hints), kind


def test_suggested_models_are_those_that_fit_the_data() -> None:
    kinds = {"unpaired": UnpairedBatch, "paired": PairedBatch, "domains": DomainBatch, "style": StyleBatch, "vintage": PairedBatch,
             "single_pair": PairedBatch, "flat": ImageBatch, "labelled": LabelledBatch}  # fmt: skip
    for data, kind in kinds.items():
        fitting = matching_choices("model", lambda target, kind=kind: is_compatible(kind, target.batch_type))
        named = {name for name in MODELS_BY_DATA[data] if "_target_" in (CONF / "model" / f"{name}.yaml").read_text()}
        assert named == {*fitting}, f"MODELS_BY_DATA[{data!r}]; configs without _target_ are variants of these"
