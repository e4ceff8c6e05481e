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

from stylegan_lab.callbacks.budget import Budget
from stylegan_lab.images.batch import Unpaired
from stylegan_lab.losses.constraints import WeightClipping
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import LeastSquares
from stylegan_lab.losses.perception import Perception
from stylegan_lab.losses.terms import Terms
from stylegan_lab.modules.cyclegan import CycleGAN
from stylegan_lab.modules.image_pool import ImagePool
from stylegan_lab.modules.module import Module
from stylegan_lab.modules.schedules import Constant, LinearDecay
from stylegan_lab.nets.features.colours import colours
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator


def small(contest: Contest | None = None, **settings: Any) -> CycleGAN:
    torch.manual_seed(0)
    return CycleGAN(
        partial(ResNetTranslator, channels=4, blocks=1),
        partial(PatchCritic, channels=4, layers=2),
        contest or Contest(LeastSquares()),
        partial(torch.optim.Adam, lr=1e-3),
        settings.pop("schedule", Constant()),
        **settings,
    )


def play(module: Module, iterations: int, folder: Path, *callbacks: L.Callback) -> L.Trainer:
    data = [{"a": torch.rand(3, 16, 16) * 2 - 1, "b": torch.rand(3, 16, 16) * 2 - 1} for _ in range(8)]
    trainer = L.Trainer(
        accelerator="cpu", max_epochs=-1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=[Budget(iterations), *callbacks],
    )  # fmt: skip
    trainer.fit(module, DataLoader(data, batch_size=1))  # type: ignore[arg-type]
    return trainer


def weights(*nets: nn.Module) -> Tensor:
    return torch.cat([parameter.detach().flatten().clone() for net in nets for parameter in net.parameters()])


class Watching(CycleGAN):
    """Remembers what each turn moved."""

    def descend(self, player: Any, terms: Any, *args: Any) -> Terms:
        before = {other.name: weights(*other.nets) for other in self.players}
        done = super().descend(player, terms, *args)
        self.moved.append(
            (
                player.name,
                {other.name for other in self.players if not torch.equal(before[other.name], weights(*other.nets))},
            )
        )
        still = [other for other in self.players if other is not player]
        self.gathered += [p.grad is not None and bool(p.grad.any()) for other in still for p in other.parameters()]
        return done


@pytest.fixture
def watched(tmp_path: Path) -> Watching:
    module = small()
    module.__class__ = Watching
    module.moved, module.gathered = [], []  # type: ignore[attr-defined]
    play(module, 1, tmp_path)
    assert isinstance(module, Watching)
    return module


def test_critics_stand_still_while_generators_descend_and_the_other_way_round(watched: Watching) -> None:
    assert watched.moved == [("generators", {"generators"}), ("critics", {"critics"})]


def test_a_turn_leaves_every_weight_trainable(watched: Watching) -> None:
    assert all(parameter.requires_grad for parameter in watched.parameters())


def test_the_counter_reads_batches_played(tmp_path: Path) -> None:
    """Two players step eight times each; Lightning's own counter reads 16."""
    module = small()
    trainer = play(module, 8, tmp_path)
    assert module.iteration == 8 and trainer.global_step == 16


def test_the_budget_crosses_epochs(tmp_path: Path) -> None:
    module = small()
    trainer = play(module, 19, tmp_path)
    assert module.iteration == 19 and trainer.current_epoch >= 2


def test_players_never_share_parameters() -> None:
    module = small()
    with pytest.raises(ValueError, match="shares parameters"):
        module.player("again", module.a_to_b, optimizer=partial(torch.optim.Adam, lr=1e-3))


def test_terms_in_groups_give_the_gradients_of_their_sum() -> None:
    module = small().double()
    images = [torch.rand(1, 3, 16, 16, dtype=torch.float64) for _ in range(2)]

    def gradient(split: bool) -> Tensor:
        module.zero_grad()
        groups: Iterator[Terms] = module.generator_terms(*images, module.b_to_a(images[1]), module.a_to_b(images[0]))
        if split:
            for terms in groups:
                terms.total().backward()
        else:
            sum(terms.total() for terms in groups).backward()  # type: ignore[union-attr]
        return torch.cat([p.grad.flatten() for p in module.generators.parameters()])  # type: ignore[union-attr]

    assert torch.allclose(gradient(True), gradient(False), rtol=1e-12, atol=1e-15)


