"""`stylegan-lab watch`: show the progress of a training in the terminal or on a web page. It only reads the run's folder."""

import sys
import time
from argparse import Namespace

from rich.console import Console
from rich.live import Live

from stylegan_lab.reporting.live_frame import frame
from stylegan_lab.reporting.live_page import WatchServer
from stylegan_lab.reporting.live_run import LiveRun, RunSnapshot
from stylegan_lab.runs.reader import newest_run

REFRESH_SECONDS = 2.0


def main(options: Namespace) -> int:
    run = LiveRun(newest_run(options.run))
    if options.once:
        console = Console(file=sys.stdout)
        console.print(frame(run.read(), console), soft_wrap=True)
        return 0
    try:
        return serve(run, options.port) if options.web else follow(run)
    except KeyboardInterrupt:
        print("no longer watched; the run itself is not affected")
        return 130


def follow(run: LiveRun) -> int:
    """Show the run until its training ends. If the output is a file or a pipe, only the last frame is written."""
    console = Console(file=sys.stdout)
    with Live(console=console, auto_refresh=False) as live:
        while not (snapshot := _show(run, live)).is_over:
            time.sleep(REFRESH_SECONDS)
    if not console.is_terminal:
        print()
    return 0 if snapshot.status == "finished" else 1


def serve(run: LiveRun, port: int) -> int:
    """Serve the web page until Ctrl-C, even after the training has ended."""
    with WatchServer(run, port) as server:
        print(f"{run.folder}\nis shown at {server.url} (end with Ctrl-C; the run itself is not affected)", flush=True)
        server.serve_forever()
    return 0


def _show(run: LiveRun, live: Live) -> RunSnapshot:
    snapshot = run.read()
    live.update(frame(snapshot, live.console, live.console.height if live.console.is_terminal else None), refresh=True)
    return snapshot
