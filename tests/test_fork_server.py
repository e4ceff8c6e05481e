"""A process of the fork server behaves like one that was started as usual."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems start processes as usual")

SCRIPT = """
import os, subprocess, sys, time
if "wait" in sys.argv:
    print("ready", flush=True)
    time.sleep(60)
print("lightning" in sys.modules, __name__, sys.argv[1:], os.getcwd(), os.environ.get("GIVEN"), os.getpgrp() == os.getpid())
print(sys.stdin.read(), file=sys.stderr)
if "again" in sys.argv:
    sys.exit(subprocess.run([sys.executable, *sys.argv[:1]], stdin=subprocess.DEVNULL).returncode + 1)
sys.exit(3)
"""


@pytest.fixture(autouse=True)
def script(forked_processes: None, tmp_path: Path) -> None:  # noqa: ARG001
    Path("script.py").write_text(SCRIPT)
    Path("folder").mkdir()


def test_it_has_its_arguments_streams_folder_environment_and_exit_code(tmp_path: Path) -> None:
    command = [sys.executable, str(tmp_path / "script.py"), "one", "two words"]
    options = {"cwd": "folder", "env": {"GIVEN": "7"}, "capture_output": True, "text": True}
    done = subprocess.run(command, input="typed", start_new_session=True, **options)
    assert done.stdout == f"True __main__ ['one', 'two words'] {tmp_path}/folder 7 True\n"
    assert (done.stderr, done.returncode) == ("typed\n", 3)


def test_it_starts_further_processes_in_the_group_of_the_tests(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "script.py", "again"], input="", stdout=subprocess.PIPE, text=True)
    first, second = done.stdout.splitlines()[::-1]
    assert first == f"True __main__ ['again'] {tmp_path} None False" and second.startswith("True __main__ []")
    assert done.returncode == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_signals_end_it(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "script.py", "wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n" and process.poll() is None
        os.kill(process.pid, number)
        assert process.wait(30) == -number


def test_modules_and_other_programs_run_too() -> None:
    assert subprocess.run([sys.executable, "-m", "stylegan_lab", "--version"], stdout=subprocess.PIPE).returncode == 0
    assert subprocess.run(["false"]).returncode == 1
