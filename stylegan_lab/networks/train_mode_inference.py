"""Inference in training mode, as in pix2pix (Isola et al., 2017): dropout is active, and batch norms use the statistics of the
image."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from stylegan_lab.rng import seeded


@torch.no_grad()
def apply_in_train_mode(net: nn.Module, images: Tensor) -> Tensor:
    """Apply the network to each image separately, with the same dropout seed, so that each output depends only on its own image."""
    outputs = []
    with _train_mode(net):
        for image in images.split(1):
            with seeded(0, images.device):
                outputs.append(net(image))
    return torch.cat(outputs)


@contextmanager
def _train_mode(net: nn.Module) -> Iterator[None]:
    """Dropout in training mode; batch norms without running statistics, which makes them use those of the input.

    The norms themselves are in evaluation mode, so that they do not synchronize across ranks.
    """
    dropouts = [layer for layer in net.modules() if isinstance(layer, nn.Dropout)]
    norms = [layer for layer in net.modules() if isinstance(layer, nn.BatchNorm2d | nn.SyncBatchNorm)]
    was_training, running_stats = net.training, [(norm.running_mean, norm.running_var) for norm in norms]
    for dropout in dropouts:
        dropout.train()
    for norm in norms:
        norm.eval()
        norm.running_mean = norm.running_var = None
    try:
        yield
    finally:
        net.train(was_training)
        for norm, (mean, variance) in zip(norms, running_stats, strict=True):
            norm.running_mean, norm.running_var = mean, variance
