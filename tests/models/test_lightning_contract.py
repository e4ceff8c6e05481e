"""What a Lightning user expects of a model, without the command line and without this package's callbacks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig
from torch import Tensor
from torch.utils.data import DataLoader

from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.callbacks.metric_logger import MetricLogger
from stylegan_lab.cli.main import run
from stylegan_lab.config.instantiate import instantiate
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.evaluation.image_metrics import mean_absolute_error
from stylegan_lab.images.value_range import to_unit
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.generation.gan import GAN
from stylegan_lab.models.lr_schedules import LinearDecayLR
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.models.translation.pix2pix import Pix2Pix
from stylegan_lab.runs.checkpoint import read_checkpoint
from tests.models.test_base import small, weights
from tests.refusals import refused

TRANSLATION, GENERATION = "experiment=smoke", "experiment=smoke_generation"
VARIANTS = {
    "CycleGAN": [TRANSLATION],
    "pix2pix": [TRANSLATION, "model=pix2pix"],
    "StarGAN v2": [TRANSLATION, "model=stargan2"],
    "AdaIN": [TRANSLATION, "model=adain", "generator=adain_decoder", "generator.width=0.1"],
    "DCGAN": [GENERATION],
    "cGAN": [GENERATION, "model=cgan", "generator=fully_connected"],
}
QUIET: dict[str, Any] = {
    "accelerator": "cpu", "enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False,
}  # fmt: skip


class Rows(Logger):
    """Keeps what is logged, by step."""

    name, version = "rows", ""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[tuple[int | None, dict[str, float]]] = []

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:  # type: ignore[override]
        self.rows.append((step, dict(metrics)))

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        pass

    def of(self, name: str) -> dict[int | None, float]:
        return {step: row[name] for step, row in self.rows if name in row}


def build(compose_config: Callable[..., DictConfig], *overrides: str) -> tuple[BaseModel, ImageDataModule]:
    config = compose_config(*overrides, "discriminator.channels=2")
    torch.manual_seed(0)
    return instantiate(config.model), instantiate(config.data)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_plain_script_trains_validates_tests_and_predicts(
    variant: str, compose_config: Callable[..., DictConfig]
) -> None:
    model, data = build(compose_config, *VARIANTS[variant])
    rows = Rows()
    trainer = L.Trainer(max_epochs=1, limit_train_batches=4, log_every_n_steps=2, logger=rows, **QUIET)
    trainer.fit(model, data)
    assert model.iteration == 4 and [step for step, row in rows.rows if any("loss/" in name for name in row)] == [1, 3]
    (validated,), (tested,) = trainer.validate(model, data, verbose=False), trainer.test(model, data, verbose=False)
    assert "val/sliced_wasserstein" in validated and "test/sliced_wasserstein" in tested
    predicted: list[Tensor] = trainer.predict(model, data)  # type: ignore[assignment]
    assert torch.cat(predicted).shape == (4, data.channels, 32, 32)


def test_test_scores_are_those_of_the_predictions(compose_config: Callable[..., DictConfig]) -> None:
    model, data = build(compose_config, TRANSLATION, "model=pix2pix")
    assert isinstance(model, Pix2Pix)
    trainer = L.Trainer(logger=False, **QUIET)
    (scores,) = trainer.test(model, data, verbose=False)
    predicted, truth = torch.cat(trainer.predict(model, data)), data.first_batch("test", 4)["b"]  # type: ignore[arg-type]
    assert scores["test/l1"] == pytest.approx(mean_absolute_error(to_unit(predicted), to_unit(truth)))


def test_forward_translates_or_generates(compose_config: Callable[..., DictConfig]) -> None:
    cyclegan, _ = build(compose_config, TRANSLATION)
    image = torch.rand(1, 3, 32, 32)
    assert torch.equal(cyclegan(image, "b2a"), cyclegan.b_to_a(image))  # type: ignore[operator]
    gan, _ = build(compose_config, GENERATION)
    assert isinstance(gan, GAN)
    latents = gan.numbered_latents(0, 0, 3)
    assert torch.equal(gan.eval()(latents), gan.generator(latents, None))


@pytest.mark.parametrize("choice", ["cyclegan", "cut", "pix2pix", "multidomain", "stargan2", "cgan"])
def test_each_row_of_a_sample_grid_has_a_name(compose_config: Callable[..., DictConfig], choice: str) -> None:
    experiment = GENERATION if choice == "cgan" else TRANSLATION
    model, data = build(compose_config, experiment, f"model={choice}")
    rows = model.eval().sample_rows(data.first_batch("val", 2))  # type: ignore[operator]
    assert all(name.strip() and row.ndim == 4 for name, row in rows.items())


@pytest.mark.parametrize("limit", [{"max_epochs": 2}, {"max_steps": 32}])
def test_without_a_budget_the_schedule_spans_the_training_of_the_trainer(limit: dict[str, int]) -> None:
    """8 batches an epoch, and two optimizer steps a batch."""
    model = small(schedule=LinearDecayLR(constant=0.0))
    rates: list[float] = []

    class Watch(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            rates.append(model.generators.optimizer.param_groups[0]["lr"])

    L.Trainer(logger=False, callbacks=[Watch()], **limit, **QUIET).fit(model, batches())
    assert rates == pytest.approx([1e-3 * (1 - done / 16) for done in range(16)])


def batches() -> DataLoader[Any]:
    generator = torch.Generator().manual_seed(0)
    images = [{name: torch.rand(3, 16, 16, generator=generator) * 2 - 1 for name in ("a", "b")} for _ in range(8)]
    return DataLoader(images, batch_size=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("with_metric_logger", [False, True])
def test_learning_rate_monitor_shows_the_rate_of_the_same_batch(with_metric_logger: bool) -> None:
    """Lightning numbers the batches from 0, MetricLogger from 1."""
    model, rows = small(d_lr_mult=2.0, schedule=LinearDecayLR(constant=0.5)), Rows()
    ours = [MetricLogger()] if with_metric_logger else []
    callbacks = [StopAtMaxIterations(8), LearningRateMonitor(), *ours]
    L.Trainer(max_epochs=-1, logger=rows, log_every_n_steps=1, callbacks=callbacks, **QUIET).fit(model, batches())
    expected = [1e-3 * factor for factor in [1.0] * 5 + [0.75, 0.5, 0.25]]
    for player, mult in (("generators", 1), ("discriminators", 2)):
        monitored, logged = rows.of(f"lr-{player}"), rows.of(f"lr/{player}")
        assert list(monitored.values()) == pytest.approx([mult * rate for rate in expected])
        assert list(logged.values()) == pytest.approx(list(monitored.values()), rel=1e-6)
        first = int(with_metric_logger)
        assert list(monitored) == list(range(8)) and list(logged) == list(range(first, first + 8))


def test_metrics_are_logged_when_due_only(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = []
    monkeypatch.setattr(BaseModel, "step_metrics", lambda self: logged.append(self.iteration) or {})
    model = small()
    L.Trainer(max_epochs=1, logger=Rows(), log_every_n_steps=3, **QUIET).fit(model, batches())
    assert logged == [3, 6]


def test_schedulers_are_saved_and_resumed(tmp_path: Path) -> None:
    def train(model: CycleGAN, start: Path | None, limit: int) -> list[float]:
        trainer = L.Trainer(max_steps=limit, logger=False, **QUIET)
        trainer.fit(model, batches(), ckpt_path=start, weights_only=True)
        trainer.save_checkpoint(tmp_path / "saved.ckpt", weights_only=False)
        return [group["lr"] for player in model.players for group in player.optimizer.param_groups]

    train(small(), None, 16)
    saved = torch.load(tmp_path / "saved.ckpt", weights_only=True)
    assert [each["last_epoch"] for each in saved["lr_schedulers"]] == [8, 8]
    resumed, uninterrupted = small(), small()
    rates = train(resumed, tmp_path / "saved.ckpt", 20), train(uninterrupted, None, 20)
    assert rates[0] == rates[1]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "out"
    settings = ["logger=none", "evaluate=false", "callbacks.validation=null", "callbacks.samples=null", "iterations=3"]
    monitor = "callbacks.checkpointing.monitor=null"
    assert run(["train", TRANSLATION, *settings, monitor, f"output_dir={folder}"]) == 0
    return folder / "checkpoints" / "last.ckpt"


def test_load_from_checkpoint_needs_no_further_arguments(checkpoint: Path) -> None:
    contents = read_checkpoint(checkpoint)
    before = torch.get_rng_state()
    model, trained = CycleGAN.load_from_checkpoint(checkpoint), CycleGAN.load_from_checkpoint(checkpoint, use_ema=False)
    assert torch.equal(before, torch.get_rng_state()), "the caller's random numbers stay the same"
    assert isinstance(model, CycleGAN) and model.iteration == 3 and model.cycle_weight == 10
    for name, value in model.a_to_b.state_dict().items():
        assert torch.equal(value, contents["ema"]["a_to_b"][name])
        assert torch.equal(trained.a_to_b.state_dict()[name], contents["state_dict"][f"a_to_b.{name}"])
    assert not torch.equal(weights(model.a_to_b), weights(trained.a_to_b))
    assert CycleGAN.load_from_checkpoint(checkpoint, cycle_weight=3.0).cycle_weight == 3
    assert isinstance(BaseModel.load_from_checkpoint(str(checkpoint)), CycleGAN)


def test_a_checkpoint_of_another_model_is_refused(checkpoint: Path) -> None:
    with refused("checkpoint.other_model", "CycleGAN.load_from_checkpoint"):
        Pix2Pix.load_from_checkpoint(checkpoint)


def test_a_checkpoint_cannot_name_any_class(checkpoint: Path, tmp_path: Path) -> None:
    contents = torch.load(checkpoint, weights_only=True)
    contents["config"]["model"]["generator"]["_target_"] = "os.system"
    torch.save(contents, tmp_path / "bad.ckpt")
    with refused("security.untrusted_package", "os.system"):
        CycleGAN.load_from_checkpoint(tmp_path / "bad.ckpt")


def test_a_checkpoint_of_a_plain_script_is_loaded_with_the_constructor_s_arguments(tmp_path: Path) -> None:
    model = small()
    trainer = L.Trainer(max_steps=2, logger=False, **QUIET)
    trainer.fit(model, batches())
    trainer.save_checkpoint(tmp_path / "plain.ckpt", weights_only=False)
    with refused("checkpoint.unknown_format", "plain.ckpt", "CycleGAN"):
        CycleGAN.load_from_checkpoint(tmp_path / "plain.ckpt")
    other = small()
    arguments = {
        "generator": lambda: other.a_to_b.__class__(channels=4, blocks=1),
        "discriminator": lambda: other.discriminator_a.__class__(channels=4, layers=2),
        "loss": other.adversarial_loss, "optimizer": other._optimizer, "schedule": other._schedule,
    }  # fmt: skip
    loaded = CycleGAN.load_from_checkpoint(tmp_path / "plain.ckpt", weights_only=True, **arguments)
    assert torch.equal(weights(loaded), weights(model)) and loaded.iteration == 1
