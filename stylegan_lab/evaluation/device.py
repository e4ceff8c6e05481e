"""The device on which the networks of metrics run."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_chosen: torch.device | None = None


def metric_device() -> torch.device:
    """Return the device that `metrics_on` has set. If none is set, return the GPU if there is one, else the CPU."""
    return _chosen or torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def metrics_on(device: torch.device) -> Iterator[None]:
    """Within the context, run the networks of metrics on this device."""
    global _chosen
    before, _chosen = _chosen, device
    try:
        yield
    finally:
        _chosen = before
