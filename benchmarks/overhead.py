"""Measure the time that Lightning and this package add to a training step, with an almost empty model.

    python -m benchmarks.overhead '{"steps": 300}'

The model has three weights. The overhead is the difference between its training step and the same step in a plain loop. The
same step in a bare LightningModule, without callbacks, shows how much of the overhead is due to Lightning.
"""

import json
import sys
import time
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn

from benchmarks.training_step import StepTimer, build, train
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.base import BaseModel
from stylegan_lab.training.warning_filters import silence_warnings

SETTINGS = ["data.size=16", "trust=[benchmarks]"]
MODEL = {"_target_": "benchmarks.overhead.AlmostEmptyModel"}


class AlmostEmptyModel(BaseModel):
    """A model with one player, whose only layer scales the channels of the image."""

    batch_type = UnpairedBatch
    ema_networks = ("network",)

    def __init__(self) -> None:
        super().__init__(schedule=lambda _: 1.0)
        self.network = almost_empty_network()
        self.player = self.add_player("generators", self.network, optimizer=make_optimizer)

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        self.optimize(self.player, self.losses, batch["a"])

    def losses(self, image: Tensor) -> Losses:
        return Losses({"size": loss(self.network, image)})

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.network(image)
        return translated


class BareModule(L.LightningModule):
    """A plain LightningModule with the same training step, its own optimizer and its own average of weights."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = almost_empty_network()
        self.average = [each.detach().clone() for each in self.network.parameters()]

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return make_optimizer(self.network.parameters())

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(loss(self.network, batch["a"]))
        optimizer.step()
        update_average(self.average, self.network)


def almost_empty_network() -> nn.Module:
    return nn.Conv2d(3, 3, 1, groups=3, bias=False)


@torch.no_grad()
def update_average(average: list[Tensor], network: nn.Module) -> None:
    torch._foreach_lerp_(average, list(network.parameters()), 1e-3)


def make_optimizer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-4)


def loss(network: nn.Module, image: Tensor) -> Tensor:
    return network(image).square().mean()


def main(steps: int = 300) -> dict[str, float]:
    silence_warnings()
    torch.set_num_threads(1)
    experiment, timer = build(SETTINGS, steps + 10, MODEL), StepTimer(10, count_flops=False)
    train(experiment, timer)
    plain, bare = plain_loop(experiment, steps), bare_lightning(experiment, steps)
    return {
        "step_ms": 1e3 * timer.cost.wall / steps,
        "step_cpu_ms": 1e3 * timer.cost.cpu / steps,
        "plain_loop_ms": 1e3 * plain,
        "bare_lightning_ms": 1e3 * bare,
        "overhead_ms": 1e3 * (timer.cost.cpu / steps - plain),
    }


def plain_loop(experiment: Any, steps: int) -> float:
    """Return the CPU seconds of the same step, including the average of weights, in a loop without Lightning and this
    package. Loading the data is not counted."""
    network = almost_empty_network()
    average = [each.detach().clone() for each in network.parameters()]
    optimizer = make_optimizer(network.parameters())
    images = [experiment.data.on_after_batch_transfer(batch, 0)["a"] for batch in experiment.data.train_dataloader()]
    start = time.process_time()
    for step in range(steps):
        optimizer.zero_grad()
        loss(network, images[step % len(images)]).backward()
        optimizer.step()
        update_average(average, network)
    return (time.process_time() - start) / steps


def bare_lightning(experiment: Any, steps: int) -> float:
    """Return the CPU seconds of the same step in Lightning's loop, including data loading. Only the data comes from this
    package."""
    timer = StepTimer(10, count_flops=False)
    module = BareModule()
    module.latest_losses = {}  # what StepTimer reads
    trainer = L.Trainer(
        accelerator="cpu", max_steps=steps + 10, callbacks=[timer], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=experiment.data)
    return timer.cost.cpu / steps


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
