"""`stylegan-lab sync`: upload to W&B what trainings wrote down offline, each run once, its parts in their order."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.comparison.found import find_runs
from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import amount
from stylegan_lab.runs import Run

CUT_OFF = "ends with an incomplete record"
STAGED = re.compile(rb"(/[^\x00-\x1f]+?/artifacts/staging)/tmp")


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab sync",
        description="Upload to W&B what trainings wrote down offline. What is uploaded is marked, and not uploaded again.",
        epilog="example: stylegan-lab sync runs/demo runs/sweeps/20260101-120000 --dry-run",
    )
    parser.add_argument("runs", nargs="+", metavar="RUNS", help="run folders, folders that hold runs, sweeps, patterns")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be uploaded")
    options = parser.parse_args(arguments)
    found = [Offline(folder) for folder in find_runs(options.runs)]
    waiting = [run for run in found if run.waiting]
    print("\n".join([*map(str, found), in_all(waiting)]))
    if options.dry_run:
        if waiting and (missing := what_is_missing()):
            print(f"{missing}, before it can be uploaded")
    elif waiting:
        upload_all(waiting)
    return 0


class Offline:
    """What W&B wrote down of one run: a part for each time it was trained or evaluated without a server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=lambda part: part.parent.name)

    def __str__(self) -> str:
        if not self.parts:
            return f"{self.folder}  has nothing that W&B wrote offline"
        if not self.waiting:
            return f"{self.folder}  is uploaded"
        parts = count(len(self.waiting), "part") + (f" of {len(self.parts)}" if self.waiting != self.parts else "")
        lost = f"; without tables and checkpoints, which were kept in {self.lost}" if self.lost else ""
        return f"{self.folder}  {parts}, {count(self.pictures, 'picture')}, {amount(self.bytes)}{lost}"

    @property
    def waiting(self) -> list[Path]:
        """Those which are not marked as uploaded, in the order in which they were begun."""
        return [part for part in self.parts if not _marker(part).exists()]

    @property
    def pictures(self) -> int:
        return sum(1 for part in self.waiting for _ in part.parent.glob("files/media/images/**/*.*"))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for part in self.waiting for path in part.parent.rglob("*") if path.is_file())

    @property
    def lost(self) -> str | None:
        """Where W&B looks for the files of tables and checkpoints, if the folder was moved away from there."""
        named = Counter(place for part in self.waiting for place in STAGED.findall(part.read_bytes()))
        places = [place.decode(errors="replace") for place, _ in named.most_common()]
        return places[0] if places and not any(Path(place).is_dir() for place in places) else None

    def upload(self) -> str:
        """By W&B's own command, which appends a part to those it knows. Returns where the run can be seen."""
        seen = "uploaded"
        for part in self.waiting:
            said = self._say_sync(part.parent.resolve())
            if any(CUT_OFF in line for line in said):  # as a machine's end leaves it; nothing more is to come of it
                _marker(part).touch()
            if not _marker(part).exists():
                why = [line for line in said if line.startswith("ERROR")] or said
                raise Mistake(f"{self.folder} is not uploaded whole: {why[-1] if why else 'W&B does not say why'}")
            seen = next(iter(re.findall(r" at (https?://\S+)", "\n".join(said))), seen)
        return seen

    def _say_sync(self, part: Path) -> list[str]:
        """What is said to it."""
        kept = self.folder.resolve() / "wandb"
        places = {"WANDB_DIR": kept.parent, "WANDB_DATA_DIR": kept / "data", "WANDB_CACHE_DIR": kept / "cache"}
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(part)],
            env={**os.environ, **{name: str(place) for name, place in places.items()}, "WANDB_MODE": "online"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        lines = (done.stdout + done.stderr).splitlines()
        return [line.removeprefix("wandb: ") for line in lines if line.strip()]


def _marker(part: Path) -> Path:
    """What W&B leaves beside a part that it has uploaded."""
    return part.with_suffix(".wandb.synced")


def in_all(waiting: Sequence[Offline]) -> str:
    parts, pictures = sum(len(run.waiting) for run in waiting), sum(run.pictures for run in waiting)
    size = amount(sum(run.bytes for run in waiting))
    return f"{count(len(waiting), 'run')} to upload: {count(parts, 'part')}, {count(pictures, 'picture')}, {size}"


def what_is_missing() -> str | None:
    """A key, or a server that answers."""
    from stylegan_lab.loggers.wandb import has_key, server, server_answers

    if not has_key():
        return "W&B needs a key: give it to `wandb login`, or as WANDB_API_KEY"
    if not server_answers():
        return f"{server().geturl()} does not answer: a network is needed"
    return None


def upload_all(waiting: Sequence[Offline]) -> None:
    """What cannot be uploaded is told at the end, and the others are."""
    if missing := what_is_missing():
        raise Mistake(f"nothing is uploaded: {missing}")
    failed = []
    for run in waiting:
        try:
            with Run(run.folder).held():
                print(f"{run.folder}  {run.upload()}", flush=True)
        except Mistake as mistake:
            failed.append(str(mistake))
    if failed:
        raise Mistake("\n".join(failed))


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
