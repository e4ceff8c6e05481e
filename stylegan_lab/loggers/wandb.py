"""Weights & Biases: online where there is a key and an answer, else offline; all its files stay under the run."""

import netrc
import os
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger

from stylegan_lab.loggers.mirror import PATIENCE, Mirror
from stylegan_lab.runs import Run

Mode = Literal["auto", "offline", "online"]
PROBE = 3.0  # seconds


def wandb_logger(
    run: Run,
    project: str = "stylegan_lab",
    mode: Mode = "auto",
    entity: str | None = None,
    group: str | None = None,
    tags: list[str] | None = None,
    patience: float = PATIENCE,
) -> Logger:
    return Mirror("wandb", lambda: WandB(run, project, mode, entity, group, tags), patience)


class WandB(Logger):
    """One W&B run for one run's folder, under the same name, so that a resumed run goes on in it."""

    def __init__(
        self, run: Run, project: str, mode: Mode, entity: str | None, group: str | None, tags: list[str] | None
    ) -> None:
        super().__init__()
        for kind in ("DATA", "CACHE", "CONFIG"):
            os.environ.setdefault(f"WANDB_{kind}_DIR", str(run.folder / "wandb" / kind.lower()))
        import wandb

        self._wandb = wandb
        self._run = wandb.init(
            id=_kept_id(run.folder / "wandb" / "id"),
            name=f"{run.folder.parent.name}/{run.folder.name}",
            dir=run.folder,
            mode=decided(mode),
            resume="allow",
            settings=wandb.Settings(silent=True, console="off"),
            project=project,
            entity=entity,
            group=group,
            tags=tags,
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
        self._run.config.update(dict(params), allow_val_change=True)

    def log_image(self, key: str, images: list[str], step: int | None = None) -> None:
        self._run.log({key: [self._wandb.Image(path) for path in images], "iteration": step})

    def finalize(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "success" else 1)


def _kept_id(path: Path) -> str:
    """The same for as long as the folder lives, wherever it is moved."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(secrets.token_hex(4))
    return path.read_text()


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
        return netrc.netrc(os.environ.get("NETRC")).authenticators(_server().hostname or "") is not None
    except (OSError, netrc.NetrcParseError):
        return False


def server_answers() -> bool:
    server = _server()
    port = server.port or (80 if server.scheme == "http" else 443)
    try:
        socket.create_connection((server.hostname or "", port), timeout=PROBE).close()
    except OSError:
        return False
    return True


def _server() -> Any:
    return urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai"))
