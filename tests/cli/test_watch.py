"""`watch`: a frame in the terminal and the page over HTTP, of runs in any state. Nothing is written."""

import http.client
import io
import json
import math
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from stylegan_lab.cli import watch
from stylegan_lab.cli.main import run
from stylegan_lab.files.file_lock import try_lock
from stylegan_lab.reporting.live_frame import ASCII_BLOCKS, BLOCKS, frame, sparkline
from stylegan_lab.reporting.live_page import WatchServer
from stylegan_lab.reporting.live_run import LiveRun, RunSnapshot
from stylegan_lab.reporting.run_record import read_run
from tests.refusals import refused
from tests.reporting.browser import browser, needs_browser
from tests.reporting.run_folders import make_run

WARNING = "iteration 40: discriminator_a is overpowered: it ranked [bold]over 99%"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of 100 iterations, with losses, scores, a warning and samples."""
    place = make_run(tmp_path / "runs" / "<b>", scores={"l1": 0.125})
    (place / "protocol.json").write_text(json.dumps({"protocol": {}, "better": {"val/ssim": "higher"}}))
    (place / "log.txt").write_text(f"2026-01-01 12:00:00  {WARNING}\n2026-01-01 12:00:01  an escape \x1b[31m\n")
    (place / "samples").mkdir()
    for iteration in (50, 100):
        Image.new("RGB", (34, 16), (iteration, 80, 80)).save(place / "samples" / f"{iteration:06d}.png")
    return place


def set_state(folder: Path, status: str, **changes: object) -> None:
    state = {"schema": 1, "status": status, "budget": 100, "iteration": 100, "sessions": [], **changes}
    (folder / "run.json").write_text(json.dumps(state))


def append_metrics(folder: Path, text: str) -> None:
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(text)


def shown(snapshot: RunSnapshot, width: int = 120, height: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as capture:
        console.print(frame(snapshot, console, height))
    return capture.get()


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
            for path in [folder, *folder.rglob("*")]}  # fmt: skip


@contextmanager
def served(live: LiveRun) -> Iterator[WatchServer]:
    with WatchServer(live, 0) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


def request(
    server: WatchServer, path: str, method: str = "GET", host: str | None = None
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request(method, path, headers={"Host": host} if host else {})
    response = connection.getresponse()
    answer = response.status, response.headers, response.read()
    connection.close()
    return answer


def test_a_frame_shows_progress_losses_scores_warnings_and_samples(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["watch", str(folder), "--once"]) == 0
    out = capsys.readouterr().out
    assert "finished" in out and "100 of 100" in out and "4.0 images/s" in out
    assert re.search(rf"loss/generator +{BLOCKS[-1]}{BLOCKS[0]} +0\.01\b", out), "1/50, then 1/100"
    assert re.search(rf"val/ssim +{BLOCKS[0]}{BLOCKS[-1]} +0\.5 at 100, best 0\.5 ↑", out)
    assert re.search(r"test/l1 +0\.125 at 100", out)
    assert WARNING in out, "with its brackets, which are no markup"
    assert str(folder / "samples" / "000100.png") in out
    assert "\x1b" not in out, "what a log holds cannot drive the terminal"


def test_a_folder_means_the_run_that_was_written_to_last(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = make_run(folder.parent / "other")
    for place, age in ((folder, 0), (other, 1000)):
        for name in ("config.yaml", "environment.json", "metrics.jsonl"):
            path = place / name
            times = path.stat().st_mtime_ns - age * 10**9
            os.utime(path, ns=(times, times))
    assert run(["watch", str(folder.parent), "--once"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == str(folder)


@pytest.mark.parametrize(
    ("status", "code"), [("finished", 0), ("interrupted", 1), ("failed", 1), ("running", 1)], ids=str
)
def test_it_ends_with_the_training(
    status: str, code: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run is trained, as its lock says, until the first frame is shown. `running` without a lock was killed."""
    set_state(folder, "running")
    descriptor = try_lock(folder / ".lock")
    assert descriptor is not None

    def end_of_training(_: float) -> None:
        os.close(descriptor)
        set_state(folder, status)

    monkeypatch.setattr(watch.time, "sleep", end_of_training)
    assert run(["watch", str(folder)]) == code
    assert ("interrupted" if status == "running" else status) in capsys.readouterr().out


def test_ctrl_c_ends_watching(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(_: LiveRun) -> RunSnapshot:
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveRun, "read", interrupt)
    assert run(["watch", str(folder)]) == 130
    assert "not affected" in capsys.readouterr().out


