"""A LightningModule of the user's under the command line: recorded, resumed, guarded, and refused where it cannot work."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor, nn

from stylegan_lab.cli.main import run
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.metrics_file import read_metrics
from stylegan_lab.runs.reader import read_state
from stylegan_lab.training.experiment import build_experiment
from stylegan_lab.training.plain_module import replace_model_class
from tests.refusals import assert_refused, refused


class Automatic(L.LightningModule):
    """Optimized by Lightning."""

    def __init__(self, width: int = 2, bad_from: int | None = None) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.bad_from = bad_from
        self.net = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1))
        self.batch_sizes: list[int] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        self.batch_sizes.append(len(batch["a"]))
        loss: Tensor = (self.net(batch["a"]) - batch["b"]).abs().mean()
        if self.bad_from is not None and self.trainer.global_step >= self.bad_from:
            loss = loss * torch.nan
        self.log("distance", loss)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Manual(L.LightningModule):
    """A small GAN with an optimization of its own, which logs nothing that is called a loss."""

    def __init__(self, lr: float = 1e-2) -> None:
        super().__init__()
        self.automatic_optimization, self.lr = False, lr
        self.generator, self.discriminator = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 1, 3)

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        optimizers: Any = self.optimizers()
        of_discriminator, of_generator = optimizers
        fake = self.generator(batch["a"])
        on_fake, on_real = self.discriminator(fake.detach()), self.discriminator(batch["b"])
        self.update(of_discriminator, on_fake.square().mean() + (on_real - 1).square().mean())
        self.update(of_generator, (self.discriminator(fake) - 1).square().mean())

    def update(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()
        self.log(f"term_{len(optimizer.param_groups[0]['params'][0])}", loss)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD(net.parameters(), lr=self.lr) for net in (self.discriminator, self.generator)]


class Counting(Automatic):
    def __init__(self) -> None:
        super().__init__()
        self.iteration = 7


class Partial(Automatic):
    """Saves a part of its weights, and finds the others elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.strict_loading = False

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for name in [each for each in checkpoint["state_dict"] if each.startswith("net.1")]:
            del checkpoint["state_dict"][name]


class Unsavable(Automatic):
    def __init__(self, network: Any = nn.ReLU) -> None:
        super().__init__()
        self.save_hyperparameters()


class Translating(Automatic):
    """Has what Validation and EMA need, and thereby gets them."""

    directions, ema_networks = ("a2b",), ("net",)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        out: Tensor = self.net(image)
        return out


def command(name: str, folder: str, *overrides: str) -> list[str]:
    target = f"model._target_={__name__}.{name}"
    given = [target, "trust=[tests]", "logger=none", f"output_dir={folder}", "trainer.log_every_n_steps=2", *overrides]
    return ["train", "experiment=smoke", *{each.split("=")[0]: each for each in given}.values()]


def rows(folder: str) -> list[dict[str, float]]:
    clock = ("time",)
    return [{key: row[key] for key in row if key not in clock} for row in read_metrics(Path(folder) / "metrics.jsonl")]


@pytest.mark.parametrize("name", ["Automatic", "Manual"])
def test_it_is_recorded_and_resumed_bit_for_bit(name: str) -> None:
    assert run(command(name, "whole", "iterations=11")) == 0
    assert run(command(name, "parts", "iterations=5")) == 0
    assert run(["train", "resume=parts", "iterations=11", "trust=[tests]"]) == 0
    assert [row["iteration"] for row in rows("whole")] == [2, 4, 6, 8, 10, 11]
    assert [row for row in rows("parts") if row["iteration"] != 5] == rows("whole")
    whole, parts = (read_checkpoint(Path(folder) / "checkpoints" / "last.ckpt") for folder in ("whole", "parts"))
    assert whole["iteration"] == parts["iteration"] == 11
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, parts["state_dict"][key])
    state = read_state(Path("whole"))
    assert state is not None and state.status == "finished" and state.sessions[0].last_iteration == 11


def test_weights_that_it_leaves_out_of_its_checkpoints_are_not_missed() -> None:
    assert run(command("Partial", "out", "iterations=2")) == 0
    assert run(["train", "resume=out", "iterations=3", "trust=[tests]"]) == 0


