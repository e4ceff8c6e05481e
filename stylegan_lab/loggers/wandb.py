"""Weights & Biases: online if there is an API key and the server answers, else offline. All its files stay in the run folder."""

import netrc
import os
import secrets
import ssl
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from http.client import HTTPException
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.error import HTTPError, URLError
from urllib.parse import urlparse
from urllib.request import urlopen

import yaml
from lightning.pytorch.loggers import Logger
from PIL import Image

from stylegan_lab.errors import UserError, hide_environment
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.images.grid import split_cells
from stylegan_lab.loggers.background_logger import PATIENCE, BackgroundLogger
from stylegan_lab.runs.checkpoint_index import CheckpointIndex
from stylegan_lab.runs.metrics_file import read_metrics
from stylegan_lab.runs.reader import read_environment, read_protocol, read_text
from stylegan_lab.runs.run import Run

Mode = Literal["auto", "offline", "online"]
CONNECT_TIMEOUT = 3.0  # seconds
GROUP = "WANDB_RUN_GROUP"  # the environment variable with the group of a sweep's trials
CHECKPOINTS = ("last", "best")
UPLOAD_PATIENCE = 120.0  # more seconds at the end for each checkpoint that is uploaded
_has_hung = False  # in this process


class WandBRun(NamedTuple):
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
    """Return the logger of the config choice `logger=wandb`; conf/logger/wandb.yaml describes the settings."""
    if unknown := [name for name in checkpoints or () if name not in CHECKPOINTS]:
        raise UserError(
            "config.unknown_choice",
            f"logger.wandb.checkpoints: {unknown[0]} is unknown; choices: {', '.join(CHECKPOINTS)}",
        )
    destination = WandBRun(project, entity, group, job_type, [hide_environment(tag) for tag in tags or ()])
    return BackgroundLogger(
        "wandb",
        lambda: WandBLogger(run, destination, mode, tables, checkpoints or ()),
        patience + UPLOAD_PATIENCE * len(checkpoints or ()),
        abandon_wandb,
    )


def abandon_wandb() -> None:
    """Log offline from now on. Otherwise the evaluation after the training would wait for the same unresponsive server again."""
    global _has_hung
    _has_hung = True
    end_wandb_service()


def end_wandb_service() -> None:
    """End W&B's own process. It would keep trying to send, and this process would wait for it for more than a minute on exit."""
    with suppress(Exception):  # W&B has no public way; what it has not sent is in the run's folder
        setup: Any = sys.modules["wandb.sdk.wandb_setup"]  # an import would wait if the logger's thread hangs in one
        connection = setup._singleton._connection  # None if it has no process
        connection._cleanup()  # of its hook at exit
        connection._proc._process.kill()
        setup._singleton = None  # so that a later run starts another process
        sys.modules["wandb.sdk.lib.service.service_token"].clear_service_in_env()
        sys.modules["wandb.sdk.lib.module"].unset_globals()


