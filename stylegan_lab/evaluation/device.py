"""The device that the networks of metrics run on."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

_chosen: torch.device | None = None


def metric_device() -> torch.device:
    """The device chosen by `metrics_on`; without one, the GPU if there is one."""
    return _chosen or torch.device("cuda" if torch.cuda.is_available() else "cpu")


@contextmanager
def metrics_on(device: torch.device) -> Iterator[None]:
    """Within the context, the networks of metrics run on this device."""
    global _chosen
    before, _chosen = _chosen, device
    try:
        yield
    finally:
        _chosen = before
