"""Averaging (EMA): copies of the nets a module declares `averaged`, which follow them slowly and serve once trained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from stylegan_lab.mistake import at_least
from stylegan_lab.modules.module import Module

State = dict[str, Tensor]


class Averaging(L.Callback):
    """Half of an old weight is forgotten after `half_life` images, or after a twentieth of those seen if that is less
    (Karras et al., 2020). Buffers are copied, not averaged."""

    def __init__(self, half_life: int = 10_000) -> None:
        at_least("callbacks.averaging.half_life", half_life, 1)
        self.half_life = half_life
        self.averages: dict[str, State] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for name, net in _averaged(pl_module):
            state = self.averages.get(name) or net.state_dict()
            self.averages[name] = {key: value.detach().clone().to(pl_module.device) for key, value in state.items()}

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: dict[str, Tensor], batch_idx: int
    ) -> None:
        assert isinstance(pl_module, Module)
        images = len(next(iter(batch.values()))) * trainer.world_size
        kept = 0.5 ** (images / max(1e-8, min(self.half_life, 0.05 * images * pl_module.iteration)))
        for name, net in _averaged(pl_module):
            average, parameters = self.averages[name], dict(net.named_parameters())
            moving = [key for key in average if key in parameters]
            torch._foreach_lerp_([average[key] for key in moving], [parameters[key] for key in moving], 1 - kept)
            for key, buffer in net.named_buffers():
                if key in average:
                    average[key].copy_(buffer)

    @contextmanager
    def applied(self, module: Module) -> Iterator[None]:
        """Within, the module's nets carry their averages."""
        own = {name: {key: value.clone() for key, value in net.state_dict().items()} for name, net in _averaged(module)}
        apply_averages(module, self.averages)
        try:
            yield
        finally:
            apply_averages(module, own)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["ema"] = self.averages

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        self.averages = checkpoint.get("ema", {})


def apply_averages(module: Module, averages: dict[str, State]) -> None:
    for name, state in averages.items():
        module.get_submodule(name).load_state_dict(state)


def _averaged(module: L.LightningModule) -> Iterator[tuple[str, nn.Module]]:
    assert isinstance(module, Module)
    for name in module.averaged:
        yield name, module.get_submodule(name)