class WandBLogger(Logger):
    """Logs to one W&B run per run folder. A resumed training continues the same W&B run."""

    name, version = "wandb", ""

    def __init__(
        self, run: Run, destination: WandBRun, mode: Mode = "auto", tables: bool = True, checkpoints: Sequence[str] = ()
    ) -> None:
        super().__init__()
        # Offline too, the exit would wait ten seconds to send reports.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        # The import takes a second, which the logger's thread can spend during the first steps.
        self._wandb = import_module("wandb")
        folder = run.folder / "wandb"
        for kind in ("DATA", "CACHE"):  # not CONFIG: `wandb login` stores the server there
            os.environ[f"WANDB_{kind}_DIR"] = str(folder / kind.lower())
        self._run_folder, self._tables, self._checkpoints = run, tables, checkpoints
        config = yaml.safe_load(read_text(run, "config.yaml"))
        self._run = self._wandb.init(
            id=_stored(folder / "id", lambda: secrets.token_hex(4)),
            name=f"{run.folder.parent.name}/{run.folder.name}",
            group=destination.group
            or _stored(folder / "group", lambda: os.environ.get(GROUP) or experiment_name(config)),
            job_type=destination.job_type,
            tags=[*destination.tags, *(config[group]["_target_"].split(".")[-1] for group in ("model", "data"))],
            config=config | {"environment": read_environment(run)},
            dir=run.folder,
            mode=resolve_mode(mode),
            resume="allow",
            settings=self._wandb.Settings(silent=True, console="off"),
            project=destination.project,
            entity=destination.entity,
        )
        self._run.define_metric("*", step_metric="iteration")
        self.version = str(self._run.id)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        self._run.log({**metrics, "iteration": step})

    def log_hyperparams(self, params: Any, *_: Any, **__: Any) -> None:
        """Do nothing, because the logger has read the hyperparameters from config.yaml when it was built."""

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        self._run.log({key: [self._wandb.Image(path) for path in images], "iteration": step})

    def log_cells(self, key: str, path: str, rows: int, columns: int, step: int | None = None) -> None:
        """Log an image grid as a table with a row for each input image. W&B can compare such tables between runs and iterations."""
        if not self._tables:
            return
        table = self._wandb.Table(["iteration", "input", *(f"row {row + 1}" for row in range(rows))])
        with Image.open(path) as image:
            for number, column in enumerate(zip(*split_cells(image, rows, columns), strict=True)):
                table.add_data(step, number, *map(self._wandb.Image, column))
        self._run.log({key: table, "iteration": step})

    def finalize(self, status: str) -> None:
        scores = run_summary(self._run_folder)
        self._run.summary.update(scores)
        for name in self._checkpoints:
            if path := CheckpointIndex.read(self._run_folder.checkpoints).path_of(name):
                artifact = self._wandb.Artifact(
                    f"checkpoint-{self._run.id}", "model", metadata={"file": path.name, **scores}
                )
                artifact.add_file(str(path), name="model.ckpt")
                self._run.log_artifact(artifact, aliases=[name, path.stem])
        self._run.finish(exit_code=0 if status == "success" else 1)


def run_summary(run: Run) -> dict[str, float]:
    """Return the latest and the best validation scores of all sessions, for W&B's table of runs."""
    summary: dict[str, float] = {}
    built_in = {f"val/{name}": metric.direction for name, metric in METRICS.items()}
    directions: dict[str, str] = built_in | read_protocol(run).get("better", {})
    for row in read_metrics(run.metrics) if run.metrics.exists() else []:
        for name, value in row.items():
            if name.startswith("val/"):
                summary[name] = value
            if name in directions and isfinite(value):
                choose = max if directions[name] == "higher" else min
                summary[f"best/{name}"] = choose(value, summary.get(f"best/{name}", value))
    return summary


def experiment_name(config: Mapping[str, Any]) -> str:
    """Return the name of the experiment, or else of the model."""
    return str(config.get("name") or config["model"]["_target_"].split(".")[-2])


def _stored(path: Path, make: Callable[[], str]) -> str:
    """Return the text of a file, which is made first if there is none. It stays the same when the run folder is moved."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(make(), encoding="utf-8")
    return path.read_text(encoding="utf-8")


def resolve_mode(mode: Mode) -> Literal["online", "offline"]:
    """Return whether to log online or offline. This is decided before W&B is called, because W&B would wait for minutes for an
    unreachable server."""
    if _has_hung or os.environ.get("WANDB_MODE") in ("offline", "dryrun") or mode == "offline":
        return "offline"
    return "online" if mode == "online" or (has_wandb_key() and wandb_is_reachable()) else "offline"


def has_wandb_key() -> bool:
    """Return whether there is an API key in the environment, or one that `wandb login` saved."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(wandb_url().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def wandb_is_reachable() -> bool:
    """Return whether the server answers a request. A server that accepts connections but does not answer would delay the end of
    the training."""
    try:
        urlopen(wandb_url().geturl(), timeout=CONNECT_TIMEOUT).close()
    except HTTPError:  # an answer
        return True
    except URLError as error:
        return isinstance(error.reason, ssl.SSLError)  # W&B has settings of its own for certificates
    except (OSError, HTTPException, ValueError):
        return False
    return True


def wandb_url() -> Any:
    """Return the URL of the server: from the environment, or else as set by `wandb login --host`."""
    url = os.environ.get("WANDB_BASE_URL")
    if url is None:
        from wandb.sdk import wandb_setup

        url = wandb_setup.singleton().settings.base_url
    return urlparse(url)
