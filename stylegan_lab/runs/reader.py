"""The reader of run folders. All code that needs information about a run gets it here. log.txt is shown to people and never
parsed."""

import glob
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.errors import UserError
from stylegan_lab.files.file_lock import is_locked
from stylegan_lab.runs.run import LOCK_FILE, MOVED_ASIDE, Run
from stylegan_lab.runs.state import FILE_NAME, RunState, parse_state

RUN_FILES = ("config.yaml", "metrics.jsonl", "environment.json")  # a folder with one of them is a run
LOG_TAIL_BYTES = 65536
LATEST, RUNS_DIR = "latest", "runs"


def find_run(path: str | Path) -> tuple[Run, str]:
    """Find the run and the name of the checkpoint that a path means. The path is a run folder (checkpoint `last`), a
    checkpoint file, or the word `latest` for the run below runs/ that was written to last."""
    place = Path(path)
    if str(path) == LATEST and not place.exists():
        place = newest_run(RUNS_DIR)
    if place.is_file() and place.suffix == ".ckpt":
        run = Run(place.resolve().parent.parent)
        return run, place.stem if place.parent.resolve() == run.checkpoints else str(place.resolve())
    if (place / "config.yaml").is_file():
        return Run(place), "last"
    if place.is_dir() and (runs := sorted(place.glob("**/config.yaml"), key=lambda file: file.stat().st_mtime)):
        raise UserError(
            "run.folder_of_runs",
            f"{path} is not a run but a folder of {len(runs)} runs; give one of them, such as the newest: {runs[-1].parent}",
        )
    raise UserError(
        "run.not_found",
        f"{path} is neither a run's folder (with config.yaml in it) nor a checkpoint (.ckpt); give one of them, or "
        "`latest` for the newest run in runs/",
    )


def find_runs(places: Sequence[str]) -> list[Path]:
    """Find all run folders in `places`: run folders, folders that contain runs, sweeps and glob patterns. Each run is listed once.

    The runs are in the order of `places`. Runs inside a folder are sorted by name, with numbers in numeric order.
    """
    found = [run for place in places for run in _runs_of(place)]
    return list({run.resolve(): run for run in reversed(found)}.values())[::-1]


def newest_run(place: str) -> Path:
    """Find one run folder. `place` is a run folder, a checkpoint, a folder that contains runs, or a glob pattern.

    If there are several runs, the run that was written to last is returned.
    """
    if Path(place).is_file():
        return find_run(place)[0].folder
    return max(find_runs([place]), key=_last_written)


def read_state(folder: Path) -> RunState | None:
    """Read the state of a run from run.json, or return None if the file is missing or damaged.

    A run whose process was killed is returned as `interrupted`: run.json still says `running`, but no process holds the
    run's lock.
    """
    state = recorded_state(folder)
    if state is not None and state.status == "running" and not is_locked(folder / LOCK_FILE):
        return replace(state, status="interrupted")
    return state


def recorded_state(folder: Path) -> RunState | None:
    """Read the state exactly as run.json has it. It is still `running` if the process was killed."""
    try:
        return parse_state((folder / FILE_NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def check_finished(run: Run) -> RunState:
    """Return the state of a run that was trained to the end of its budget. Every other run is refused with its progress."""
    state = read_state(run.folder)
    if state is None:
        raise UserError(
            "run.state_unreadable", f"{run.folder} is not finished: it has no readable {FILE_NAME}; resume it first"
        )
    if not state.is_finished:
        raise UserError(
            "run.not_finished",
            f"{run.folder} is not finished: it is {state.status}, at iteration {state.iteration} of {state.budget}; "
            "resume it first",
        )
    return state


def recorded_config(run: Run) -> dict[str, Any]:
    """Read the config that the run recorded."""
    text = read_text(run, "config.yaml")
    advice = "Restore the file, or start a new run in another folder"
    damaged = UserError("run.config_damaged", f"{run.folder} cannot be resumed: its config.yaml is damaged. {advice}")
    try:
        config: Any = OmegaConf.to_container(OmegaConf.create(text))
    except Exception as error:  # the parser raises another one for each kind of damage
        raise damaged from error
    if not isinstance(config, dict) or not isinstance(config.get("data"), dict):
        raise damaged
    return config


def read_overrides(run: Run) -> list[str]:
    return read_text(run, "overrides.txt").splitlines()


def read_environment(run: Run) -> dict[str, Any]:
    """Read the recorded versions, hardware and number of processes, and the commit of the code in each session, in order."""
    environment: dict[str, Any] = json.loads(read_text(run, "environment.json"))
    return environment


def read_protocol(run: Run) -> dict[str, Any]:
    """Read the recorded protocol of the validation scores. It is empty if no validation was run."""
    try:
        protocol = json.loads((run.folder / "protocol.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return protocol if isinstance(protocol, dict) else {}


def read_evaluations(run: Run, warnings: list[str] | None = None) -> list[dict[str, Any]]:
    """Read all evaluations of a run. The latest evaluation of each split comes last. A sentence about each damaged
    evaluation is added to `warnings`."""
    lines: list[str] = []
    with suppress(OSError):
        lines += (run.folder / "scores.jsonl").read_text(encoding="utf-8", errors="replace").splitlines()
    with suppress(OSError):
        lines.append(run.scores.read_text(encoding="utf-8", errors="replace"))
    found = []
    for line in lines:
        try:
            scores = json.loads(line)
            if not isinstance(scores["metrics"], dict):
                raise ValueError
            found.append(scores)
        except (ValueError, KeyError, TypeError):
            if warnings is not None:
                warnings.append("an evaluation cannot be read")
    return found


def last_log_lines(folder: Path, count: int) -> list[str]:
    """Read the last lines of log.txt, which are shown to people unchanged."""
    try:
        with (folder / "log.txt").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return text.splitlines()[-count:]


def read_text(run: Run, name: str) -> str:
    """Return the text of a file that the run wrote when it started."""
    try:
        return (run.folder / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise UserError(
            "run.file_missing",
            f"{run.folder} cannot be resumed: its {name} is missing or unreadable. Restore the file, or start a new run in "
            "another folder (the checkpoints of this one can still be evaluated and used)",
        ) from None


def _runs_of(place: str) -> list[Path]:
    matches = [place] if Path(place).exists() else glob.glob(place, recursive=True)  # noqa: PTH207  absolute ones too
    paths = sorted(map(Path, matches), key=_order)
    if not paths:
        raise UserError(
            "run.not_found", f"{place} does not exist, and no folder matches it as a pattern; check the path"
        )
    runs = [run for path in paths if path.is_dir() for run in _runs_below(path)]
    if not runs:
        raise UserError(
            "run.none_in_folder",
            f"{place} contains no runs (folders with config.yaml, metrics.jsonl or environment.json); give another "
            "folder",
        )
    return runs


def _runs_below(folder: Path) -> Iterator[Path]:
    """Find the runs below a folder. The folders inside a run, such as those of W&B, are not searched. Runs that were moved
    aside are left out."""
    if any((folder / name).is_file() for name in RUN_FILES):
        yield folder
        return
    for child in sorted(folder.iterdir(), key=_order):
        if child.is_dir() and not child.name.startswith(".") and not MOVED_ASIDE.search(child.name):
            yield from _runs_below(child)


def _last_written(folder: Path) -> float:
    times = [0.0]
    for name in RUN_FILES:
        with suppress(OSError):
            times.append((folder / name).stat().st_mtime)
    return max(times)


def _order(path: Path) -> tuple[str, int, str]:
    return (str(path.parent), int(path.name) if path.name.isdigit() else -1, path.name)