def test_what_is_off_is_said_and_the_run_is_called_after_the_class(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command("Automatic", "out", "dry_run=true", "+model.width=5")) == 0
    plan = capsys.readouterr().out
    assert "model=Automatic" in plan and "net 278" in plan
    for name in (
        "ema (ema_networks)",
        "validation (translate",
        "samples (sample_rows)",
        "no best checkpoint",
        "evaluate=true is off",
    ):
        assert name in plan


def test_callbacks_are_on_for_which_it_has_the_methods() -> None:
    assert run(command("Translating", "out", "iterations=4")) == 0
    assert any("val/sliced_wasserstein" in row for row in rows("out"))
    contents = read_checkpoint(Path("out/checkpoints/best.ckpt"))
    assert contents["ema"].keys() == {"net"}
    loaded = Translating.load_from_checkpoint("out/checkpoints/last.ckpt", weights_only=True)
    assert torch.equal(
        loaded.net.state_dict()["0.weight"],
        read_checkpoint(Path("out/checkpoints/last.ckpt"))["state_dict"]["net.0.weight"],
    )


@pytest.mark.parametrize(
    ("name", "overrides", "named"),
    [
        ("Automatic", ["+model.bad_from=3"], ["loss/returned", "since iteration 4"]),
        ("Manual", ["+model.lr=1e30"], ["loss/weights", "not finite since iteration"]),
    ],
)
def test_the_nan_guard_stops_it(
    name: str, overrides: list[str], named: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(name, "out", "iterations=12", *overrides)) == 2
    assert_refused(capsys.readouterr().err, "training.diverged", *named)


@pytest.mark.parametrize(
    ("name", "overrides", "code", "named"),
    [
        ("Automatic", ["micro_batches=2"], "model.micro_batches_unsupported", "micro_batches=2"),
        (
            "Automatic",
            ["callbacks.nan_guard.on_nan=rollback"],
            "model.rollback_unsupported",
            "callbacks.nan_guard.on_nan=rollback",
        ),
        ("Automatic", ["+model.widht=3"], "config.unknown_setting", "model.widht"),
        ("Counting", [], "model.attribute_taken", "attribute iteration"),
        ("Unsavable", [], "model.unsafe_hyperparameters", "save_hyperparameters"),
    ],
)
def test_what_cannot_work_is_refused_before_training(
    name: str, overrides: list[str], code: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(command(name, "out", *overrides)) == 2
    assert_refused(capsys.readouterr().err, code, named)
    assert not Path("out").exists()


def test_commands_that_need_a_model_of_this_package_refuse_its_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command("Automatic", "out", "iterations=2")) == 0
    assert run(["evaluate", "out", "--trust", "tests"]) == 2
    assert_refused(capsys.readouterr().err, "run.plain_module", "Automatic.load_from_checkpoint")


@pytest.mark.filterwarnings("ignore:You passed in a .val_dataloader.:UserWarning")  # the data have one
def test_every_step_sees_whole_batches(compose_config: Callable[..., DictConfig]) -> None:
    config = compose_config("experiment=smoke", f"model._target_={__name__}.Automatic", "trust=[tests]")
    assert replace_model_class(config, {"model": "cyclegan"}) == {"model": "Automatic"}
    assert set(config.model) == {"_target_"}
    module = build_experiment(config, {}).module
    trainer = L.Trainer(
        max_steps=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, build_experiment(config, {}).data)
    assert module.batch_sizes == [2, 2, 2]


def test_a_target_that_is_no_lightning_module_is_refused(compose_config: Callable[..., DictConfig]) -> None:
    config = compose_config("experiment=smoke", "model._target_=stylegan_lab.models.image_pool.ImagePool")
    replace_model_class(config, {"model": "cyclegan"})
    config = DictConfig({**config, "model": {"_target_": config.model._target_, "size": 3}})
    with refused("model.not_a_model", "model._target_=stylegan_lab.models.image_pool.ImagePool"):
        build_experiment(config, {})
