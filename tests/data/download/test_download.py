"""A paper's set from a server of our own to its folder: layouts, hashes on first sight, and nothing half-made."""

import gzip
import hashlib
import io
import json
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

from stylegan_lab.cli.main import run
from stylegan_lab.config.paths import CONF
from stylegan_lab.data.download import catalog
from stylegan_lab.data.download.catalog import DATASETS, PaperDataset, RemoteFile, download_hint
from stylegan_lab.data.download.dataset import download_dataset, recorded_hashes
from stylegan_lab.data.download.formats import read_mat
from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.files import download as fetch
from stylegan_lab.files.download import ExpectedChecksum
from tests.data.download.test_extraction import as_tar, as_zip
from tests.refusals import assert_refused, refused
from tests.server import Server, truncated_response

ROOT = Path("datasets")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 10)
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(catalog.ROOT_VARIABLE, raising=False)
    with Server().running() as serving:
        yield serving


def image(mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.effect_noise((16, 16), 60).convert(mode).save(out, "png")
    return out.getvalue()


HORSES = [(f"horse2zebra/{folder}/1.png", image()) for folder in ("trainA", "trainB", "testA", "testB")]


def served_dataset(name: str, server: Server, *contents: bytes, known: bool = True) -> PaperDataset:
    """The set of that name, as this server gives it."""
    dataset, files = DATASETS[name], []
    for file, data in zip(dataset.files, contents, strict=True):
        url = server.add_file(f"/{file.name}", data)
        sha256 = hashlib.sha256(data).hexdigest()
        files.append(RemoteFile((url,), ExpectedChecksum(sha256, size=len(data)) if known else ExpectedChecksum()))
    return replace(dataset, files=tuple(files))


def files_in_root() -> list[str]:
    return sorted(path.name for path in ROOT.iterdir())


def test_a_set_is_made_whole_and_once(server: Server) -> None:
    horses = served_dataset("horse2zebra", server, as_zip(HORSES))
    assert download_dataset(horses, ROOT) == download_dataset(horses, ROOT) == ROOT / "horse2zebra"
    assert sorted(str(path.relative_to(ROOT)) for path in ROOT.rglob("*.png")) == sorted(name for name, _ in HORSES)
    assert files_in_root() == ["horse2zebra"] and len(server.requests) == 1


def test_an_archive_fetched_elsewhere_is_used_and_may_be_kept(server: Server) -> None:
    data = as_zip(HORSES)
    horses = served_dataset("horse2zebra", server, data)
    ROOT.mkdir()
    (ROOT / "horse2zebra.zip").write_bytes(data)
    download_dataset(horses, ROOT, keep_archive=True)
    assert files_in_root() == ["horse2zebra", "horse2zebra.zip"] and not server.requests


def test_a_broken_download_leaves_no_set_and_goes_on(server: Server) -> None:
    data = as_zip([*HORSES, ("horse2zebra/trainA/2.png", np.random.default_rng(0).bytes(200_000))])
    horses = served_dataset("horse2zebra", server, data)
    server.add_file("/horse2zebra.zip", data, truncated_response(100_000))
    with refused("download.interrupted", "100 kB", "repeat the command"):
        download_dataset(horses, ROOT)
    assert files_in_root() == [".horse2zebra.zip.of", ".horse2zebra.zip.part"]
    server.add_file("/horse2zebra.zip", data)
    download_dataset(horses, ROOT)
    assert files_in_root() == ["horse2zebra"] and server.requests[-1][1] == "bytes=100000-"


def test_an_attack_leaves_nothing_but_its_archive(server: Server) -> None:
    with refused("download.archive_unsafe", "datasets/facades.tar.gz", "../../evil"):
        download_dataset(
            served_dataset("facades", server, as_tar([("a.jpg", b"1"), ("../../evil", b"2")]), known=False), ROOT
        )
    assert files_in_root() == ["facades.tar.gz"] and recorded_hashes() == {}


def test_many_more_entries_than_a_set_has_images_are_refused(server: Server) -> None:
    dataset = served_dataset(
        "horse2zebra", server, as_zip([(f"set/trainA/{number}.jpg", b"") for number in range(13_000)])
    )
    with refused("download.archive_too_large", "horse2zebra.zip", "11,644"):
        download_dataset(dataset, ROOT)
    assert all(each.limits.entries <= 600_000 for each in DATASETS.values())


def test_an_interruption_while_extracting_leaves_no_partial_data_set(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    horses = served_dataset("horse2zebra", server, as_zip(HORSES))
    with monkeypatch.context() as patch:
        patch.setattr("stylegan_lab.data.download.extraction._EntryChecks.count", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download_dataset(horses, ROOT)
    assert files_in_root() == ["horse2zebra.zip"]
    download_dataset(horses, ROOT)
    assert files_in_root() == ["horse2zebra"] and len(server.requests) == 1


def test_what_a_killed_process_left_is_cleared_away(server: Server) -> None:
    (ROOT / ".horse2zebra.partial" / "half").mkdir(parents=True)
    download_dataset(served_dataset("horse2zebra", server, as_zip(HORSES)), ROOT)
    assert files_in_root() == ["horse2zebra"]


def test_two_who_want_the_same_set_make_it_once(server: Server) -> None:
    horses = served_dataset("horse2zebra", server, as_zip(HORSES))
    threads = [threading.Thread(target=download_dataset, args=(horses, ROOT)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files_in_root() == ["horse2zebra"] and len(server.requests) == 1


def test_an_unpublished_hash_is_recorded_and_held_to(server: Server) -> None:
    facades = served_dataset("facades", server, first := as_tar([("facades/train/1.jpg", b"1")]), known=False)
    download_dataset(facades, ROOT)
    assert recorded_hashes() == {facades.files[0].urls[0]: hashlib.sha256(first).hexdigest()}
    served_dataset("facades", server, as_tar([("facades/train/1.jpg", b"2")]), known=False)
    with refused("download.checksum_mismatch", facades.files[0].urls[0], "sha256.json"):
        download_dataset(facades, Path("elsewhere"))
    server.add_file("/facades.tar.gz", first)
    assert download_dataset(facades, Path("elsewhere")).is_dir()


def test_a_damaged_archive_is_not_recorded_as_right(server: Server) -> None:
    with refused("download.not_an_archive", "facades.tar.gz"):
        download_dataset(served_dataset("facades", server, b"sorry, come back later", known=False), ROOT)
    assert recorded_hashes() == {}


def test_a_folder_that_cannot_be_written_is_an_error(server: Server) -> None:
    ROOT.write_text("a file")
    with refused("download.not_writable", "datasets", "File exists"):
        download_dataset(served_dataset("horse2zebra", server, as_zip(HORSES)), ROOT)
    ROOT.unlink()
    ROOT.mkdir()
    (ROOT / "horse2zebra").write_text("a file")
    with refused("download.not_a_folder", "datasets/horse2zebra"):
        download_dataset(served_dataset("horse2zebra", server, as_zip(HORSES)), ROOT)


# Sets that are no archives of images.


def idx(array: np.ndarray) -> bytes:
    return gzip.compress(struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes())


def test_mnist_becomes_folders_of_digits(server: Server) -> None:
    images = np.random.default_rng(0).integers(0, 256, (12, 28, 28), np.uint8)
    labels = np.arange(12, dtype=np.uint8) % 10
    folder = download_dataset(
        served_dataset("mnist", server, *map(idx, (images, labels, images[:3], labels[:3]))), ROOT
    )
    assert sorted(path.name for path in (folder / "train").iterdir()) == list("0123456789")
    with Image.open(folder / "train" / "1" / "00011.png") as image:
        assert image.mode == "L" and np.array_equal(np.array(image), images[11])
    assert len(list((folder / "test").rglob("*.png"))) == 3
    assert files_in_root() == ["mnist"]


def test_labels_that_do_not_fit_are_errors(server: Server) -> None:
    images = np.zeros((4, 28, 28), np.uint8)
    wrong = served_dataset("mnist", server, *map(idx, (images, np.full(4, 10, np.uint8), images, images[:, 0, 0])))
    with refused("data.labels_mismatch", *(each.name for each in wrong.files[:2])):
        download_dataset(wrong, ROOT)


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x08", b"\0\0\x08\x03\0\0", b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", b"\0\0\x08\x01\0\0\0\x02\0"]
)
def test_invalid_idx_files_are_errors(data: bytes, server: Server) -> None:
    with refused("data.file_damaged", "idx"):
        download_dataset(served_dataset("mnist", server, *[gzip.compress(data)] * 4), ROOT)


def test_cifar10_becomes_folders_of_classes_without_a_pickle(server: Server) -> None:
    records = np.random.default_rng(0).integers(0, 256, (6, 3073), np.uint8)
    records[:, 0] = [3, 3, 9, 0, 1, 2]
    batches = [
        (f"cifar-10-batches-bin/data_batch_{number}.bin", records[number : number + 1].tobytes())
        for number in range(1, 6)
    ]
    archive = as_tar([*batches, ("cifar-10-batches-bin/test_batch.bin", records[:1].tobytes())])
    folder = download_dataset(served_dataset("cifar10", server, archive), ROOT)
    with Image.open(folder / "train" / "cat" / "00000.png") as image:
        assert np.array_equal(np.array(image).transpose(2, 0, 1).ravel(), records[1, 1:])
    assert len(list((folder / "train").iterdir())) == 10 and (folder / "test" / "cat" / "00000.png").is_file()
    assert files_in_root() == ["cifar10"]


@pytest.mark.parametrize("bad", [b"", bytes(3072), b"\x0a" + bytes(3072)])
def test_invalid_cifar10_files_are_errors(bad: bytes, server: Server) -> None:
    with refused("data.file_damaged", "data_batch_*.bin"):
        download_dataset(
            served_dataset("cifar10", server, as_tar([("b/data_batch_1.bin", bad), ("b/test_batch.bin", bad)])), ROOT
        )


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
    archive = as_tar([(f"jpg/image_{number:05d}.jpg", image()) for number in range(1, 7)])
    labels, splits = mat(labels=[77, 77, 102, 1, 1, 5]), mat(trnid=[2, 6], valid=[3], tstid=[1, 5, 4])
    folder = download_dataset(served_dataset("flowers102", server, archive, labels, splits), ROOT)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg")) == [
        "test/001/image_00004.jpg", "test/001/image_00005.jpg", "test/077/image_00001.jpg",
        "train/005/image_00006.jpg", "train/077/image_00002.jpg", "val/102/image_00003.jpg"]  # fmt: skip


def test_a_missing_flower_is_an_error(server: Server) -> None:
    lacking = served_dataset(
        "flowers102", server, as_tar([("jpg/x", b"")]), mat(labels=[1]), mat(trnid=[1], valid=[], tstid=[])
    )
    with refused("download.archive_damaged", "102flowers.tgz", "jpg/image_00001.jpg"):
        download_dataset(lacking, ROOT)


@pytest.mark.parametrize("packed", [True, False])
def test_labels_of_matlab_are_read(packed: bool) -> None:
    Path("a.mat").write_bytes(mat(packed, few=[1, 2], many=list(range(300)), none=[]))
    assert read_mat(Path("a.mat")) == {"few": [1, 2], "many": list(range(300)), "none": []}


@pytest.mark.parametrize(
    "data", [b"", bytes(200), mat(a=[1])[:150], mat(False, a=[1])[:140], mat(a=[1])[:136] + b"not packed"]
)
def test_invalid_mat_files_are_errors(data: bytes) -> None:
    Path("a.mat").write_bytes(data)
    with refused("data.file_damaged", "a.mat"):
        read_mat(Path("a.mat"))


# The catalog, and the commands.


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=list(DATASETS))
def test_the_catalog_is_valid(dataset: PaperDataset) -> None:
    assert dataset.contents and dataset.terms and dataset.layout and bool(dataset.files) != bool(dataset.manual_steps)
    for file in dataset.files:
        assert all(url.startswith("https://") for url in file.urls) and "." in file.name
        assert file.expected.sha256 is None or len(bytes.fromhex(file.expected.sha256)) == 32
        assert file.expected.md5 is None or len(bytes.fromhex(file.expected.md5)) == 16
        assert len(file.urls) == 1 or file.expected.sha256, "another place must give the same file"
    assert len({file.name for file in dataset.files}) == len(dataset.files)


def test_the_list_tells_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    (ROOT / "facades").mkdir(parents=True)
    assert run(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0].strip("*") for line in lines[: len(DATASETS)]] == list(DATASETS)
    assert [line for line in lines if line.startswith("*")] == lines[:1]
    assert run(["data", "list", "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert {each["name"]: each["downloaded"] for each in entries} == {name: name == "facades" for name in DATASETS}


@pytest.mark.parametrize("name", list(DATASETS))
def test_list_shows_all_details_of_a_data_set(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "list", name]) == 0
    out = capsys.readouterr().out
    assert DATASETS[name].terms in out and all(file.urls[0] in out for file in DATASETS[name].files)


def test_a_download_prints_its_contents_and_the_next_command(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(DATASETS, "horse2zebra", served_dataset("horse2zebra", server, as_zip(HORSES)))
    assert run(["data", "download", "horse2zebra"]) == 0
    out = capsys.readouterr().out
    assert "datasets/horse2zebra\n" in out and "trainA: 1 files" in out and "(published)" in out
    assert "stylegan-lab train data=horse2zebra\n" in out
    assert run(["data", "download", "horse2zebra"]) == 0
    assert "already exists" in capsys.readouterr().out
    assert run(["data", "download", "horse2zebra", "--root", "elsewhere"]) == 0
    assert "stylegan-lab train data=horse2zebra data.root=elsewhere/horse2zebra\n" in capsys.readouterr().out


def test_terms_are_needs_acceptance(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    afhq = served_dataset("afhq", server, as_zip([("afhq/train/cat/1.png", image())]), known=False)
    monkeypatch.setitem(DATASETS, "afhq", afhq)
    assert run(["data", "download", "afhq"]) == 2
    assert_refused(capsys.readouterr().err, "download.terms_not_accepted", "afhq", "CC BY-NC 4.0")
    assert not server.requests
    assert run(["data", "download", "afhq", "--accept-terms"]) == 0
    assert "(recorded at the first download)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (["download", "cityscapes"], "download.manual_only", ["cityscapes ", "https://www.cityscapes-dataset.com"]),
        (
            ["download", "horsezebra"],
            "download.unknown_dataset",
            ["horsezebra ", "did you mean horse2zebra?", "stylegan-lab data list"],
        ),
        (["list", "nothing"], "download.unknown_dataset", ["nothing "]),
        (["downlod"], "cli.unknown_command", ["downlod ", "did you mean download?", "check, preview"]),
        (["download"], "cli.wrong_arguments", ["NAME"]),
    ],
)
def test_mistakes_are_answered(
    arguments: list[str], code: str, named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", *arguments]) == 2
    assert_refused(capsys.readouterr().err, code, *named)


@pytest.mark.parametrize("arguments", [["data"], ["data", "--help"]])
def test_help_names_the_verbs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 0
    assert "usage: stylegan-lab data VERB" in capsys.readouterr().out


def test_a_missing_set_says_download_hint_it() -> None:
    for folder in ("anywhere/horse2zebra", "anywhere/horse2zebra/trainA"):
        with refused("data.folder_missing", folder, "stylegan-lab data download horse2zebra"):
            images_below(Path(folder))
    with refused("data.folder_missing", "my/photos"):
        images_below(Path("my/photos"))
    assert (
        download_hint(Path("anywhere/cityscapes"))
        == "; stylegan-lab data download cityscapes explains how to obtain it"
    )
    Path("maps").mkdir()
    assert download_hint(Path("maps/mine")) == ""


def test_each_set_is_read_by_the_data_config_of_its_name(
    compose_config: Callable[..., DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The configs of all sets are composed at once; their folders are read from the environment when they are needed."""
    names = [name for name, each in DATASETS.items() if each.config]
    config = compose_config(*(f"+data@vars.{name}={name}" for name in names))
    monkeypatch.delenv(catalog.ROOT_VARIABLE, raising=False)
    assert all(Path(config.vars[name].root) == catalog.default_root() / name for name in names)
    monkeypatch.setenv(catalog.ROOT_VARIABLE, "/mnt/large")
    assert catalog.default_root() == Path("/mnt/large")
    assert all(Path(config.vars[name].root) == catalog.default_root() / name for name in names)
    for name in names:
        assert f"stylegan-lab data download {name}\n" in (CONF / "data" / f"{name}.yaml").read_text(encoding="utf-8"), (
            name
        )
