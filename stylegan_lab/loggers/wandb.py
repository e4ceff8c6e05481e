"""Weights & Biases: online where there is a key and an answer, else offline; all its files stay under the run."""

import netrc
import os
import socket
from typing import Any, Literal
from urllib.parse import urlparse

from lightning.pytorch.loggers import Logger

from stylegan_lab.loggers.mirror import Mirror
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
) -> Logger:
    """`auto` is decided before W&B is asked anything, because an unreachable server would hold it for minutes."""
    os.environ.setdefault("WANDB_SILENT", "true")
    for kind in ("DATA", "CACHE", "CONFIG"):
        os.environ.setdefault(f"WANDB_{kind}_DIR", str(run.folder / "wandb" / kind.lower()))

    def make() -> Logger:
        from lightning.pytorch.loggers import WandbLogger

        offline = mode == "offline" or (mode == "auto" and not (_has_key() and _answers()))
        name = f"{run.folder.parent.name}/{run.folder.name}"
        settings: dict[str, Any] = {"entity": entity, "group": group, "tags": tags, "resume": "allow"}
        return WandbLogger(
            name=name,
            save_dir=str(run.folder),
            id=run.folder.name,
            project=project,
            offline=offline,
            **{key: value for key, value in settings.items() if value is not None},
        )

    return Mirror("wandb", make)


def _has_key() -> bool:
    return bool(os.environ.get("WANDB_API_KEY")) or _saved_key() is not None


def _saved_key() -> str | None:
    host = urlparse(_server()).hostname or ""
    try:
        entry = netrc.netrc().authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return entry[2] if entry else None


def _answers() -> bool:
    address = urlparse(_server())
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), timeout=PROBE).close()
    except OSError:
        return False
    return True


def _server() -> str:
    return os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
