"""Downloads from a server that truncates, stalls and lies: a file arrives whole, or a sentence says why not."""

import hashlib
import subprocess
import sys
import threading
import urllib.request
from collections import namedtuple
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest

from stylegan_lab.console import format_amount, report_progress
from stylegan_lab.errors import UserError
from stylegan_lab.files import download as fetch
from stylegan_lab.files.download import ExpectedChecksum, download
from stylegan_lab.files.file_lock import file_lock
from tests.refusals import refused
from tests.server import Server, error_response, redirect, send_headers, truncated_response

DATA = bytes(range(256)) * 800  # more than one part
SHA256 = ExpectedChecksum(sha256=hashlib.sha256(DATA).hexdigest(), size=len(DATA))
TARGET = Path("sets/file.zip")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 10)
    with Server().running() as serving:
        yield serving


def files_in_folder() -> list[str]:
    return sorted(path.name for path in TARGET.parent.iterdir())


def test_a_file_arrives_whole_and_is_fetched_once(server: Server) -> None:
    url = server.add_file("/file.zip", DATA)
    assert download([url], TARGET, SHA256).read_bytes() == DATA
    assert download([url], TARGET, SHA256).read_bytes() == DATA
    assert len(server.requests) == 1 and files_in_folder() == ["file.zip"]


@pytest.mark.parametrize(
    ("behaviour", "code", "named"),
    [
        (error_response(404), "download.not_found", "404 Not Found"),
        (error_response(403), "download.refused", "403 Forbidden"),
        (error_response(500), "download.unreachable", "500"),
        (error_response(503), "download.unreachable", "503"),
        (error_response(429), "download.unreachable", "429"),
        (redirect("ftp://elsewhere/file.zip"), "download.not_encrypted", "ftp://elsewhere/file.zip"),
        (redirect("/file.zip"), "download.unreachable", "302"),
        (
            lambda handler, data: send_headers(handler, 5, kind="text/html"),
            "download.wrong_file",
            "web page",
        ),
        (lambda handler, data: handler.wfile.write(b"hello\n"), "download.unreachable", "BadStatusLine"),
        (truncated_response(0, 7), "download.wrong_file", "7 bytes"),
        (truncated_response(0, 10**9), "download.wrong_file", "1,000,000,000 bytes"),
    ],
)
def test_each_trouble_is_named_and_leaves_nothing(behaviour: Any, code: str, named: str, server: Server) -> None:
    url = server.add_file("/file.zip", DATA, behaviour)
    with refused(code, url, named, str(TARGET)):
        download([url], TARGET, SHA256)
    assert files_in_folder() == []


def test_a_server_that_is_not_there_is_told() -> None:
    with refused("download.unreachable", "http://127.0.0.1:9/file.zip"):
        download(["http://127.0.0.1:9/file.zip"], TARGET, SHA256)


def test_a_download_that_broke_off_goes_on_where_it_stopped(server: Server) -> None:
    url = server.add_file("/file.zip", DATA, truncated_response(70_000))
    with refused("download.interrupted", url, "70 kB of 205 kB", "repeat the command"):
        download([url], TARGET, SHA256)
    assert not TARGET.exists()
    server.add_file("/file.zip", DATA)
    assert download([url], TARGET, SHA256).read_bytes() == DATA
    assert server.requests[-1][1] == "bytes=70000-" and files_in_folder() == ["file.zip"]


def test_a_stall_ends_with_a_sentence_and_keeps_what_came(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 0.4)
    url = server.add_file("/file.zip", DATA, server.stalled_response(after=100_000))
    with refused("download.interrupted", url, "0.4 s", "100 kB of 205 kB"):
        download([url], TARGET, SHA256)
    monkeypatch.setattr(fetch, "TIMEOUT_SECONDS", 10)
    server.add_file("/file.zip", DATA)
    assert download([url], TARGET, SHA256).read_bytes() == DATA


def test_it_goes_on_from_the_start_where_ranges_are_not_given(server: Server) -> None:
    url = server.add_file("/file.zip", DATA, truncated_response(70_000))
    with refused("download.interrupted"):
        download([url], TARGET, SHA256)
    server.add_file("/file.zip", DATA)
    server.ranges = False
    assert download([url], TARGET, SHA256).read_bytes() == DATA