def test_half_a_line_waits_for_its_other_half(folder: Path) -> None:
    live = LiveRun(folder)
    assert live.read().record.iteration == 100
    append_metrics(folder, '{"iteration": 150, "loss/gene')
    assert live.read().record.iteration == 100
    append_metrics(folder, 'rator": 0.25}\n5\n{"iteration": null}\nnot JSON\n')
    assert live.read().record.curves["loss/generator"][-1] == (150, 0.25)


def test_a_record_that_is_cut_back_is_read_again(folder: Path) -> None:
    """A training that is resumed deletes the rows after its checkpoint."""
    live = LiveRun(folder)
    live.read()
    rows = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    (folder / "metrics.jsonl").write_text(rows[0])
    assert live.read().record.curves["loss/generator"] == [(50, 0.02)]
    append_metrics(folder, rows[1])
    assert live.read().record.curves == LiveRun(folder).read().record.curves


def test_a_long_record_is_shown_as_one_that_is_read_at_once(folder: Path) -> None:
    """Rows that were read earlier are not kept, and their curves, scores and the identity of the run are."""
    live = LiveRun(folder)
    for start in range(200, 1000, 100):
        rows = [{"iteration": at, "time": 1.0, "loss/generator": math.sin(at)} for at in range(start, start + 100)]
        rows[50]["val/psnr"] = start
        append_metrics(folder, "".join(json.dumps(row) + "\n" for row in rows))
        live.read()
    assert live.read().record == read_run(folder)


def test_the_time_left_is_that_of_this_sessions_pace(folder: Path) -> None:
    """Hours passed between the sessions; since then, ten iterations took 20 seconds."""
    descriptor = try_lock(folder / ".lock")
    sessions = [{"start": "", "budget": 200, "first_iteration": at, "last_iteration": 100} for at in (0, 100)]
    set_state(folder, "running", budget=200, sessions=sessions)
    append_metrics(folder, "".join(json.dumps({"iteration": at, "time": 9e6 + 2 * at}) + "\n" for at in (110, 120)))
    snapshot = LiveRun(folder).read()
    assert snapshot.seconds_left == pytest.approx(80 * 2)
    assert "120 of 200" in shown(snapshot) and "0:02:40 left" in shown(snapshot)
    assert descriptor is not None
    os.close(descriptor)


@pytest.mark.parametrize(
    "name", ["run.json", "metrics.jsonl", "protocol.json", "scores.json", "config.yaml", "log.txt"]
)
def test_a_frame_and_a_page_are_made_without_a_file(name: str, folder: Path) -> None:
    for damage in ("", "{", "\0"):
        (folder / name).write_text(damage)
        assert shown(LiveRun(folder).read())
    (folder / name).unlink()
    snapshot = LiveRun(folder).read()
    assert shown(snapshot) and snapshot.is_over
    with served(LiveRun(folder)) as server:
        assert request(server, "/")[0] == 200


def test_a_run_that_starts_is_not_over(folder: Path) -> None:
    (folder / "run.json").unlink()
    descriptor = try_lock(folder / ".lock")
    assert not LiveRun(folder).read().is_over
    assert descriptor is not None
    os.close(descriptor)


def test_a_run_without_samples_has_none(folder: Path) -> None:
    for path in (folder / "samples").iterdir():
        path.unlink()
    assert "none yet" in shown(LiveRun(folder).read())
    with served(LiveRun(folder)) as server:
        assert request(server, "/samples")[0] == 404
        assert b"<img" not in request(server, "/")[2]


def test_a_run_that_was_moved_away_is_shown_as_it_was(folder: Path) -> None:
    live = LiveRun(folder)
    live.read()
    folder.rename(folder.parent / "elsewhere")
    snapshot = live.read()
    assert snapshot.status == "missing" and snapshot.is_over and len(snapshot.warnings) == 1
    assert snapshot.record.iteration == 100 and "loss/generator" in shown(snapshot)


def test_curves_that_do_not_fit_the_window_are_counted(folder: Path) -> None:
    append_metrics(folder, json.dumps({"iteration": 150, **{f"loss/{index}": 1.0 for index in range(50)}}) + "\n")
    text = shown(LiveRun(folder).read(), width=80, height=24)
    assert len(text.splitlines()) <= 24 and max(map(len, text.splitlines())) <= 80
    listed = sum(line.startswith(("loss/", "val/", "test/")) for line in text.splitlines())
    assert f"and {53 - listed} more" in text


def test_a_sparkline_follows_its_values() -> None:
    assert sparkline(range(8), 8) == BLOCKS
    assert sparkline([3.0] * 5, 8) == BLOCKS[0] * 5
    assert sparkline([], 8) == ""
    assert sparkline([math.nan, 1, 2, math.inf], 8) == f" {BLOCKS[0]}{BLOCKS[-1]} "
    values = [math.sin(index / 20) for index in range(1000)]
    line = sparkline(values, 50, ASCII_BLOCKS)
    means = [sum(values[at : at + 20]) for at in range(0, 1000, 20)]
    heights = [ASCII_BLOCKS.index(block) for block in line]
    assert len(line) == 50
    assert all(heights[i] <= heights[j] for i in range(50) for j in range(50) if means[i] <= means[j])


