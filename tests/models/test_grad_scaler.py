"""Training in float16: one loss scale for all players of an iteration, and penalties in float32."""

import math
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.plugins import MixedPrecision
from omegaconf import DictConfig
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.callbacks.nan_guard import CHECK_EVERY, DivergedError, NaNGuard
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.grad_scaler import GradScaler
from stylegan_lab.models.player import Player
from stylegan_lab.training.experiment import build_experiment

SCALE, ITERATIONS = 1024.0, 12


def scaler_and_players(count: int = 2) -> tuple[GradScaler, list[nn.Parameter], list[torch.optim.Optimizer]]:
    scaler = GradScaler("cpu", init_scale=SCALE, growth_interval=1)
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(count)]
    return scaler, weights, [torch.optim.SGD([weight], lr=1.0) for weight in weights]


def step(scaler: GradScaler, weight: nn.Parameter, optimizer: torch.optim.Optimizer, slope: float) -> None:
    optimizer.zero_grad()
    scaler.scale((slope * weight).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()


def test_each_player_steps_by_its_unscaled_gradient() -> None:
    """Also if a player steps twice in an iteration, and in the next iteration, with another scale."""
    scaler, weights, optimizers = scaler_and_players()
    for _ in range(2):
        for player, slope in ((0, 1.0), (1, 2.0), (0, 3.0)):
            step(scaler, weights[player], optimizers[player], slope)
        scaler.end_iteration()
    assert weights[0].tolist() == [-8.0, -8.0] and weights[1].tolist() == [-4.0, -4.0]


def test_the_scale_changes_at_the_end_of_an_iteration_only() -> None:
    scaler, weights, optimizers = scaler_and_players()
    step(scaler, weights[0], optimizers[0], 1.0)
    assert scaler.get_scale() == SCALE
    step(scaler, weights[1], optimizers[1], 1.0)
    assert scaler.get_scale() == SCALE
    scaler.end_iteration()
    assert scaler.get_scale() == 2 * SCALE


def test_one_infinite_gradient_skips_its_own_step_and_halves_the_scale_once() -> None:
    scaler, weights, optimizers = scaler_and_players()
    for player, slope in ((0, torch.inf), (1, 1.0), (0, 1.0)):
        step(scaler, weights[player], optimizers[player], slope)
    scaler.end_iteration()
    assert weights[0].tolist() == [-1.0, -1.0] and weights[1].tolist() == [-1.0, -1.0]
    assert scaler.get_scale() == SCALE / 2


def test_an_iteration_without_steps_changes_nothing() -> None:
    scaler, *_ = scaler_and_players()
    scaler.end_iteration()
    assert scaler.get_scale() == SCALE


def test_gradients_are_unscaled_once_for_each_step() -> None:
    """Lightning unscales again just before the step."""
    scaler, (weight,), (optimizer,) = scaler_and_players(1)
    scaler.scale(weight.sum()).backward()
    scaler.unscale_(optimizer)
    scaler.unscale_(optimizer)
    assert weight.grad is not None and weight.grad.tolist() == [1.0, 1.0]


def train_in_float16(config: DictConfig, on_step: Callable[[Player], None] = lambda player: None) -> BaseModel:
    """A training in float16 on the CPU, whose loss scale falls until gradients are finite."""
    experiment = build_experiment(config, {})
    module = experiment.module
    assert isinstance(module, BaseModel)
    for player in module.players:
        player.step = partial(_observed_step, player.step, partial(on_step, player))  # type: ignore[method-assign]
    trainer = L.Trainer(
        accelerator="cpu", plugins=[MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu"))],  # type: ignore[arg-type]
        callbacks=[StopAtMaxIterations(ITERATIONS)], max_epochs=-1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, use_distributed_sampler=False,
    )  # fmt: skip
    trainer.fit(module, datamodule=experiment.data)
    return module


def _observed_step(step: Any, observe: Any, optimizer_step: Any) -> None:
    def observed() -> Any:
        observe()
        return optimizer_step()

    step(observed)


def test_clipping_sees_unscaled_gradients(compose_config: Callable[..., DictConfig]) -> None:
    """The limit is so small that it always applies: at the step each gradient has its norm, whatever the loss scale."""
    norms = []

    def measure(player: Player) -> None:
        gradients = [each.grad for each in player.parameters() if each.grad is not None]
        norms.append(float(nn.utils.get_total_norm(gradients)))

    train_in_float16(compose_config("experiment=smoke", "data.size=16", "model.clip_gradients=1e-3"), measure)
    finite = [
        norm for norm in norms if math.isfinite(norm)
    ]  # the others' steps are skipped, until the loss scale has fallen
    assert finite and finite == pytest.approx([1e-3] * len(finite), rel=1e-2)


def test_a_player_without_gradients_is_left_out(compose_config: Callable[..., DictConfig]) -> None:
    """With these weights no loss depends on StarGAN v2's style encoder."""
    weights = ["model.style_weight=0", "model.cycle_weight=0", "model.diversity_weight=0"]
    stepped = []
    config = compose_config("experiment=smoke", "model=stargan2", "data.size=16", *weights)
    train_in_float16(config, lambda player: stepped.append(player.name))
    assert "style_encoders" not in stepped and "mapping_networks" in stepped


class HalfPrecisionOperations(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        tensors = [each for each in pytree.arg_tree_leaves(*args, **(kwargs or {})) if isinstance(each, torch.Tensor)]
        self.count += any(each.dtype in (torch.float16, torch.bfloat16) for each in tensors)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize(("penalty", "in_half"), [(True, False), (False, True)], ids=["R1", "GAN loss"])
def test_the_backward_pass_of_a_penalty_has_no_operation_in_half_precision(
    penalty: bool, in_half: bool, compose_config: Callable[..., DictConfig]
) -> None:
    config = compose_config(
        "experiment=smoke_generation", "model=stylegan2", "loss.regularizers.r1.every=1", "data.size=16"
    )
    module: Any = build_experiment(config, {}).module
    operations = HalfPrecisionOperations()

    def backward(loss: torch.Tensor) -> None:
        with operations:
            loss.backward()

    module.manual_backward, module.iteration = backward, 1
    losses = module.regularization_losses if penalty else module.discriminator_losses
    images = torch.rand(2, 1, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        module._backward(losses, (images, images, None), 1.0)
    assert (operations.count > 0) is in_half


@pytest.mark.parametrize(
    ("scale", "iteration", "stops"), [(0.5, CHECK_EVERY, True), (1.0, CHECK_EVERY, False), (0.5, 1, False)]
)
def test_a_loss_scale_below_1_ends_the_run(scale: float, iteration: int, stops: bool) -> None:
    """All its steps are skipped, while the losses stay finite."""
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace(scaler=GradScaler("cpu", init_scale=scale)))
    module: Any = SimpleNamespace(
        latest_losses={"loss": torch.tensor(1.0)}, iteration=iteration, device=torch.device("cpu")
    )
    if stops:
        with pytest.raises(DivergedError, match="precision"):
            NaNGuard().on_train_batch_end(trainer, module)
    else:
        NaNGuard().on_train_batch_end(trainer, module)


def test_other_precisions_have_no_loss_scale() -> None:
    trainer: Any = SimpleNamespace(precision_plugin=SimpleNamespace())
    module: Any = SimpleNamespace(latest_losses={}, iteration=CHECK_EVERY, device=torch.device("cpu"))
    NaNGuard().on_train_batch_end(trainer, module)
