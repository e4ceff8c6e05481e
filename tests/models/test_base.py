"""Turns: who moves, who stands still, what is gathered, and what the counter reads."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stylegan_lab.callbacks.max_iterations import StopAtMaxIterations
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.losses.losses import Losses
from stylegan_lab.losses.perceptual import PerceptualLoss
from stylegan_lab.losses.regularizers import WeightClipping
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.image_pool import ImagePool
from stylegan_lab.models.lr_schedules import ConstantLR, LinearDecayLR
from stylegan_lab.models.translation.cyclegan import CycleGAN
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.features.feature_net import color_pyramid
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from tests.refusals import refused


def small(adversarial_loss: AdversarialLoss | None = None, **settings: Any) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(
        partial(ResNetGenerator, channels=4, blocks=1),
        partial(PatchDiscriminator, channels=4, layers=2),
        adversarial_loss or AdversarialLoss(LSGANLoss()),
        settings.pop("optimizer", partial(torch.optim.Adam, lr=1e-3)),
        settings.pop("schedule", ConstantLR()),
        **settings,
    )


def train(
    module: BaseModel, iterations: int, folder: Path, *callbacks: L.Callback, samples: Any = None, batch_size: int = 1
) -> L.Trainer:
    data = samples or [{"a": torch.rand(3, 16, 16) * 2 - 1, "b": torch.rand(3, 16, 16) * 2 - 1} for _ in range(8)]
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=-1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[StopAtMaxIterations(iterations), *callbacks],
    )  # fmt: skip
    trainer.fit(module, DataLoader(data, batch_size=batch_size))  # type: ignore[arg-type]
    return trainer


def weights(*nets: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for net in nets for parameter in net.parameters()])


class Recording(CycleGAN):
    """Records which players each step changed."""

    def optimize(self, player: Any, losses: Any, *args: Any) -> Losses:
        before = {other.name: weights(*other.networks) for other in self.players}
        done = super().optimize(player, losses, *args)
        self.moved.append(
            (
                player.name,
                {other.name for other in self.players if not torch.equal(before[other.name], weights(*other.networks))},
            )
        )
        still = [other for other in self.players if other is not player]
        self.gathered += [p.grad is not None and bool(p.grad.any()) for other in still for p in other.parameters()]
        return done


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    module = small()
    module.__class__ = Recording
    module.moved, module.gathered = [], []  # type: ignore[attr-defined]
    train(module, 1, tmp_path)
    assert isinstance(module, Recording)
    return module


def test_optimize_updates_its_own_player_only(recording: Recording) -> None:
    assert recording.moved == [("generators", {"generators"}), ("discriminators", {"discriminators"})]


def test_optimize_leaves_every_weight_trainable(recording: Recording) -> None:
    assert all(parameter.requires_grad for parameter in recording.parameters())


def test_the_iteration_counts_batches(tmp_path: Path) -> None:
    """Two players step eight times each; Lightning's own counter reads 16."""
    module = small()
    trainer = train(module, 8, tmp_path)
    assert module.iteration == 8 and trainer.global_step == 16


def test_the_budget_crosses_epochs(tmp_path: Path) -> None:
    module = small()
    trainer = train(module, 19, tmp_path)
    assert module.iteration == 19 and trainer.current_epoch >= 2


def test_players_never_share_parameters() -> None:
    module = small()
    with pytest.raises(ValueError, match="shares parameters"):
        module.add_player("again", module.a_to_b, optimizer=partial(torch.optim.Adam, lr=1e-3))


def test_losses_in_groups_give_the_gradients_of_their_sum() -> None:
    module = small().double()
    images = [torch.rand(1, 3, 16, 16, dtype=torch.float64) for _ in range(2)]

    def gradient(split: bool) -> Tensor:
        module.zero_grad()
        groups: Iterator[Losses] = module.generator_losses(*images)  # type: ignore[assignment]
        if split:
            for losses in groups:
                losses.total().backward()
        else:
            sum(losses.total() for losses in groups).backward()  # type: ignore[union-attr]
        return torch.cat([p.grad.flatten() for p in module.generators.parameters()])  # type: ignore[union-attr]

    assert torch.allclose(gradient(True), gradient(False), rtol=1e-12, atol=1e-15)


def test_weight_0_costs_no_forward_pass() -> None:
    calls = []
    module = small(cycle_weight=0.0)
    module.b_to_a.register_forward_hook(lambda *_: calls.append("b_to_a"))
    module.a_to_b.register_forward_hook(lambda *_: calls.append("a_to_b"))
    a, b = torch.rand(2, 1, 3, 16, 16)
    losses = list(module.generator_losses(a, b))
    assert calls == ["a_to_b", "b_to_a"] and {name for each in losses for name in each.losses} == {"a_gan", "b_gan"}


def test_identity_generators_have_no_cycle_or_identity_loss() -> None:
    module = small()
    module.a_to_b, module.b_to_a = nn.Identity(), nn.Identity()
    a = torch.rand(1, 3, 16, 16)
    for losses in module.generator_losses(a, a):
        assert all(float(loss) == 0 for name, loss in losses.losses.items() if "gan" not in name)


