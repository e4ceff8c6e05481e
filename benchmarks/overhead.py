"""What Lightning and this package add to a training step: the seconds of a step of an almost empty model.

    python -m benchmarks.overhead '{"steps": 300}'

The model has one weight. The same step in a plain loop is measured beside it, and the difference is the overhead.
"""

import json
import sys
import time
from typing import Any

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
    """One player, whose only weight scales the image."""

    batch_type = UnpairedBatch
    ema_networks = ("network",)

    def __init__(self) -> None:
        super().__init__(schedule=lambda _: 1.0)
        self.network = nn.Conv2d(3, 3, 1, groups=3, bias=False)
        self.player = self.add_player("generators", self.network, optimizer=make_optimizer)

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        self.optimize(self.player, self.losses, batch["a"])

    def losses(self, image: Tensor) -> Losses:
        return Losses({"size": loss(self.network, image)})

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.network(image)
        return translated


def make_optimizer(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-4)


def loss(network: nn.Module, image: Tensor) -> Tensor:
    return network(image).square().mean()


def main(steps: int = 300) -> dict[str, float]:
    silence_warnings()
    torch.set_num_threads(1)
    experiment, timer = build(SETTINGS, steps + 10, MODEL), StepTimer(10, count_flops=False)
    train(experiment, timer)
    plain = plain_loop(experiment, steps)
    return {
        "step_ms": 1e3 * timer.cost.wall / steps,
        "step_cpu_ms": 1e3 * timer.cost.cpu / steps,
        "plain_loop_ms": 1e3 * plain,
        "overhead_ms": 1e3 * (timer.cost.cpu / steps - plain),
    }


def plain_loop(experiment: Any, steps: int) -> float:
    """CPU seconds of the same step, its data and its average of weights, without Lightning and this package's loop."""
    network = nn.Conv2d(3, 3, 1, groups=3, bias=False)
    average = [each.detach().clone() for each in network.parameters()]
    optimizer = make_optimizer(network.parameters())
    images = [experiment.data.on_after_batch_transfer(batch, 0)["a"] for batch in experiment.data.train_dataloader()]
    start = time.process_time()
    for step in range(steps):
        optimizer.zero_grad()
        loss(network, images[step % len(images)]).backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(network.parameters()), 1e-3)
    return (time.process_time() - start) / steps


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
