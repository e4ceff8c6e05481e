"""Weights & Biases: online where there is a key and an answer, else offline; all its files stay under the run."""

import json
import netrc
import os
import secrets
import socket
from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlparse

import yaml
from lightning.pytorch.loggers import Logger
from PIL import Image

from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.images.grid import cells
from stylegan_lab.loggers.mirror import PATIENCE, Mirror
from stylegan_lab.loggers.record import read_record
from stylegan_lab.manifest import Manifest
from stylegan_lab.mistake import Mistake
from stylegan_lab.runs import Run

Mode = Literal["auto", "offline", "online"]
PROBE = 3.0  # seconds
GROUP = "WANDB_RUN_GROUP"  # what a sweep's trials share
CHECKPOINTS = ("last", "best")


class Place(NamedTuple):
    """Where W&B files a run, and under what."""

    project: str = "stylegan_lab"
    entity: str | None = None
    group: str | None = None  # the sweep's name, or the experiment's
    job_type: str = "train"
    tags: Sequence[str] = ()


def wandb_logger(
    run: Run,
    project: str = "stylegan_lab",
    mode: Mode = "auto",
    entity: str | None = None,
    group: str | None = None,
    job_type: str = "train",
    tags: Sequence[str] | None = None,
    tables: bool = True,
    checkpoints: Sequence[str] | None = None,
    patience: float = PATIENCE,
) -> Logger:
    if unknown := [name for name in checkpoints or () if name not in CHECKPOINTS]:
        raise Mistake(f"logger.wandb.checkpoints: {unknown[0]} is unknown; choices: {', '.join(CHECKPOINTS)}")
    place = Place(project, entity, group, job_type, tags or ())
    return Mirror("wandb", lambda: WandB(run, place, mode, tables, checkpoints or ()), patience)


class WandB(Logger):
    """One W&B run for one run's folder, under the same name, so that a resumed run goes on in it."""

    def __init__(
        self, run: Run, place: Place, mode: Mode = "auto", tables: bool = True, checkpoints: Sequence[str] = ()
    ) -> None:
        super().__init__()
        kept = run.folder / "wandb"
        for kind in ("DATA", "CACHE"):  # not CONFIG: there `wandb login` wrote down which server is meant
            os.environ[f"WANDB_{kind}_DIR"] = str(kept / kind.lower())
        import wandb

        self._wandb, self._folder, self._tables, self._checkpoints = wandb, run, tables, checkpoints
        config = yaml.safe_load(run.read("config.yaml"))
        self._run = wandb.init(
            id=_kept(kept / "id", lambda: secrets.token_hex(4)),
            name=f"{run.folder.parent.name}/{run.folder.name}",
            group=place.group or _kept(kept / "group", lambda: os.environ.get(GROUP) or experiment(config)),
            job_type=place.job_type,
            tags=[*place.tags, *_classes(config)],
            config=config | {"environment": json.loads(run.read("environment.json"))},
            dir=run.folder,
            mode=decided(mode),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off"),
            project=place.project,
            entity=place.entity,
        )
        self._run.define_metric("*", step_metric="iteration")

    @property
    def name(self) -> str:
        return "wandb"

    @property
    def version(self) -> str:
        return str(self._run.id)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._run.log({**metrics, "iteration": step})

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """The run's config.yaml, which was read at the beginning."""

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        self._run.log({key: [self._wandb.Image(path) for path in images], "iteration": step})

    def log_cells(self, key: str, path: str, rows: int, columns: int, step: int | None = None) -> None:
        """A grid as a table, a line for each fixed input, in which runs and iterations are laid side by side."""
        if not self._tables:
            return
        table = self._wandb.Table(["iteration", "input", *(f"row {row + 1}" for row in range(rows))])
        with Image.open(path) as picture:
            for number, column in enumerate(zip(*cells(picture, rows, columns), strict=True)):
                table.add_data(step, number, *map(self._wandb.Image, column))
        self._run.log({key: table, "iteration": step})

    def finalize(self, status: str) -> None:
        self._run.summary.update(summary(self._folder))
        for name in self._checkpoints:
            self._log_checkpoint(name)
        self._run.finish(exit_code=0 if status == "success" else 1)

    def _log_checkpoint(self, name: str) -> None:
        path = Manifest.of(self._folder.checkpoints).named(name)
        if path is None:
            return
        scores = summary(self._folder)
        artifact = self._wandb.Artifact(f"checkpoint-{self._run.id}", "model", metadata={"file": path.name, **scores})
        artifact.add_file(str(path), name="model.ckpt")
        self._run.log_artifact(artifact, aliases=[name, path.stem])


def summary(run: Run) -> dict[str, float]:
    """What W&B's table of runs shows of each: the latest and the best scores, of all parts of a run that was resumed."""
    found: dict[str, float] = {}
    better = _directions(run)
    for row in read_record(run.metrics) if run.metrics.exists() else []:
        for name, value in row.items():
            if not name.startswith("val/"):
                continue
            found[name] = value
            if name in better and isfinite(value):
                choose = max if better[name] == "higher" else min
                found[f"best/{name}"] = choose(value, found.get(f"best/{name}", value))
    return found


def _directions(run: Run) -> dict[str, str]:
    """Of the built-in metrics, and of whatever else the run says it is scored by."""
    built_in = {f"val/{name}": metric.better for name, metric in METRICS.items()}
    return built_in | run.protocol().get("better", {})


def experiment(config: Mapping[str, Any]) -> str:
    """Its name, or else the model's."""
    return str(config.get("name") or config["model"]["_target_"].split(".")[-2])


def _classes(config: Mapping[str, Any]) -> list[str]:
    return [config[group]["_target_"].split(".")[-1] for group in ("model", "data")]


def _kept(path: Path, make: Callable[[], str]) -> str:
    """The same for as long as the folder lives, wherever it is moved."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def decided(mode: Mode) -> Literal["online", "offline"]:
    """Before W&B is asked anything, because an unreachable server would hold it for minutes."""
    if os.environ.get("WANDB_MODE") in ("offline", "dryrun") or mode == "offline":
        return "offline"
    return "online" if mode == "online" or (has_key() and server_answers()) else "offline"


def has_key() -> bool:
    """An API key in the environment, or one that `wandb login` saved."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(server().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def server_answers() -> bool:
    place = server()
    port = place.port or (80 if place.scheme == "http" else 443)
    try:
        socket.create_connection((place.hostname or "", port), timeout=PROBE).close()
    except OSError:
        return False
    return True


def server() -> Any:
    """The environment's, or the one that was given to `wandb login --host`."""
    url = os.environ.get("WANDB_BASE_URL")
    if url is None:
        from wandb.sdk import wandb_setup

        url = wandb_setup.singleton().settings.base_url
    return urlparse(url)
