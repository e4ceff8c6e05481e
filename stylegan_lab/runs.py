"""A run: the folder a training leaves behind, and how it is read again."""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from stylegan_lab.whole import sweep, write_text

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


class Run:
    """Where things stand in a run's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()

    @classmethod
    def of(cls, trainer: Any) -> "Run":
        """The run a trainer works for."""
        return cls(Path(trainer.default_root_dir))

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    @property
    def scores(self) -> Path:
        return self.folder / "scores.json"

    @property
    def cost(self) -> Path:
        return self.folder / "cost.json"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def checkpoint(self, name: str = "last") -> Path:
        """A checkpoint by its name (last, best, 001000, ...) or by its path."""
        if (named := Manifest.of(self.checkpoints).named(name)) is not None:
            return named
        if Path(name).is_file():
            return Path(name)
        have = ", ".join(sorted(path.stem for path in self.checkpoints.glob("*.ckpt"))) or "none yet"
        raise Mistake(f"{self.folder} has no checkpoint {name}; it has: {have}")

    def newest(self) -> Path | None:
        return Manifest.of(self.checkpoints).named("last")

    def tell(self, what: str) -> None:
        """Say it, and write it into the run's log. A full disk is told of elsewhere."""
        with suppress(OSError):  # the terminal may be gone
            print(what, flush=True)
        with suppress(OSError), self.log.open("a", encoding="utf-8") as log:
            log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {what}\n")

    @contextmanager
    def held(self) -> Iterator[None]:
        """For one training at a time: two in one folder would write over each other. Ends with the process."""
        with (self.folder / LOCK).open("w") as lock:
            try:
                if fcntl is not None:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Mistake(f"{self.folder} is being trained by another process; wait for it or stop it") from None
            except OSError:
                pass  # a file system without locks
            sweep(self.folder)
            sweep(self.checkpoints)
            yield

    def make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{os.getpid()}"
            probe.touch()
            probe.unlink()
        except FileExistsError:
            raise Mistake(f"{self.folder} is not a folder; give output_dir=FOLDER") from None
        except OSError as error:
            raise Mistake(f"{self.folder} cannot be written: {error.strerror}; give output_dir=FOLDER") from None

    def read(self, name: str) -> str:
        """What the run wrote down under this name when it began."""
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            raise Mistake(
                f"{self.folder} cannot go on: its {name} is gone or unreadable. Put it back, or start anew in another folder "
                "(its checkpoints can still be evaluated and used)"
            ) from None

    def sittings(self) -> list[dict[str, Any]]:
        """What each process that played has cost; none where nobody wrote it down."""
        try:
            sittings = json.loads(self.cost.read_text(encoding="utf-8"))["sittings"]
            return [each for each in sittings if {"seconds", "gpus", "hardware"} <= each.keys()]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return []

    def record_cost(self, sittings: list[dict[str, Any]]) -> None:
        write_text(self.cost, json.dumps({"schema": 1, "sittings": sittings}, indent=2) + "\n")

    def remove_if_empty(self) -> None:
        """Leave nothing behind of a run that never was; folders above it go too while they hold nothing else."""
        folder = self.folder
        if folder.is_dir() and [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
        while folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def commits(self) -> list[str | None]:
        """Of the code of every sitting, the latest last; runs of before know that one only."""
        environment = json.loads(self.read("environment.json"))
        return environment.get("commits") or [environment.get("commit")]

    def describe(
        self, config: dict[str, Any], overrides: list[str], environment: dict[str, Any], goes_on: bool = False
    ) -> None:
        """Write down what was asked and of what machine; an experiment is known by these files."""
        before = self.commits() if goes_on else []
        environment = environment | {"commits": [*before, environment["commit"]]}
        write_text(self.folder / "environment.json", json.dumps(environment, indent=2) + "\n")
        write_text(self.folder / "overrides.txt", "".join(f"{override}\n" for override in overrides))
        write_text(self.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))  # last: now it is a run

    def record_protocol(self, protocol: dict[str, Any]) -> None:
        """Of the scores that are taken on the way. Where there is no run, or no longer, nothing is to be said of it."""
        if (self.folder / "config.yaml").exists():
            write_text(self.folder / "protocol.json", json.dumps(protocol, indent=2) + "\n")

    def protocol(self) -> dict[str, Any]:
        """As it was recorded; nothing where no score was taken on the way."""
        try:
            told = json.loads((self.folder / "protocol.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return told if isinstance(told, dict) else {}

    def record_scores(self, scores: dict[str, Any]) -> None:
        """The latest in scores.json; all there ever were in scores.jsonl."""
        write_text(self.scores, json.dumps(scores, indent=2) + "\n")
        with (self.folder / "scores.jsonl").open("a") as history:
            history.write(json.dumps(scores) + "\n")


def new_run(parent: Path) -> Run:
    """A folder of its own below `parent`, however many runs start in the same second."""
    while True:
        folder = parent / f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise Mistake(f"cannot make a run folder in {parent}: {error.strerror}; give output_dir=FOLDER") from None
        return Run(folder)


def find_run(path: str) -> tuple[Run, str]:
    """A run and the name of one of its checkpoints, from a run's folder or a checkpoint's path."""
    place = Path(path)
    if place.is_file() and place.suffix == ".ckpt":
        run = Run(place.resolve().parent.parent)
        return run, place.stem if place.parent.resolve() == run.checkpoints else str(place.resolve())
    if (place / "config.yaml").is_file():
        return Run(place), "last"
    if place.is_dir() and (runs := sorted(place.glob("**/config.yaml"), key=lambda file: file.stat().st_mtime)):
        raise Mistake(f"{path} is not a run but holds {len(runs)}; the newest is {runs[-1].parent}")
    raise Mistake(f"{path} is neither a run's folder (with config.yaml in it) nor a checkpoint (.ckpt)")
