"""A run: the folder a training leaves behind, and how it is read again."""

import json
import os
import secrets
import time
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf

from stylegan_lab.mistake import Mistake


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

    def checkpoint(self, name: str = "last") -> Path:
        """A checkpoint by its name (last, best, ...) or by its path."""
        named = self.checkpoints / f"{name}.ckpt"
        if named.is_file():
            return named
        if Path(name).is_file():
            return Path(name)
        have = ", ".join(sorted(path.stem for path in self.checkpoints.glob("*.ckpt"))) or "none yet"
        raise Mistake(f"{self.folder} has no checkpoint {name}; it has: {have}")

    def make(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            probe = self.folder / f".{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise Mistake(f"{self.folder} cannot be written: {error.strerror}; give output_dir=FOLDER") from None

    def remove_if_empty(self) -> None:
        """Leave nothing behind of a run that never was; folders above it go too while they hold nothing else."""
        folder = self.folder
        while folder != Path.cwd() and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def describe(self, config: dict[str, Any], overrides: list[str], environment: dict[str, Any]) -> None:
        """Write down what was asked and of what machine; an experiment is known by these files."""
        write_text(self.folder / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(config)))
        write_text(self.folder / "overrides.txt", "".join(f"{override}\n" for override in overrides))
        write_text(self.folder / "environment.json", json.dumps(environment, indent=2) + "\n")

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
        return Run(place.resolve().parent.parent), str(place.resolve())
    if (place / "config.yaml").is_file():
        return Run(place), "last"
    if place.is_dir() and (runs := sorted(place.glob("**/config.yaml"), key=lambda file: file.stat().st_mtime)):
        raise Mistake(f"{path} is not a run but holds {len(runs)}; the newest is {runs[-1].parent}")
    raise Mistake(f"{path} is neither a run's folder (with config.yaml in it) nor a checkpoint (.ckpt)")


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's contents, on the CPU; only tensors and plain values are ever loaded."""
    try:
        contents: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise Mistake(f"{path} cannot be read: it is damaged, or no checkpoint") from error
    if not {"config", "state_dict", "iteration"} <= contents.keys():
        raise Mistake(f"{path} is not a checkpoint of stylegan_lab")
    return contents


def write_text(path: Path, text: str) -> None:
    """All of it or nothing: readers never see half a file."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
