"""A paper's set from a server of our own to its folder: layouts, hashes on first sight, and nothing half-made."""

import gzip
import hashlib
import io
import json
import re
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from PIL import Image

from stylegan_lab import fetch
from stylegan_lab.cli.main import run
from stylegan_lab.conf_dir import CONF
from stylegan_lab.data.folders.listing import pictures_below
from stylegan_lab.data.sets import catalogue
from stylegan_lab.data.sets.catalogue import SETS, File, PaperSet, how_to_get
from stylegan_lab.data.sets.download import download, seen
from stylegan_lab.data.sets.mat import read_mat
from stylegan_lab.fetch import Expected
from stylegan_lab.mistake import Mistake
from tests.data.sets.test_extraction import as_tar, as_zip
from tests.server import Server, cut

ROOT = Path("datasets")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "PATIENCE", 10)
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(catalogue.ROOT, raising=False)
    with Server().serving() as serving:
        yield serving


def picture(mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.effect_noise((16, 16), 60).convert(mode).save(out, "png")
    return out.getvalue()


HORSES = [(f"horse2zebra/{folder}/1.png", picture()) for folder in ("trainA", "trainB", "testA", "testB")]


def given(name: str, server: Server, *contents: bytes, known: bool = True) -> PaperSet:
    """The set of that name, as this server gives it."""
    paper_set, files = SETS[name], []
    for file, data in zip(paper_set.files, contents, strict=True):
        url = server.put(f"/{file.name}", data)
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(File((url,), Expected(sha256, size=len(data)) if known else Expected()))
    return replace(paper_set, files=tuple(files))


def here() -> list[str]:
    return sorted(path.name for path in ROOT.iterdir())


def test_a_set_is_made_whole_and_once(server: Server) -> None:
    horses = given("horse2zebra", server, as_zip(HORSES))
    assert download(horses, ROOT) == download(horses, ROOT) == ROOT / "horse2zebra"
    assert sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.png")) == sorted(name for name, _ in HORSES)
    assert here() == ["horse2zebra"] and len(server.asked) == 1


def test_an_archive_fetched_elsewhere_is_used_and_may_be_kept(server: Server) -> None:
    data = as_zip(HORSES)
    horses = given("horse2zebra", server, data)
    ROOT.mkdir()
    (ROOT / "horse2zebra.zip").write_bytes(data)
    download(horses, ROOT, keep_archive=True)
    assert here() == ["horse2zebra", "horse2zebra.zip"] and not server.asked


def test_a_broken_download_leaves_no_set_and_goes_on(server: Server) -> None:
    data = as_zip([*HORSES, ("horse2zebra/trainA/2.png", np.random.default_rng(0).bytes(200_000))])
    horses = given("horse2zebra", server, data)
    server.put("/horse2zebra.zip", data, cut(100_000))
    with pytest.raises(Mistake, match=r"it broke off\); 100 kB of .* are kept: repeat the command to go on"):
        download(horses, ROOT)
    assert here() == [".horse2zebra.zip.of", ".horse2zebra.zip.part"]
    server.put("/horse2zebra.zip", data)
    download(horses, ROOT)
    assert here() == ["horse2zebra"] and server.asked[-1][1] == "bytes=100000-"


def test_an_attack_leaves_nothing_but_its_archive(server: Server) -> None:
    with pytest.raises(Mistake, match="datasets/facades.tar.gz: its entry '../../evil' leads out of the folder"):
        download(given("facades", server, as_tar([("a.jpg", b"1"), ("../../evil", b"2")]), known=False), ROOT)
    assert here() == ["facades.tar.gz"] and seen() == {}


def test_an_interruption_while_unpacking_leaves_no_half_set(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    horses = given("horse2zebra", server, as_zip(HORSES))
    with monkeypatch.context() as patch:
        patch.setattr("stylegan_lab.data.sets.extraction._Claims.count", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download(horses, ROOT)
    assert here() == ["horse2zebra.zip"]
    download(horses, ROOT)
    assert here() == ["horse2zebra"] and len(server.asked) == 1


def test_what_a_killed_process_left_is_cleared_away(server: Server) -> None:
    (ROOT / ".horse2zebra.unpacking" / "half").mkdir(parents=True)
    download(given("horse2zebra", server, as_zip(HORSES)), ROOT)
    assert here() == ["horse2zebra"]


def test_two_who_want_the_same_set_make_it_once(server: Server) -> None:
    horses = given("horse2zebra", server, as_zip(HORSES))
    threads = [threading.Thread(target=download, args=(horses, ROOT)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert here() == ["horse2zebra"] and len(server.asked) == 1


def test_an_unpublished_hash_is_recorded_and_held_to(server: Server) -> None:
    facades = given("facades", server, first := as_tar([("facades/train/1.jpg", b"1")]), known=False)
    download(facades, ROOT)
    assert seen() == {facades.files[0].urls[0]: hashlib.sha256(first).hexdigest()}
    given("facades", server, as_tar([("facades/train/1.jpg", b"2")]), known=False)
    with pytest.raises(
        Mistake,
        match=r"gives another file than is expected .*when it was first fetched here; .*take its line out of .*sha256.json",
    ):
        download(facades, Path("elsewhere"))
    server.put("/facades.tar.gz", first)
    assert download(facades, Path("elsewhere")).is_dir()


def test_a_damaged_archive_is_not_recorded_as_right(server: Server) -> None:
    with pytest.raises(Mistake, match="is neither a zip nor a tar archive"):
        download(given("facades", server, b"sorry, come back later", known=False), ROOT)
    assert seen() == {}


def test_a_folder_that_cannot_be_written_is_told(server: Server) -> None:
    ROOT.write_text("a file")
    with pytest.raises(Mistake, match="datasets cannot be written: File exists"):
        download(given("horse2zebra", server, as_zip(HORSES)), ROOT)
    ROOT.unlink()
    ROOT.mkdir()
    (ROOT / "horse2zebra").write_text("a file")
    with pytest.raises(Mistake, match="datasets/horse2zebra is not a folder; move it away"):
        download(given("horse2zebra", server, as_zip(HORSES)), ROOT)


# Sets that are no archives of pictures.


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_mnist_becomes_folders_of_digits(server: Server) -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    folder = download(given("mnist", server, *map(idx, (pictures, labels, pictures[:3], labels[:3]))), ROOT)
    assert sorted(path.name for path in (folder / "train").iterdir()) == list("0123456789")
    with Image.open(folder / "train" / "1" / "00011.png") as image:
        assert image.mode == "L" and np.array_equal(np.array(image), pictures[11])
    assert len(list((folder / "test").rglob("*.png"))) == 3
    assert here() == ["mnist"]


def test_labels_that_do_not_fit_are_told(server: Server) -> None:
    pictures = np.zeros((4, 28, 28), np.uint8)
    wrong = given("mnist", server, *map(idx, (pictures, np.full(4, 10, np.uint8), pictures, pictures[:, 0, 0])))
    with pytest.raises(Mistake, match="do not belong together; delete them and fetch them again"):
        download(wrong, ROOT)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x08", b"\0\0\x08\x03\0\0", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", b"\0\0\x08\x01\0\0\0\x02\0"]
)
def test_what_is_no_array_is_told(data: bytes, server: Server) -> None:
    with pytest.raises(Mistake, match="is no array of bytes"):
        download(given("mnist", server, *[gzip.compress(data)] * 4), ROOT)


def test_cifar10_becomes_folders_of_classes_without_a_pickle(server: Server) -> None:
    records = np.random.default_rng(0).integers(0, 256, (6, 3073), np.uint8)
    records[:, 0] = [3, 3, 9, 0, 1, 2]
    batches = [
        (f"cifar-10-batches-bin/data_batch_{number}.bin", records[number : number + 1].tobytes())
        for number in range(1, 6)
    ]
    archive = as_tar([*batches, ("cifar-10-batches-bin/test_batch.bin", records[:1].tobytes())])
    folder = download(given("cifar10", server, archive), ROOT)
    with Image.open(folder / "train" / "cat" / "00000.png") as image:
        assert np.array_equal(np.array(image).transpose(2, 0, 1).ravel(), records[1, 1:])
    assert len(list((folder / "train").iterdir())) == 10 and (folder / "test" / "cat" / "00000.png").is_file()
    assert here() == ["cifar10"]


@pytest.mark.parametrize("bad", [b"", bytes(3072), b"\x0a" + bytes(3072)])
def test_a_cifar10_of_another_make_is_told(bad: bytes, server: Server) -> None:
    with pytest.raises(Mistake, match=r"holds no data_batch_\*.bin as CIFAR-10 has them"):
        download(given("cifar10", server, as_tar([("b/data_batch_1.bin", bad), ("b/test_batch.bin", bad)])), ROOT)


def mat(packed: bool = True, **arrays: list[int]) -> bytes:
    """As the format's description has it: https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf"""

    def element(kind: int, data: bytes) -> bytes:
        if 0 < len(data) <= 4:
            return struct.pack("<HH4s", kind, len(data), data)
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    out = b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\x01IM"
    for name, values in arrays.items():
        whole = element(6, struct.pack("<II", 9, 0)) + element(5, struct.pack("<ii", 1, len(values)))
        whole = element(14, whole + element(1, name.encode()) + element(4, np.array(values, "<u2").tobytes()))
        packed_whole = zlib.compress(whole)
        out += struct.pack("<II", 15, len(packed_whole)) + packed_whole if packed else whole
    return out


def test_flowers_are_split_as_their_makers_split_them(server: Server) -> None:
    archive = as_tar([(f"jpg/image_{number:05d}.jpg", picture()) for number in range(1, 7)])
    labels, splits = mat(labels=[77, 77, 102, 1, 1, 5]), mat(trnid=[2, 6], valid=[3], tstid=[1, 5, 4])
    folder = download(given("flowers102", server, archive, labels, splits), ROOT)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg")) == [
        "test/001/image_00004.jpg", "test/001/image_00005.jpg", "test/077/image_00001.jpg",
        "train/005/image_00006.jpg", "train/077/image_00002.jpg", "val/102/image_00003.jpg"]  # fmt: skip


def test_a_flower_that_is_missing_is_told(server: Server) -> None:
    lacking = given("flowers102", server, as_tar([("jpg/x", b"")]), mat(labels=[1]), mat(trnid=[1], valid=[], tstid=[]))
    with pytest.raises(Mistake, match="102flowers.tgz lacks jpg/image_00001.jpg"):
        download(lacking, ROOT)


@pytest.mark.parametrize("packed", [True, False])
def test_labels_of_matlab_are_read(packed: bool) -> None:
    Path("a.mat").write_bytes(mat(packed, few=[1, 2], many=list(range(300)), none=[]))
    assert read_mat(Path("a.mat")) == {"few": [1, 2], "many": list(range(300)), "none": []}


@pytest.mark.parametrize(
    "data", [b"", bytes(200), mat(a=[1])[:150], mat(False, a=[1])[:140], mat(a=[1])[:136] + b"not packed"]
)
def test_what_matlab_did_not_write_is_told(data: bytes) -> None:
    Path("a.mat").write_bytes(data)
    with pytest.raises(Mistake, match="a.mat cannot be read as labels"):
        read_mat(Path("a.mat"))


# The catalogue, and the commands.


@pytest.mark.parametrize("paper_set", SETS.values(), ids=list(SETS))
def test_the_catalogue_is_sound(paper_set: PaperSet) -> None:
    assert paper_set.what and paper_set.terms and paper_set.layout and bool(paper_set.files) != bool(paper_set.instead)
    for file in paper_set.files:
        assert all(url.startswith("https://") for url in file.urls) and "." in file.name
        assert file.expected.sha256 is None or len(bytes.fromhex(file.expected.sha256)) == 32
        assert file.expected.md5 is None or len(bytes.fromhex(file.expected.md5)) == 16
        assert len(file.urls) == 1 or file.expected.sha256, "another place must give the same file"
    assert len({file.name for file in paper_set.files}) == len(paper_set.files)


def test_the_list_tells_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    (ROOT / "facades").mkdir(parents=True)
    assert run(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].strip("*") for line in lines[: len(SETS)]] == list(SETS)
    assert [line for line in lines if line.startswith("*")] == lines[:1]
    assert run(["data", "list", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["there"] for each in told} == {name: name == "facades" for name in SETS}


@pytest.mark.parametrize("name", list(SETS))
def test_one_set_is_told_in_full(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "list", name]) == 0
    out = capsys.readouterr().out
    assert SETS[name].terms in out and all(file.urls[0] in out for file in SETS[name].files)


def test_a_download_says_what_came_and_what_is_next(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SETS, "horse2zebra", given("horse2zebra", server, as_zip(HORSES)))
    assert run(["data", "download", "horse2zebra"]) == 0
    out = capsys.readouterr().out
    assert "datasets/horse2zebra\n" in out and "trainA: 1 in all" in out and "(published)" in out
    assert "stylegan-lab train data=horse2zebra\n" in out
    assert run(["data", "download", "horse2zebra"]) == 0
    assert "was there already" in capsys.readouterr().out
    assert run(["data", "download", "horse2zebra", "--root", "elsewhere"]) == 0
    assert "stylegan-lab train data=horse2zebra data.root=elsewhere/horse2zebra\n" in capsys.readouterr().out


def test_terms_are_to_be_accepted(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    afhq = given("afhq", server, as_zip([("afhq/train/cat/1.png", picture())]), known=False)
    monkeypatch.setitem(SETS, "afhq", afhq)
    assert run(["data", "download", "afhq"]) == 2
    assert "comes with terms (CC BY-NC 4.0, NAVER" in capsys.readouterr().err and not server.asked
    assert run(["data", "download", "afhq", "--accept-terms"]) == 0
    assert "(as first fetched here)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["download", "cityscapes"],
            "cityscapes cannot be downloaded: .*register at https://www.cityscapes-dataset.com",
        ),
        (
            ["download", "horsezebra"],
            r"no data set horsezebra \(did you mean horse2zebra\?\); `stylegan-lab data list`",
        ),
        (["list", "nothing"], "no data set nothing; "),
        (["downlod"], r"no data command downlod \(did you mean download\?\); data commands: check, preview"),
        (["download"], "the following arguments are required: NAME"),
    ],
)
def test_mistakes_are_answered(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", *arguments]) == 2
    assert re.match(f"stylegan-lab: .*{sentence}", capsys.readouterr().err)


@pytest.mark.parametrize("arguments", [["data"], ["data", "--help"]])
def test_help_names_the_verbs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "usage: stylegan-lab data VERB" in capsys.readouterr().out


def test_a_missing_set_says_how_to_get_it() -> None:
    for folder in ("anywhere/horse2zebra", "anywhere/horse2zebra/trainA"):
        with pytest.raises(
            Mistake, match=f"^{folder} does not exist; stylegan-lab data download horse2zebra fetches it$"
        ):
            pictures_below(Path(folder))
    with pytest.raises(Mistake, match="^my/photos does not exist$"):
        pictures_below(Path("my/photos"))
    assert how_to_get(Path("anywhere/cityscapes")) == "; stylegan-lab data download cityscapes says how to get it"
    Path("maps").mkdir()
    assert how_to_get(Path("maps/mine")) == ""


@pytest.mark.parametrize("name", [name for name, each in SETS.items() if each.config])
def test_each_set_is_read_by_the_data_config_of_its_name(
    name: str, composed: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(catalogue.ROOT, raising=False)
    assert Path(composed(f"data={name}").data.root) == catalogue.default_root() / name
    monkeypatch.setenv(catalogue.ROOT, "/mnt/large")
    assert Path(composed(f"data={name}").data.root) == catalogue.default_root() / name == Path("/mnt/large") / name
    assert f"stylegan-lab data download {name}\n" in (CONF / "data" / f"{name}.yaml").read_text(encoding="utf-8")
