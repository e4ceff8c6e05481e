"""Keeps tensors that are expensive to compute in files below the cache folder."""

import pickle
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from stylegan_lab.files.atomic_write import atomic_write


def cached_tensors(path: Path, compute: Callable[[], Any]) -> Any:
    """Return the tensors in a file. If the file cannot be read, compute them and try to save them; the result is the same if saving
    fails."""
    try:
        return torch.load(path, weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError):
        computed = compute()
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            torch.save(computed, file)
    return computed