def test_a_part_of_another_version_is_not_gone_on_with(server: Server) -> None:
    """Nothing is known of the file but the version that the server told."""
    url = server.add_file("/file.zip", DATA, truncated_response(70_000, tag='"of yesterday"'))
    with refused("download.interrupted"):
        download([url], TARGET)
    server.add_file("/file.zip", DATA[::-1])
    assert download([url], TARGET).read_bytes() == DATA[::-1]
    assert server.requests[-1][1] == "bytes=70000-"


def test_a_part_that_nothing_vouches_for_is_not_kept(server: Server) -> None:
    url = server.add_file("/file.zip", DATA, truncated_response(70_000, tag=""))
    with refused("download.interrupted", url, str(TARGET)):
        download([url], TARGET)
    assert files_in_folder() == []


def test_a_part_longer_than_the_file_is_thrown_away(server: Server) -> None:
    url = server.add_file("/file.zip", DATA)
    TARGET.parent.mkdir()
    TARGET.with_name(".file.zip.part").write_bytes(DATA + b"more")
    assert download([url], TARGET, SHA256).read_bytes() == DATA
    assert [asked for _, asked in server.requests] == [f"bytes={len(DATA) + 4}-", None]


def test_a_wrong_range_is_not_taken_for_the_right_one(server: Server) -> None:
    def send_wrong_range(handler: Any, data: bytes) -> None:
        if "Range" not in handler.headers:
            return server.send_file(handler, data)
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes 0-{len(data) - 1}/{len(data)}")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        return None

    url = server.add_file("/file.zip", DATA, send_wrong_range)
    TARGET.parent.mkdir()
    TARGET.with_name(".file.zip.part").write_bytes(DATA[:1000])
    assert download([url], TARGET, SHA256).read_bytes() == DATA


def test_a_length_that_lies_by_too_little_is_found_out(server: Server) -> None:
    url = server.add_file("/file.zip", DATA, truncated_response(len(DATA), length=1000))
    with refused("download.checksum_mismatch", url, "SHA-256"):
        download([url], TARGET, SHA256._replace(size=None))
    assert files_in_folder() == []


def test_more_than_is_expected_is_not_taken(server: Server) -> None:
    def send_without_end(handler: Any, data: bytes) -> None:
        send_headers(handler, None)
        with suppress(OSError):  # the reader has gone
            while not server.stopped.is_set():
                handler.wfile.write(data)

    url = server.add_file("/file.zip", DATA, send_without_end)
    with refused("download.wrong_file", url, "204,800 bytes"):
        download([url], TARGET, SHA256)


@pytest.mark.parametrize("expected", [SHA256, ExpectedChecksum(md5=hashlib.md5(DATA).hexdigest())])
def test_wrong_bytes_of_the_right_length_leave_nothing(expected: ExpectedChecksum, server: Server) -> None:
    url = server.add_file("/file.zip", DATA[::-1])
    with refused("download.checksum_mismatch", url, str(TARGET)):
        download([url], TARGET, expected)
    assert files_in_folder() == []


def test_what_somebody_put_there_is_held_against_what_is_expected() -> None:
    TARGET.parent.mkdir()
    TARGET.write_bytes(DATA[::-1])
    with refused("download.checksum_mismatch", "sets/file.zip", "SHA-256"):
        download(["https://nowhere.invalid/file.zip"], TARGET, SHA256)
    TARGET.write_bytes(DATA)
    assert download(["https://nowhere.invalid/file.zip"], TARGET, SHA256) == TARGET


def test_another_address_is_asked_when_the_first_fails(server: Server) -> None:
    first, second = server.add_file("/first.zip", DATA, error_response(500)), server.add_file("/second.zip", DATA)
    assert download([first, second], TARGET, SHA256).read_bytes() == DATA
    TARGET.unlink()
    server.add_file("/second.zip", DATA, error_response(404))
    with refused("download.unreachable", first, "500"):
        download([first, second], TARGET, SHA256)


def test_a_redirect_is_followed_but_never_out_of_encryption(server: Server) -> None:
    server.add_file("/file.zip", DATA)
    url = server.add_file("/old.zip", b"", redirect("/file.zip"))
    assert download([url], TARGET, SHA256).read_bytes() == DATA
    handler = fetch._Redirects()
    request = urllib.request.Request("https://there/file.zip")
    with pytest.raises(URLError, match="http://there/file.zip") as error:
        handler.redirect_request(request, TARGET.open("rb"), 302, "", {}, "http://there/file.zip")
    assert isinstance(error.value.reason, UserError) and error.value.reason.code == "download.not_encrypted"
    with TARGET.open("rb") as answer:
        assert handler.redirect_request(request, answer, 302, "", {}, "https://there/other.zip") is not None


