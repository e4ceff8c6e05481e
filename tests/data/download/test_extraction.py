"""Archives that attack, made in memory: each is refused with its sentence, and nothing is left outside or inside."""

import gzip
import io
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from stylegan_lab.data.download.extraction import ExtractionLimits, extract, extract_archive, gunzip
from stylegan_lab.errors import UserError
from tests.refusals import refused

Contents = Iterable[tuple[str, bytes | None]]
INTO = Path("into")
NOISE = os.urandom(100_000)


def as_zip(contents: Contents) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content or b"")
    return out.getvalue()


def as_tar(contents: Contents, mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in contents:
            info = tarfile.TarInfo(name.rstrip("/"))
            info.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            info.size = len(content or b"")
            archive.addfile(info, io.BytesIO(content or b""))
    return out.getvalue()


def as_plain_tar(contents: Contents) -> bytes:
    return as_tar(contents, "w")


def unpack(data: bytes, limits: ExtractionLimits = ExtractionLimits()) -> list[str]:  # noqa: B008
    Path("set.archive").write_bytes(data)
    INTO.mkdir()
    extract(Path("set.archive"), INTO, limits)
    return sorted(str(path.relative_to(INTO)) for path in INTO.rglob("*") if path.is_file())


KINDS = pytest.mark.parametrize("pack", [as_zip, as_tar, as_plain_tar])
Pack = Callable[[Contents], bytes]


@KINDS
def test_pictures_arrive_where_they_were(pack: Pack) -> None:
    contents = [
        ("set/", None),
        ("set/trainA/a b.jpg", NOISE),
        ("./set/ünï/画.jpg", b"2"),
        ("set/2005-06-26 14:04:52.jpg", b"3"),
    ]
    assert unpack(pack(contents)) == ["set/2005-06-26 14:04:52.jpg", "set/trainA/a b.jpg", "set/ünï/画.jpg"]
    assert (INTO / "set/trainA/a b.jpg").read_bytes() == NOISE
    assert stat.S_IMODE((INTO / "set/ünï/画.jpg").stat().st_mode) & 0o111 == 0


@KINDS
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("../out.jpg", "leads out of the folder"),
        ("set/../../out.jpg", "leads out of the folder"),
        ("/out.jpg", "is not a relative path"),
        ("C:/out.jpg", "is not a relative path"),
        ("..\\out.jpg", "is not a relative path"),
        ("/".join("a" * 40), "is more than 32 folders deep"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(name: str, why: str, pack: Pack) -> None:
    with refused("download.archive_unsafe", "set.archive", repr(name), why):
        unpack(pack([(name, b"1")]))
    assert sorted(path.name for path in Path().iterdir()) == ["into", "set.archive"] and not list(INTO.iterdir())


@KINDS
@pytest.mark.parametrize(
    ("names", "why"),
    [
        (["set/a.jpg", "set/a.jpg"], "occurs twice, or in another case"),
        (["set/a.jpg", "set/A.JPG"], "occurs twice, or in another case"),
        (["set/caf\u00e9.jpg", "set/cafe\u0301.jpg"], "occurs twice, or in another case"),
        (["train/a.jpg", "Train/b.jpg"], "differs from train only by case"),
        (["set/a", "set/a/b.jpg"], "is both a file and a folder"),
        (["set/a/b.jpg", "set/a"], "occurs twice, or in another case"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_of_which_a_disk_may_keep_only_one_are_refused(names: list[str], why: str, pack: Pack) -> None:
    with refused("download.archive_unsafe", why):
        unpack(pack([(name, b"1") for name in names]))


@pytest.mark.parametrize(
    ("kind", "why"),
    [(tarfile.SYMTYPE, "is a link"), (tarfile.LNKTYPE, "is a link"), (tarfile.CHRTYPE, "is a device, not a file"),
     (tarfile.BLKTYPE, "is a device, not a file"), (tarfile.FIFOTYPE, "is a device, not a file")],
)  # fmt: skip
def test_tar_entries_that_are_no_files_are_refused(kind: bytes, why: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("set/link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with refused("download.archive_unsafe", "set/link", why):
        unpack(out.getvalue())
    assert not list(INTO.iterdir())


@pytest.mark.parametrize(("kind", "why"), [(stat.S_IFLNK, "is a link"), (stat.S_IFCHR, "is a device, not a file")])
def test_zip_entries_that_are_no_files_are_refused(kind: int, why: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("set/link")
        info.external_attr = (kind | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with refused("download.archive_unsafe", "set/link", why):
        unpack(out.getvalue())


def test_a_name_cut_by_a_zero_is_refused() -> None:
    data = as_zip([("set/aXb.jpg", b"1")]).replace(b"set/aXb.jpg", b"set/a\0b.jpg")
    with refused("download.archive_unsafe", "set/a"):
        unpack(data)


@KINDS
def test_archive_bombs_are_rejected(pack: Pack) -> None:
    with refused("download.archive_too_large", "set.archive"):
        unpack(
            pack([("set/zeros", bytes(30_000_000))]),
            ExtractionLimits(max_ratio=20) if pack is not as_plain_tar else ExtractionLimits(bytes=10**6),
        )
    assert sum(path.stat().st_size for path in INTO.rglob("*") if path.is_file()) < 2_000_000


def test_a_bomb_of_overlapping_entries_is_rejected() -> None:
    """Many names for the same packed bytes."""
    data = as_zip([(f"set/{number:03}", bytes(900_000)) for number in range(2)])
    whole, directory = data, data.index(b"PK\x01\x02")
    first = whole[directory : whole.index(b"PK\x01\x02", directory + 4)]
    entries = b"".join(first.replace(b"set/000", b"set/%03d" % number) for number in range(200))
    end = bytearray(whole[whole.index(b"PK\x05\x06") :])
    end[8:12] = (200).to_bytes(2, "little") * 2
    end[12:16] = len(entries).to_bytes(4, "little")
    with pytest.raises(UserError) as error:
        unpack(whole[:directory] + entries + bytes(end), ExtractionLimits(bytes=2_000_000))
    assert error.value.code in ("download.archive_too_large", "download.archive_damaged"), error.value.with_code()


def test_a_bomb_in_a_tar_header_is_rejected() -> None:
    info = tarfile.TarInfo("description")
    info.type, info.size = tarfile.XHDTYPE, 10_000_000
    with refused("download.archive_damaged", "set.archive", "10,000,000 bytes"):
        unpack(gzip.compress(info.tobuf() + bytes(info.size)))


def test_a_file_of_holes_is_refused() -> None:
    info = tarfile.TarInfo("set/holes")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    with refused("download.archive_unsafe", "set/holes", "is a device"):
        unpack(gzip.compress(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)))


def test_unusual_packing_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("set/a.jpg", b"1")
    with refused("download.archive_unsafe", "set/a.jpg", "compression"):
        unpack(out.getvalue())


@KINDS
def test_too_many_entries_are_refused(pack: Pack) -> None:
    with refused("download.archive_too_large", "set.archive", "5 entries"):
        unpack(pack([(f"{number}.jpg", b"") for number in range(6)]), ExtractionLimits(entries=5))


@KINDS
def test_damaged_archives_are_errors(pack: Pack) -> None:
    data = pack([("set/a.jpg", NOISE), ("set/b.jpg", NOISE)])
    with refused("download.archive_damaged", "set.archive"):
        unpack(data[: len(data) // 2])


@pytest.mark.parametrize("pack", [as_zip, as_tar])
def test_a_flipped_bit_is_found(pack: Pack) -> None:
    data = bytearray(pack([("set/a.jpg", NOISE)]))
    data[len(data) // 2] ^= 1
    with refused("download.archive_damaged", "set.archive"):
        unpack(bytes(data))


def test_an_encrypted_zip_is_an_error() -> None:
    data = bytearray(as_zip([("a.jpg", b"1")]))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    with refused("download.archive_damaged", "set.archive", "encrypted"):
        unpack(bytes(data))


@pytest.mark.parametrize("data", [b"", b"<html>not here</html>", bytes(1000)])
def test_other_files_are_errors(data: bytes) -> None:
    with refused("download.not_an_archive", "set.archive"):
        unpack(data)


@KINDS
def test_what_computers_leave_in_archives_is_left_out(pack: Pack) -> None:
    junk = [("set/.DS_Store", b"2"), ("__MACOSX/", None), ("__MACOSX/set/._a.jpg", b"3"), ("set/._b.jpg", b"4")]
    contents = [("set/a.jpg", b"1"), *junk]
    Path("set.archive").write_bytes(pack(contents))
    INTO.mkdir()
    folder = extract_archive([Path("set.archive")], INTO)
    assert folder == INTO / "set" and [path.name for path in folder.iterdir()] == ["a.jpg"]


def test_an_archive_of_several_folders_is_itself_the_set() -> None:
    Path("set.archive").write_bytes(as_zip([("train/cat/1.png", b"1"), ("test/cat/2.png", b"2")]))
    INTO.mkdir()
    assert extract_archive([Path("set.archive")], INTO) == INTO


def test_a_full_disk_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def raise_disk_full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stylegan_lab.data.download.extraction._EntryChecks.count", raise_disk_full)
    with refused("download.not_writable", "into", "No space left on device", "GB are free"):
        unpack(as_zip([("a.jpg", b"1")]))


def test_gunzip_limits_the_size() -> None:
    Path("a.gz").write_bytes(gzip.compress(bytes(1000)))
    assert gunzip(Path("a.gz"), 1000) == bytes(1000)
    with refused("download.archive_too_large", "a.gz", "999"):
        gunzip(Path("a.gz"), 999)
    Path("a.gz").write_bytes(b"no")
    with refused("download.archive_damaged", "a.gz"):
        gunzip(Path("a.gz"), 999)
