"""Train a few iterations, and measure the seconds, CPU seconds and FLOPs of an iteration, and the peak memory of the process.

    python -m benchmarks.training_step '{"overrides": ["model=cyclegan", "data.size=64"], "steps": 2}'

The config, the model, the data and Lightning's trainer are the same as in `stylegan-lab train`. Images are loaded before
training.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning as L
import torch
from omegaconf import open_dict
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.measure import Cost, now, peak_memory_mb
from stylegan_lab.config.compose import compose_config
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import Experiment, build_experiment, build_trainer
from stylegan_lab.training.warning_filters import silence_warnings

PLAIN = [
    "logger=none", "evaluate=false", "trainer.log_every_n_steps=50", "+trainer.enable_progress_bar=false",
    "callbacks.progress_bar=null", "callbacks.validation.every=0", "callbacks.samples=null", "callbacks.gan_failures=null",
    "callbacks.checkpointing=null",
]  # fmt: skip


def main(
    overrides: Sequence[str], steps: int, warmup: int = 1, precision: str = "32", count_flops: bool = True
) -> dict[str, Any]:
    """Train `warmup` iterations, in which FLOPs are counted, and then `steps` iterations, which are timed."""
    silence_warnings()
    experiment = build([*overrides, f"precision={precision}"], warmup + steps)
    before = peak_memory_mb()
    timer = StepTimer(warmup, count_flops)
    train(experiment, timer)
    return {
        "seconds": timer.cost.wall / steps,
        "cpu_seconds": timer.cost.cpu / steps,
        "images_per_second": experiment.data.batch_size * steps / timer.cost.wall,
        "flops": timer.flops / warmup if count_flops else None,
        "peak_memory_mb": peak_memory_mb(),
        "memory_before_training_mb": before,
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None,
        "losses_are_finite": bool(all(torch.isfinite(each).all() for each in timer.losses.values())),
        "batch_size": experiment.data.batch_size,
        "size": experiment.data.size,
    }


def build(overrides: Sequence[str], iterations: int, model: Mapping[str, Any] | None = None) -> Experiment:
    """Build the experiment, with all images of its training in memory. `model` replaces the model of the config."""
    config = compose_config([*PLAIN, *overrides, f"iterations={iterations}"], with_hydra=True)
    choices = {str(group): str(choice) for group, choice in config.hydra.runtime.choices.items()}
    with open_dict(config):
        del config["hydra"]
        config.model = model or config.model
    if "train_images" in config.data:
        config.data.train_images = config.data.batch_size * iterations
    experiment = build_experiment(config, choices)
    for _ in experiment.data.train_dataloader():
        pass
    return experiment


def train(experiment: Experiment, *callbacks: L.Callback) -> L.Trainer:
    """Train as `stylegan-lab train` does, in a temporary folder. The callbacks run before all others."""
    first = {f"benchmark_{index}": callback for index, callback in enumerate(callbacks)}
    with tempfile.TemporaryDirectory() as folder:
        trainer = build_trainer(replace(experiment, callbacks={**first, **experiment.callbacks}), Run(Path(folder)))
        trainer.fit(experiment.module, datamodule=experiment.data)
    return trainer


class StepTimer(L.Callback):
    """Measures the iterations after the first `warmup` iterations, until the end of training."""

    def __init__(self, warmup: int, count_flops: bool = True) -> None:
        self.warmup, self.count_flops = warmup, count_flops
        self.cost, self.flops, self.losses = Cost(0, 0), 0, dict[str, torch.Tensor]()
        self._counter, self._started = FlopCounter(), 0

    def on_train_batch_start(self, *_: Any) -> None:
        if self._started == 0 and self.count_flops:
            self._counter.__enter__()
        if self._started == self.warmup:
            self._stop_counting()
            self._start = now()
        self._started += 1

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
        self.losses = pl_module.latest_losses

    def on_train_end(self, *_: Any) -> None:
        self.cost = now() - self._start

    def _stop_counting(self) -> None:
        if self.count_flops:
            self._counter.__exit__(None, None, None)
            self.flops = self._counter.flops


class FlopCounter(TorchDispatchMode):
    """Counts FLOPs as torch's FlopCounterMode does, but without its tracking of modules, which does not work with gradient
    penalties."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket is torch.ops.aten.convolution_backward:
            self.flops += convolution_backward_flops(*args)
        elif count := flop_registry.get(function.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=result)
        return result


def convolution_backward_flops(gradient: Any, inputs: Any, weight: Any, *settings: Any) -> int:
    """Count the FLOPs of a convolution's backward pass. The gradient of the inputs and the gradient of the weights each
    cost as much as the forward pass. torch's own formula counts the gradient of the weights `groups` times."""
    _, _, _, _, transposed, _, _, needed = settings
    positions = (inputs if transposed else gradient).shape[2:].numel() * len(inputs)
    return 2 * int(positions * weight.numel()) * sum(needed[:2])


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
