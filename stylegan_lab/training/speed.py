"""Settings that change the speed of a training but not the experiment: compile, channels_last, tf32 and fused optimizers."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import lightning as L
import torch
from omegaconf import DictConfig
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from stylegan_lab.cores import THREADS_VARIABLE
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.evaluation.device import metrics_on
from stylegan_lab.models.base import BaseModel
from stylegan_lab.networks.layers.norms import InstanceNorm
from stylegan_lab.precision import use_tf32
from stylegan_lab.runs.run import Run
from stylegan_lab.training.hardware import lightning_precision, training_device

TINY_BATCH_PIXELS = 2 * 64 * 64
BACKEND: Any = "inductor"  # of torch.compile
CUDA_GRAPH_MODES = ("reduce-overhead", "max-autotune")
KERNEL_SETTINGS = ("fused", "foreach", "capturable")  # of an optimizer's parameter groups


def speed_callbacks(config: DictConfig, module: nn.Module) -> list[L.Callback]:
    """Return the callbacks for the speed settings. They must come before callbacks that read or average the weights."""
    callbacks: list[L.Callback] = [OptimizerKernels()]
    if uses_channels_last(config, module):
        callbacks.append(ChannelsLast())
    if config.compile:
        callbacks.append(CompiledNetworks("default" if config.compile is True else str(config.compile)))
    return callbacks


def uses_channels_last(config: DictConfig, module: nn.Module) -> bool:
    """Return whether to use channels_last. `auto` uses it in half precision. On a CPU, `auto` uses it only for networks
    with instance norm and without group norm, because group norm is slow in this layout."""
    if config.channels_last != "auto":
        return bool(config.channels_last)
    if lightning_precision(str(config.precision), str(config.strategy.accelerator)) == "32-true":
        return False
    layers = list(module.modules())
    has_fast_norms = any(isinstance(each, InstanceNorm) for each in layers)
    return training_device(config).type == "cuda" or (
        has_fast_norms and not any(isinstance(each, nn.GroupNorm) for each in layers)
    )


def uses_cudnn_benchmark(config: DictConfig) -> bool | None:
    """Return whether cuDNN benchmarks its kernels to choose the fastest. None keeps PyTorch's own setting."""
    chosen: bool | None = config.trainer.get("benchmark")
    if chosen is None and training_device(config).type == "cuda" and not config.deterministic:
        return True
    return chosen


@contextmanager
def training_hardware(config: DictConfig) -> Iterator[None]:
    """Within the context, metrics are computed on the device of the training. If the device is a GPU, TF32 is set as in the
    config."""
    device = training_device(config)
    with metrics_on(device), use_tf32(bool(config.tf32)) if device.type == "cuda" else nullcontext():
        yield


@contextmanager
def training_threads(config: DictConfig, data: ImageDataModule) -> Iterator[None]:
    """Within the context, a training of tiny images on a CPU uses one thread. More threads would wait for each other longer
    than they compute, especially if another program uses the same cores. OMP_NUM_THREADS overrides this."""
    before = torch.get_num_threads()
    is_tiny = data.batch_size * data.size**2 < TINY_BATCH_PIXELS and training_device(config).type == "cpu"
    if is_tiny and THREADS_VARIABLE not in os.environ:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class OptimizerKernels(L.Callback):
    """Lets a training resume from a checkpoint with other optimizer kernels or another memory layout than the checkpoint
    was saved with.

    Without this callback, PyTorch would continue with the kernels of the checkpoint. Fused kernels also read the state and
    the weights in memory order, so a state whose layout differs from that of its weight would be applied to the wrong
    elements.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        for optimizer in trainer.optimizers:
            keep_kernels(optimizer)


def keep_kernels(optimizer: torch.optim.Optimizer) -> None:
    """Keep the optimizer's own kernel settings when it loads a state, and convert the state to them."""
    settings = [{key: group[key] for key in KERNEL_SETTINGS if key in group} for group in optimizer.param_groups]

    def restore(optimizer: torch.optim.Optimizer) -> None:
        for group, own in zip(optimizer.param_groups, settings, strict=True):
            group.update(own)
            for parameter in group["params"]:
                state = optimizer.state.get(parameter)
                if isinstance(state, dict):
                    state |= {name: _converted(name, value, parameter, own) for name, value in state.items()}

    optimizer.register_load_state_dict_post_hook(restore)