def test_weight_0_costs_no_forward_pass() -> None:
    calls = []
    module = small(cycle_weight=0.0)
    module.b_to_a.register_forward_hook(lambda *_: calls.append(1))
    module.a_to_b.register_forward_hook(lambda *_: calls.append(1))
    a, b, fake_a, fake_b = torch.rand(4, 1, 3, 16, 16)
    terms = list(module.generator_terms(a, b, fake_a, fake_b))
    assert not calls and {name for each in terms for name in each.losses} == {"a_game", "b_game"}
    list(small(identity_weight=0.0).generator_terms(a, b, fake_a, fake_b))


def test_identity_translators_lose_nothing_on_the_round_trip() -> None:
    module = small()
    module.a_to_b, module.b_to_a = nn.Identity(), nn.Identity()
    a, b = torch.rand(2, 1, 3, 16, 16)
    for terms in module.generator_terms(a, b, b, a):
        assert all(float(loss) == 0 for name, loss in terms.losses.items() if "game" not in name)


def test_critics_learn_at_a_rate_of_their_own_and_all_rates_decay_together(tmp_path: Path) -> None:
    module = small(critic_rate=4.0, schedule=LinearDecay(constant=0.5))
    rates = []

    class Watch(L.Callback):
        def on_train_batch_end(self, *_: Any) -> None:
            rates.append([player.optimizer.param_groups[0]["lr"] for player in module.players])

    play(module, 8, tmp_path, Watch())
    assert [critic / generator for generator, critic in rates] == pytest.approx([4.0] * 8)
    assert [generator for generator, _ in rates] == pytest.approx([1e-3] * 5 + [0.75e-3, 0.5e-3, 0.25e-3])


def test_the_last_iteration_still_learns() -> None:
    """The reference's first code played its last epoch at rate 0."""
    decay = LinearDecay(constant=0.5)
    assert [decay(i / 200) for i in (0, 100, 150)] == [1.0, 1.0, 0.5] and decay(199 / 200) == pytest.approx(0.01)


def test_critics_weights_are_clipped_after_their_step(tmp_path: Path) -> None:
    module = small(Contest(LeastSquares(), constraint=WeightClipping(0.005)))
    play(module, 1, tmp_path)
    assert float(weights(module.critic_a, module.critic_b).abs().max()) <= 0.005
    assert float(weights(module.a_to_b).abs().max()) > 0.005


def test_generators_wait_for_their_turn(tmp_path: Path) -> None:
    module = small(Contest(LeastSquares(), critic_turns=3))
    before = weights(module.a_to_b)
    play(module, 2, tmp_path)
    assert torch.equal(before, weights(module.a_to_b))
    play(module, 3, tmp_path)
    assert not torch.equal(before, weights(module.a_to_b))


def test_gradients_are_clipped_when_asked(tmp_path: Path) -> None:
    """Under SGD the length of a step is the rate times the clipped norm."""
    module = small(clip_gradients=1e-3)
    module.generators.optimizer = torch.optim.SGD(list(module.generators.parameters()), lr=1.0)
    module.generators.optimizer.param_groups[0]["initial_lr"] = 1.0
    before = weights(module.a_to_b, module.b_to_a)
    play(module, 1, tmp_path)
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


def test_a_module_says_what_it_takes() -> None:
    assert CycleGAN.takes is Unpaired


def test_a_feature_net_watches_only_if_its_terms_weigh_something() -> None:
    a, b = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)

    def unneeded() -> Perception:
        raise AssertionError("a feature net that nobody needs was built")

    small(features=unneeded).prepare()
    perception = Perception(colours, "none", {"full": 1.0}, {"full": 1.0}, "moments")
    module = small(features=lambda: perception, content_weight=2.0, style_weight=3.0)
    (of_a, _) = module.generator_terms(a, b, a, b)
    losses = of_a.detached().losses
    assert float(losses["a_style"]) == 0, "what is painted as the other domain is"
    expected = 2.0 * float(torch.nn.functional.mse_loss(_seen(b), _seen(a)))
    assert float(losses["a_content"]) == pytest.approx(expected, rel=1e-5)


def _seen(image: Tensor) -> Tensor:
    return colours()(image, ["full"])["full"]
