"""What callbacks that look at the nets need: the weights that will be used, in evaluation mode, and nothing disturbed."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import lightning as L
import torch

from stylegan_lab.callbacks.averaging import Averaging
from stylegan_lab.modules.module import Module


@contextmanager
def looking(trainer: L.Trainer, module: Module) -> Iterator[None]:
    """Averaged weights if there are any, no gradients, and random numbers put back as they were."""
    averaging = next((callback for callback in trainer.callbacks if isinstance(callback, Averaging)), None)  # type: ignore[attr-defined]
    was_training = module.training
    devices = [module.device] if module.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices), averaging.applied(module) if averaging else nullcontext():
        module.eval()
        try:
            yield
        finally:
            module.train(was_training)