def _converted(name: str, value: Any, parameter: Tensor, settings: Mapping[str, Any]) -> Any:
    if not isinstance(value, Tensor):
        return value
    if name == "step":  # a tensor without dimensions
        return value.to(parameter.device if settings.get("fused") or settings.get("capturable") else "cpu")
    if value.shape == parameter.shape:
        return torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
    return value


class ChannelsLast(L.Callback):
    """Stores networks and training batches with the channels as the innermost dimension (NHWC), which is the layout that
    tensor cores read."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        pl_module.to(memory_format=torch.channels_last)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if isinstance(batch, dict):
            batch |= {key: _images_to_channels_last(value) for key, value in batch.items()}


def _images_to_channels_last(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _images_to_channels_last(each) for key, each in value.items()}
    is_image = isinstance(value, Tensor) and value.dim() == 4
    return value.contiguous(memory_format=torch.channels_last) if is_image else value


class CompiledNetworks(L.Callback):
    """Compiles the networks for which the model allows it with torch.compile. This is done in place, so that the names of
    the weights do not change.

    Only training steps use the compiled networks. Validation and samples, whose batches have other sizes, use the
    uncompiled networks. If torch.compile does not work on this machine, nothing is compiled.
    """

    def __init__(self, mode: str = "default") -> None:
        self.mode = mode

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        networks = pl_module.compilable_networks if isinstance(pl_module, BaseModel) else ()
        problem = None if not networks else compile_problem(pl_module.device)
        if problem is None:
            for network in networks:
                compile_network(network, self.mode, pl_module.device)
        if trainer.is_global_zero:
            Run.from_trainer(trainer).log(_describe(pl_module, networks, problem))

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: Any) -> None:
        if uses_cuda_graphs(self.mode, pl_module.device):
            torch.compiler.cudagraph_mark_step_begin()


def uses_cuda_graphs(mode: str, device: torch.device) -> bool:
    return mode in CUDA_GRAPH_MODES and device.type == "cuda"


def compile_network(network: nn.Module, mode: str, device: torch.device) -> None:
    network.compile(mode=mode, backend=BACKEND)
    if uses_cuda_graphs(mode, device):
        compiled = network._compiled_call_impl
        assert compiled is not None

        def call(*args: Any, **kwargs: Any) -> Any:
            """Copy the outputs: the next run of a CUDA graph overwrites them, but fakes and logits are used for longer."""
            return tree_map_only(Tensor, torch.clone, compiled(*args, **kwargs))

        network._compiled_call_impl = call


def compile_problem(device: torch.device) -> str | None:
    """Return in one line why torch.compile does not work on this machine, or None if it works. This is tested by compiling
    a tiny function."""
    try:
        probe = torch.ones(2, 2, device=device, requires_grad=True)
        torch.compile(lambda x: (x.relu() + 1).sum(), backend=BACKEND)(probe).backward()
    except Exception as error:  # compilers and backends raise anything
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return lines[0] if lines else type(error).__name__
    return None


def _describe(module: L.LightningModule, networks: Any, problem: str | None) -> str:
    if problem is not None:
        return f"compile: torch.compile does not work here, so the networks stay uncompiled: {problem}"
    names = {each: name for name, each in module.named_modules()}
    if not networks:
        return f"compile: {type(module).__name__} has no network that can be compiled with these settings"
    return f"compile: {', '.join(names[each] or type(module).__name__ for each in networks)}"
