"""The run folder and the files that a training writes into it. runs/reader.py reads these files."""

import json
import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.errors import UserError
from stylegan_lab.files.atomic_write import make_writable, remove_leftovers, write_text_atomic
from stylegan_lab.files.file_lock import try_lock
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.state import RunState

LOCK_FILE = ".lock"
IMPORT_RECORD = "import.json"  # of a run that `stylegan-lab import` made
MOVED_ASIDE = re.compile(r"\.old-\d{8}-\d{6}-[0-9a-f]{4}$")  # the end of the name of a run that made room for another
LOCK_ATTEMPTS = 10  # within a second


class Run:
    """The files of one run's folder, by name."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).resolve()
        self.samples, self.checkpoints = self.folder / "samples", self.folder / "checkpoints"
        self.metrics, self.scores = self.folder / "metrics.jsonl", self.folder / "scores.json"

    @classmethod
    def from_trainer(cls, trainer: Any) -> "Run":
        """The run that this trainer writes to."""
        return cls(Path(trainer.default_root_dir))

    @property
    def state(self) -> RunState | None:
        """The status, budget and iteration that run.json contains now. None if run.json is missing or damaged."""
        from stylegan_lab.runs.reader import read_state  # which imports this class

        return read_state(self.folder)

    def checkpoint(self, name: str = "last") -> Path:
        """Return the path of a checkpoint that is given by its name (last, best, 001000, ...) or by its path."""
        if (named := CheckpointIndex.read(self.checkpoints).path_of(name)) is not None:
            return named
        if Path(name).is_file():
            return Path(name)
        have = ", ".join(sorted(path.stem for path in self.checkpoints.glob("*.ckpt"))) or "none yet"
        raise UserError(
            "checkpoint.not_found", f"{self.folder} has no checkpoint {name}; available checkpoints: {have}"
        )

    def newest(self) -> Path | None:
        return CheckpointIndex.read(self.checkpoints).path_of("last")

    def log(self, sentence: str) -> None:
        """Print a sentence and append it to log.txt. Errors while writing, such as a full disk, are ignored here."""
        with suppress(OSError):  # the terminal may be gone
            print(sentence, flush=True)
        with suppress(OSError), (self.folder / "log.txt").open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {sentence}\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Lock the folder. A second training in the same folder is refused, because both would overwrite each other's files."""
        for attempt in range(LOCK_ATTEMPTS):  # a reader that checks if the run is alive holds its lock for a moment
            time.sleep(1 / LOCK_ATTEMPTS if attempt else 0)
            if (descriptor := try_lock(self.folder / LOCK_FILE)) is not None:
                break
        if descriptor is None:
            raise UserError("run.locked", f"{self.folder} is being trained by another process; wait for it or stop it")
        try:
            remove_leftovers(self.folder)
            remove_leftovers(self.checkpoints)
            yield
        finally:
            os.close(descriptor)

    def create(self) -> None:
        """Create the folder, and check that this program can write to it and to the folders inside it that an earlier
        session created."""
        for folder in (self.folder, *(each for each in (self.checkpoints, self.samples) if each.exists())):
            advice = (
                "give output_dir=FOLDER" if folder == self.folder else "make it writable, or resume a copy of the run"
            )
            try:
                make_writable(folder)
            except FileExistsError:
                raise UserError("run.not_a_folder", f"{folder} is not a folder; {advice}") from None
            except OSError as error:
                raise UserError("run.not_writable", f"{folder} cannot be written: {error.strerror}; {advice}") from None

    @property
    def exists(self) -> bool:
        """Whether the folder holds a run, including a run whose config was lost."""
        return (self.folder / "config.yaml").exists() or any(self.checkpoints.glob("*.ckpt"))

    def move_aside(self) -> None:
        """Rename the folder, if it holds a run, to make room for a new one."""
        if self.exists:
            with self.lock():  # no process trains it
                old = new_run(self.folder.parent, f"{self.folder.name}.old-").folder
            old.rmdir()
            self.folder.rename(old)
            print(f"moved      the run that was in {self.folder} to {old}")

    def remove_if_empty(self) -> None:
        """Delete the folder of a run that never started, and the folders above it that are then empty."""
        folder = self.folder
        if folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK_FILE]:
            (folder / LOCK_FILE).unlink()
        while folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def record_config(
        self,
        config: dict[str, Any],
        overrides: list[str],
        environment: dict[str, Any],
        earlier_commits: Sequence[str | None] = (),
    ) -> None:
        """Write the config, the overrides of the command line, and the environment, which includes the commits of earlier sessions.

        `config.yaml` marks the folder as a run.
        """
        environment = environment | {"commits": [*earlier_commits, environment["commit"]]}
        write_text_atomic(self.folder / "environment.json", json.dumps(environment, indent=2) + "\n")
        write_text_atomic(self.folder / "overrides.txt", "".join(f"{override}\n" for override in overrides))
        config_text = OmegaConf.to_yaml(OmegaConf.create(config))
        write_text_atomic(self.folder / "config.yaml", config_text)  # last, for the reason above

    def record_protocol(self, protocol: dict[str, Any]) -> None:
        """Write how the validation scores are computed. Does nothing if the folder is not, or is no longer, a run folder."""
        if (self.folder / "config.yaml").exists():
            write_text_atomic(self.folder / "protocol.json", json.dumps(protocol, indent=2) + "\n")

    def record_scores(self, scores: dict[str, Any]) -> None:
        """Write the latest scores to scores.json, and append them to scores.jsonl."""
        write_text_atomic(self.scores, json.dumps(scores, indent=2) + "\n")
        with (self.folder / "scores.jsonl").open("a") as history:
            history.write(json.dumps(scores) + "\n")


def new_run(parent: Path, prefix: str = "") -> Run:
    """Make a new folder below `parent`. Its name is unique even if several runs start in the same second."""
    while True:
        folder = parent / f"{prefix}{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise UserError(
                "run.not_writable", f"no run folder can be made in {parent}: {error.strerror}; give output_dir=FOLDER"
            ) from None
        return Run(folder)
