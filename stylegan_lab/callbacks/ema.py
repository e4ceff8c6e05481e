"""EMA: exponential moving averages of the networks that a model lists in `ema_networks`. After training, models use the
averages."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from copy import deepcopy
from typing import Any, ClassVar, TypeVar

import lightning as L
import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import num_samples
from stylegan_lab.models.base import BaseModel

StateDict = dict[str, Tensor]
Callback = TypeVar("Callback", bound=L.Callback)


class EMA(L.Callback):
    """Keeps an exponential moving average of the weights. Buffers are copied, not averaged.

    The share that a weight's value has in the average halves every `half_life_images` images. Early in the training, the half-life
    is a twentieth of the number of images trained on so far (Karras et al., 2020).
    """

    needs: ClassVar = ("ema_networks",)  # of the module

    def __init__(self, half_life_images: int = 10_000) -> None:
        check_at_least("callbacks.ema.half_life_images", half_life_images, 1)
        self.half_life_images = half_life_images
        self.averages: dict[str, StateDict] = {}
        self._tensors: list[_AveragedTensors] = []

    def on_fit_start(self, trainer: L.Trainer, pl_module: BaseModel) -> None:
        for name, net in _ema_networks(pl_module):
            current = net.state_dict()
            state = self.averages.get(name) or current
            self.averages[name] = {key: torch.empty_like(current[key]).copy_(state[key]) for key in state}
        self._tensors = [_AveragedTensors(net, self.averages[name]) for name, net in _ema_networks(pl_module)]

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: BaseModel, outputs: Any, batch: dict[str, Any], batch_idx: int
    ) -> None:
        images = num_samples(batch) * trainer.world_size
        decay = 0.5 ** (images / max(1e-8, min(self.half_life_images, 0.05 * images * pl_module.iteration)))
        for tensors in self._tensors:
            tensors.update(1 - decay)

    @contextmanager
    def average_parameters(self, module: BaseModel) -> Iterator[None]:
        """Within the context, the networks of the module hold their EMA weights. Afterwards they hold their own weights again."""
        weights = {name: deepcopy(net.state_dict()) for name, net in _ema_networks(module)}
        load_ema_weights(module, self.averages)
        try:
            yield
        finally:
            load_ema_weights(module, weights)

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: BaseModel, checkpoint: dict[str, Any]) -> None:
        checkpoint["ema"] = self.averages

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: BaseModel, checkpoint: dict[str, Any]) -> None:
        self.averages = checkpoint["ema"]


class _AveragedTensors:
    """The tensors of one network's average, and where to find the current values. Looked up once, because names are slow to
    collect. Buffers are found by their owner: a network may replace them."""

    def __init__(self, net: nn.Module, average: StateDict) -> None:
        parameters = [(key, value) for key, value in net.named_parameters() if key in average]
        self.parameters: list[Tensor] = [value for _, value in parameters]
        self.parameter_averages = [average[key] for key, _ in parameters]
        keys = [key for key, _ in net.named_buffers() if key in average]
        self.buffer_averages = [average[key] for key in keys]
        self.buffer_owners = [(net.get_submodule(key.rpartition(".")[0]), key.rpartition(".")[2]) for key in keys]

    def update(self, weight: float) -> None:
        if self.parameters:
            torch._foreach_lerp_(self.parameter_averages, self.parameters, weight)
        if self.buffer_averages:
            torch._foreach_copy_(self.buffer_averages, [getattr(owner, name) for owner, name in self.buffer_owners])


def load_ema_weights(module: BaseModel, averages: dict[str, StateDict]) -> None:
    for name, state in averages.items():
        module.get_submodule(name).load_state_dict(state)


def _ema_networks(module: BaseModel) -> Iterator[tuple[str, nn.Module]]:
    return ((name, module.get_submodule(name)) for name in module.ema_networks)


def find_callback(trainer: L.Trainer, kind: type[Callback]) -> Callback | None:
    return next((callback for callback in trainer.callbacks if isinstance(callback, kind)), None)  # type: ignore[attr-defined]


@contextmanager
def evaluation_mode(trainer: L.Trainer, module: BaseModel) -> Iterator[None]:
    """Within the context, the module is in evaluation mode, without gradients and with the EMA weights, if there are any.
    Afterwards, the mode, the weights and the random state are restored."""
    ema, was_training = find_callback(trainer, EMA), module.training
    devices = [module.device] if module.device.type == "cuda" else []
    with (
        torch.no_grad(),
        torch.random.fork_rng(devices),
        _uncompiled(module),
        ema.average_parameters(module) if ema else nullcontext(),
    ):
        module.eval()
        if isinstance(module, BaseModel):  # a plain LightningModule has no such method
            module.sync_buffers()
        try:
            yield
        finally:
            module.train(was_training)


@contextmanager
def _uncompiled(module: L.LightningModule) -> Iterator[None]:
    """Call compiled networks as they are, so that torch.compile does not compile them again for batches of another size."""
    compiled = any(each._compiled_call_impl is not None for each in module.modules())
    with torch.compiler.set_stance("force_eager") if compiled else nullcontext():
        yield
