"""`stylegan-lab sync`: upload the W&B records of offline trainings. Each part of a resumed run is uploaded once, in order."""

import os
import re
import subprocess
import sys
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stylegan_lab.console import format_amount
from stylegan_lab.errors import UserError, join_errors
from stylegan_lab.runs.reader import find_runs
from stylegan_lab.runs.run import Run

INCOMPLETE = "ends with an incomplete record"
STAGING_FOLDER = re.compile(rb"(/[^\x00-\x1f]+?/artifacts/staging)/tmp")


def main(options: Namespace) -> int:
    runs = [OfflineRun(folder) for folder in find_runs(options.runs)]
    waiting = [run for run in runs if run.pending]
    print("\n".join([*map(str, runs), format_total(waiting)]))
    if options.dry_run:
        if waiting and (missing := missing_requirement()):
            print(f"cannot be uploaded yet: {missing}")
    elif waiting:
        upload_all(waiting)
    return 0


class OfflineRun:
    """The offline W&B records of one run. Each training session and each evaluation without a server has written one part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts = sorted(folder.glob("wandb/offline-run-*/run-*.wandb"), key=lambda part: part.parent.name)

    def __str__(self) -> str:
        if not self.parts:
            return f"{self.folder}  has no offline records of W&B"
        if not self.pending:
            return f"{self.folder}  is uploaded"
        parts = format_count(len(self.pending), "part") + (
            f" of {len(self.parts)}" if self.pending != self.parts else ""
        )
        folder = self.missing_folder
        missing = f"; without tables and checkpoints, which were stored in {folder}" if folder else ""
        return f"{self.folder}  {parts}, {format_count(self.num_images, 'image')}, {format_amount(self.bytes)}{missing}"

    @property
    def pending(self) -> list[Path]:
        """The parts that are not marked as uploaded, ordered by their start time."""
        return [part for part in self.parts if not _marker(part).exists()]

    @property
    def num_images(self) -> int:
        return sum(1 for part in self.pending for _ in part.parent.glob("files/media/images/**/*.*"))

    @property
    def bytes(self) -> int:
        return sum(path.stat().st_size for part in self.pending for path in part.parent.rglob("*") if path.is_file())

    @property
    def missing_folder(self) -> str | None:
        """The folder in which W&B expects the files of tables and checkpoints, if this folder no longer exists because the run was
        moved."""
        folders = Counter(folder for part in self.pending for folder in STAGING_FOLDER.findall(part.read_bytes()))
        paths = [folder.decode(errors="replace") for folder, _ in folders.most_common()]
        return paths[0] if paths and not any(Path(path).is_dir() for path in paths) else None

    def upload(self) -> str:
        """Upload the pending parts with `wandb sync`, which appends them to the parts already uploaded. Returns the URL of the
        run."""
        url = "uploaded"
        for part in self.pending:
            output = self._run_sync(part.parent.resolve())
            if any(INCOMPLETE in line for line in output):  # the machine was shut down; the rest does not exist
                _marker(part).touch()
            if not _marker(part).exists():
                errors = [line for line in output if line.startswith("ERROR")] or output
                reason = errors[-1] if errors else "W&B gives no reason"
                raise UserError(
                    "logger.upload_incomplete",
                    f"{self.folder} is not uploaded completely: {reason}; run stylegan-lab sync again",
                )
            url = next(iter(re.findall(r" at (https?://\S+)", "\n".join(output))), url)
        return url

    def _run_sync(self, part: Path) -> list[str]:
        folder = self.folder.resolve() / "wandb"
        folders = {"WANDB_DIR": folder.parent, "WANDB_DATA_DIR": folder / "data", "WANDB_CACHE_DIR": folder / "cache"}
        # Without the W&B process of a training in this process, which may have ended.
        environment = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
        environment |= {name: str(path) for name, path in folders.items()} | {"WANDB_MODE": "online"}
        process = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", str(part)],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        lines = (process.stdout + process.stderr).splitlines()
        return [line.removeprefix("wandb: ") for line in lines if line.strip()]


def _marker(part: Path) -> Path:
    """Return the file that W&B creates next to a part it has uploaded."""
    return part.with_suffix(".wandb.synced")


def format_total(waiting: Sequence[OfflineRun]) -> str:
    parts, images = sum(len(run.pending) for run in waiting), sum(run.num_images for run in waiting)
    size = format_amount(sum(run.bytes for run in waiting))
    return f"{format_count(len(waiting), 'run')} to upload: {format_count(parts, 'part')}, {format_count(images, 'image')}, {size}"


def missing_requirement() -> UserError | None:
    """Return an error if the API key is missing or the server does not answer, else None."""
    from stylegan_lab.loggers.wandb import has_wandb_key, wandb_is_reachable, wandb_url

    if not has_wandb_key():
        return UserError("logger.api_key_missing", "W&B needs an API key: run `wandb login`, or set WANDB_API_KEY")
    if not wandb_is_reachable():
        return UserError("logger.unreachable", f"{wandb_url().geturl()} does not answer; check the network")
    return None


def upload_all(waiting: Sequence[OfflineRun]) -> None:
    """Upload all runs. Failed uploads do not stop the others and are reported at the end."""
    if missing := missing_requirement():
        raise UserError(missing.code, f"nothing is uploaded: {missing}")
    failed: list[UserError] = []
    for run in waiting:
        try:
            with Run(run.folder).lock():
                print(f"{run.folder}  {run.upload()}", flush=True)
        except UserError as error:
            failed.append(error)
    if failed:
        raise join_errors(failed, "logger.several_uploads_failed")


def format_count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