def test_room_is_asked_for_before_anything_is_written(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(fetch.shutil, "disk_usage", lambda _: usage(100_150_000))
    url = server.add_file("/file.zip", DATA)
    with refused("download.disk_full", "sets/file.zip", "205 kB", "100 MB"):
        download([url], TARGET, SHA256)
    assert files_in_folder() == []


def test_a_place_that_cannot_be_written_is_told(server: Server) -> None:
    Path("sets").write_text("a file")
    with refused("download.not_writable", "sets"):
        download([server.add_file("/file.zip", DATA)], TARGET, SHA256)


def test_an_interruption_leaves_only_what_can_be_gone_on_with(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.add_file("/file.zip", DATA)
    with monkeypatch.context() as patch:
        patch.setattr(fetch, "format_amount", None)
        patch.setattr(fetch.os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            download([url], TARGET, SHA256)
    assert files_in_folder() == [".file.zip.of", ".file.zip.part"]
    assert download([url], TARGET, SHA256).read_bytes() == DATA and files_in_folder() == ["file.zip"]
    assert len(server.requests) == 1, "all of it was there"


def interrupt(_: int) -> None:
    raise KeyboardInterrupt


def test_ranks_that_want_the_same_file_fetch_it_once(server: Server) -> None:
    url = server.add_file("/file.zip", DATA)
    threads = [threading.Thread(target=download, args=([url], TARGET, SHA256)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1 and files_in_folder() == ["file.zip"]


def test_a_lock_ends_with_its_process() -> None:
    TARGET.parent.mkdir()
    code = (
        "import os, pathlib; from stylegan_lab.files.file_lock import file_lock\n"
        "with file_lock(pathlib.Path('sets/file.zip')): os._exit(1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 1
    assert files_in_folder() == [".file.zip.lock"]
    with file_lock(TARGET):
        assert files_in_folder() == [".file.zip.lock"]
    assert files_in_folder() == []


def test_who_waits_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    TARGET.parent.mkdir()
    order = []

    def lock_second() -> None:
        with file_lock(TARGET):
            order.append("second")

    with file_lock(TARGET):
        thread = threading.Thread(target=lock_second)
        thread.start()
        while "waiting for another process, which makes sets/file.zip" not in capsys.readouterr().err:
            thread.join(0.01)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_amounts_are_said_in_round_numbers() -> None:
    assert [format_amount(each) for each in (0, 999, 1000, 35_135_868, 999_600, 8_000_000_000)] == [
        "0 bytes", "999 bytes", "1.0 kB", "35 MB", "1.0 MB", "8.0 GB"]  # fmt: skip


def test_progress_is_told_in_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("stylegan_lab.console.SECONDS_BETWEEN_LINES", -1)
    now = 0.0
    monkeypatch.setattr("stylegan_lab.console.time.monotonic", lambda: now)
    with report_progress("file.zip", 3000, done=1000) as advance:
        now += 1
        advance(500)
    with report_progress("pictures", None, in_bytes=False) as advance:
        advance(7, "two are bad")
    assert capsys.readouterr().err.splitlines() == [
        "file.zip  1.5 kB of 3.0 kB, 0:00:03 left",
        "pictures  7  two are bad",
    ]


def test_progress_in_lines_has_the_time_left_and_an_end(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("stylegan_lab.console.time.monotonic", lambda: now)
    with report_progress("optimizing", 10, in_bytes=False) as advance:
        for _ in range(10):
            now += 4
            advance(1, "style 2")
    assert capsys.readouterr().err.splitlines() == [
        "optimizing  3 of 10, 0:00:28 left  style 2",
        "optimizing  6 of 10, 0:00:16 left  style 2",
        "optimizing  9 of 10, 0:00:04 left  style 2",
        "optimizing  10 of 10  style 2",
    ]
    with report_progress("optimizing", 2, in_bytes=False) as advance:
        advance(2)
    assert capsys.readouterr().err == "", "what is done at once needs no line"


def test_a_bar_in_a_terminal_says_beside_it_what_is_to_be_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with report_progress("painting", 20, in_bytes=False) as advance:
        advance(20, "style [0.5]")
    last = capsys.readouterr().err
    assert "painting" in last and "20/20" in last and "style [0.5]" in last
