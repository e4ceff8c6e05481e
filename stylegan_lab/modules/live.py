"""Live nets: used as they were trained, with dropout dropping and batch norms looking at the picture alone (Isola et al., 2017)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
SEED = 0  # of what is dropped: the same each time


@torch.no_grad()
def live(net: nn.Module, images: Tensor) -> Tensor:
    """Each image alone and with the same dice, so that neither its neighbours nor what came before change it."""
    devices = [images.device] if images.device.type == "cuda" else []
    outputs = []
    with _alive(net), torch.random.fork_rng(devices):
        for image in images.split(1):
            torch.manual_seed(SEED)
            outputs.append(net(image))
    return torch.cat(outputs)


@contextmanager
def _alive(net: nn.Module) -> Iterator[None]:
    """Dropout as in training; norms without running statistics, which look at what is there, on this rank alone."""
    drops = [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
    norms = [layer for layer in net.modules() if isinstance(layer, NORMS)]
    was_training, followed = net.training, [(norm.running_mean, norm.running_var) for norm in norms]
    for drop in drops:
        drop.train()
    for norm in norms:
        norm.eval()
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        net.train(was_training)
        for norm, (average, variance) in zip(norms, followed, strict=True):
            norm.running_mean, norm.running_var = average, variance
