"""The environment of a run: versions, commit and hardware. They are recorded so that a score can be traced to the code."""

import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("stylegan_lab", "torch", "lightning", "hydra-core", "omegaconf", "torchmetrics", "wandb", "numpy", "pillow")
CODE = (":/stylegan_lab", ":/conf", ":/hydra_plugins", ":/baselines/*.yaml")  # new files here change what the code does
RECORDED = ":(top,exclude)baselines/results"  # written by the program; not code


def describe_environment(world_size: int) -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {package: _version(package) for package in PACKAGES},
        "commit": commit_of_code(),
        "command": sys.argv,
        "processor": _processor(),
        "cpu_count": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpus": [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())],
        "cuda": torch.version.cuda,
        "world_size": world_size,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str | None:
    """The processor's name, or None if the system does not report one."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), None)


def commit_of_code() -> str | None:
    """The commit of the checkout that this code runs from, followed by + if files were changed. None if the code does not
    run from a checkout."""
    try:
        commit = _git("rev-parse", "HEAD")
        changes = _git("status", "--porcelain", "--untracked-files=no", "--", ":/", RECORDED)
        changes += _git("status", "--porcelain", "--", *CODE)
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+" if changes else "")


def _git(*arguments: str) -> str:
    git = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(git, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