def test_the_page_shows_what_a_frame_shows_and_loads_nothing_from_elsewhere(folder: Path) -> None:
    with served(LiveRun(folder)) as server:
        status, headers, body = request(server, "/")
        text = body.decode()
        assert status == 200 and headers["Cache-Control"] == "no-store"
        for expected in ("finished", "100 of 100", "loss/generator", "val/ssim", "0.125", WARNING, "&lt;b&gt;"):
            assert expected in text
        assert "<b>" not in text.replace('<p id="progress"><b>', "")
        assert not re.search(r"(src|href)=[\"'](?!#|/samples\?)|url\(|@import|<link|https?:", text)
        (address,) = re.findall(r'<img src="([^"]*)"', text)
        status, headers, image = request(server, address)
        assert status == 200 and headers["Content-Type"] == "image/webp"
        assert Image.open(io.BytesIO(image)).convert("RGB").getpixel((9, 9)) == pytest.approx((100, 80, 80), abs=3)


def test_the_image_before_a_damaged_one_is_served(folder: Path) -> None:
    (folder / "samples" / "000150.png").write_bytes(b"\x89PNG cut off")
    with served(LiveRun(folder)) as server:
        image = Image.open(io.BytesIO(request(server, "/samples")[2])).convert("RGB")
        assert image.getpixel((9, 9)) == pytest.approx((100, 80, 80), abs=3)


@pytest.mark.parametrize(
    "path",
    ["/config.yaml", "/samples/000050.png", "/samples/", "//etc/passwd", "/../run.json", "/%2e%2e/run.json", "x"],
)
def test_no_other_route_leads_to_a_file(path: str, folder: Path) -> None:
    with served(LiveRun(folder)) as server:
        assert request(server, path)[0] == 404


def test_only_get_from_this_machine_is_answered(folder: Path) -> None:
    with served(LiveRun(folder)) as server:
        assert server.server_address[0] == "127.0.0.1"
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            assert request(server, "/", method)[0] == 501
        assert request(server, "/", host="example.org")[0] == 403, "a page elsewhere whose name leads here"
        assert request(server, "/", host="localhost:9000")[0] == 200, "a port that ssh forwards"


def test_nothing_is_written(folder: Path) -> None:
    before = contents(folder)
    assert run(["watch", str(folder), "--once"]) == 0
    assert run(["watch", str(folder)]) == 0
    with served(LiveRun(folder)) as server:
        request(server, "/")
        request(server, "/samples")
    assert contents(folder) == before


def test_mistakes_are_answered(folder: Path) -> None:
    from stylegan_lab.cli.parsers import PARSERS

    for words, code in (
        (["--once", "--web"], "cli.wrong_arguments"),
        (["--port", "80"], "watch.port_without_page"),
        (["--web", "--port", "70000"], "cli.too_large"),
        (["--web", "--port", "-1"], "cli.too_small"),
    ):
        with refused(code, words[-2]):
            PARSERS["watch"]([str(folder), *words])
    assert run(["watch", "nowhere"]) == 2
    with served(LiveRun(folder)) as server, refused("watch.address_unavailable", f"--port={server.server_port}"):
        WatchServer(LiveRun(folder), server.server_port)


@needs_browser
def test_the_page_refreshes_itself(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stylegan_lab.reporting.live_page.REFRESH_SECONDS", 0.1)
    with browser(tmp_path) as page, served(LiveRun(folder)) as server:
        page.call("Page.navigate", url=server.url)
        page.until("document.querySelector('#samples img')?.naturalWidth === 34")
        page.value("document.querySelector('#samples img').dataset.kept = 'yes'")
        append_metrics(folder, '{"iteration": 150, "loss/generator": 0.25, "val/ssim": 0.75}\n')
        page.until("document.querySelector('#scores').textContent.includes('0.75 at 150')")
        assert page.value("document.querySelector('#samples img').dataset.kept") == "yes", (
            "the same image is not loaded again"
        )
        Image.new("RGB", (50, 16)).save(folder / "samples" / "000150.png")
        page.until("document.querySelector('#samples img').naturalWidth === 50")
        assert page.value("document.querySelector('#lost').hidden")
        server.shutdown()
        server.server_close()
        page.until("!document.querySelector('#lost').hidden")
        assert all(url.startswith((server.url, "about:")) for url in page.requested)