def test_d_lr_mult_scales_the_discriminators_rate_and_all_rates_decay_together(tmp_path: Path) -> None:
    module = small(d_lr_mult=4.0, schedule=LinearDecayLR(constant=0.5))
    rates = []

    class RecordLearningRates(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            rates.append([player.optimizer.param_groups[0]["lr"] for player in module.players])

    train(module, 8, tmp_path, RecordLearningRates())
    assert [discriminator / generator for generator, discriminator in rates] == pytest.approx([4.0] * 8)
    assert [generator for generator, _ in rates] == pytest.approx([1e-3] * 5 + [0.75e-3, 0.5e-3, 0.25e-3])


def test_the_last_iteration_still_learns() -> None:
    """The reference's first code played its last epoch at rate 0."""
    decay = LinearDecayLR(constant=0.5)
    assert [decay(i / 200) for i in (0, 100, 150)] == [1.0, 1.0, 0.5] and decay(199 / 200) == pytest.approx(0.01)


def test_discriminators_weights_are_clipped_after_their_step(tmp_path: Path) -> None:
    module = small(AdversarialLoss(LSGANLoss(), constraint=WeightClipping(0.005)))
    train(module, 1, tmp_path)
    assert float(weights(module.discriminator_a, module.discriminator_b).abs().max()) <= 0.005
    assert float(weights(module.a_to_b).abs().max()) > 0.005


def test_generators_are_updated_every_n_critic_iterations(tmp_path: Path) -> None:
    module = small(AdversarialLoss(LSGANLoss(), n_critic=3))
    before = weights(module.a_to_b)
    train(module, 2, tmp_path)
    assert torch.equal(before, weights(module.a_to_b))
    train(module, 3, tmp_path)
    assert not torch.equal(before, weights(module.a_to_b))


def test_gradients_are_clipped_when_asked(tmp_path: Path) -> None:
    """Under SGD the length of a step is the rate times the clipped norm."""
    module = small(clip_gradients=1e-3)
    module.generators.optimizer = torch.optim.SGD(list(module.generators.parameters()), lr=1.0)
    module.generators.optimizer.param_groups[0]["initial_lr"] = 1.0
    before = weights(module.a_to_b, module.b_to_a)
    train(module, 1, tmp_path)
    assert float((weights(module.a_to_b, module.b_to_a) - before).norm()) == pytest.approx(1e-3, rel=1e-2)


def test_a_pool_passes_images_through_until_it_is_full_and_then_swaps_half() -> None:
    torch.manual_seed(0)
    pool = ImagePool(50)
    first = torch.arange(50.0).reshape(50, 1, 1, 1)
    assert torch.equal(pool(first), first)
    later = torch.arange(1000.0, 3000.0).reshape(2000, 1, 1, 1)
    swapped = (pool(later) != later).float().mean()
    assert 0.45 < float(swapped) < 0.55
    assert len(pool.images) == 50


def test_a_pool_of_size_0_is_no_pool() -> None:
    images = torch.rand(3, 1, 2, 2)
    assert ImagePool(0)(images) is images


def test_a_setting_that_an_optimizer_refuses_is_named() -> None:
    def refusing(_: Any) -> torch.optim.Optimizer:
        raise ValueError("an odd thing")

    for settings, named in (({"lr": -1}, "optimizer.lr=-1: "), ({"betas": (2, 0.9)}, "optimizer.betas=(2, 0.9): ")):
        with refused("config.invalid_optimizer", named):
            small(optimizer=partial(torch.optim.Adam, **settings)).configure_optimizers()
    with refused("config.invalid_optimizer", "optimizer: an odd thing"):
        small(optimizer=refusing).configure_optimizers()


def test_buffers_are_synchronized_before_a_checkpoint_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    module, synchronized = small(), []
    monkeypatch.setattr(module, "sync_buffers", lambda: synchronized.append(True))
    module.on_save_checkpoint({})
    assert synchronized


def test_a_model_declares_its_batch_type() -> None:
    assert CycleGAN.batch_type is UnpairedBatch


def test_the_feature_network_is_built_only_if_its_losses_have_weight() -> None:
    a, b = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)

    def must_not_be_built() -> PerceptualLoss:
        raise AssertionError("a feature net that nobody needs was built")

    small(features=must_not_be_built).load_feature_networks()
    perception = PerceptualLoss(color_pyramid, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    module = small(features=lambda: perception, content_weight=2.0, style_weight=3.0)
    module.a_to_b.register_forward_hook(lambda *_: b)
    of_a, *_ = module.generator_losses(a, b)
    losses = of_a.detached().losses
    assert float(losses["a_style"]) == 0, "what is painted as the other domain is"
    expected = 2.0 * float(torch.nn.functional.mse_loss(_features(b), _features(a)))
    assert float(losses["a_content"]) == pytest.approx(expected, rel=1e-5)
    for name, other in (("content", "style"), ("style", "content")):
        (of_a, *_) = small(features=lambda: perception, **{f"{name}_weight": 1.0}).generator_losses(a, b)  # type: ignore[arg-type]
        assert f"a_{name}" in of_a.losses and f"a_{other}" not in of_a.losses


def _features(image: Tensor) -> Tensor:
    return color_pyramid()(image, ["full"])["full"]
