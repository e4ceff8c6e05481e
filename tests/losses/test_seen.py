"""What critics see: changes that keep what they must, reach second derivatives, and grow as strong as it takes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.experiment import build
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import Hinge, LeastSquares, NonSaturating, Relativistic, Wasserstein
from stylegan_lab.losses.penalties import R1
from stylegan_lab.losses.seen.adaptive import Adaptive
from stylegan_lab.losses.seen.diffaugment import DiffAugment, colour, cutout, translation
from stylegan_lab.losses.seen.pipe import GATES, Matrices, Pipe
from stylegan_lab.losses.seen.warp import warped
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.verdict import Beside, Verdict


def pictures(count: int = 4, channels: int = 3, side: int = 8) -> Tensor:
    return (
        torch.rand(count, channels, side, side, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    )


def turned(angle_quarters: int) -> Tensor:
    cos, sin = [(1, 0), (0, 1), (-1, 0), (0, -1)][angle_quarters]
    return torch.tensor([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], dtype=torch.float64)[None]


def test_warping_by_nothing_is_nothing() -> None:
    torch.testing.assert_close(warped(pictures(), torch.eye(3).double().repeat(4, 1, 1)), pictures())


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_move_pixels_and_mix_none(quarters: int) -> None:
    image = pictures(1)
    ways = [torch.rot90(image, times, dims=(2, 3)) for times in (quarters, -quarters)]
    result = warped(image, turned(quarters))
    assert any(torch.allclose(result, way) for way in ways)


def test_a_shift_brings_in_the_mirror_image() -> None:
    image = torch.arange(4.0).double()[None, None, None].expand(1, 1, 4, 4)
    shift = torch.eye(3).double()[None].clone()
    shift[:, 0, 2] = -2  # fetched from two to the left
    assert warped(image, shift)[0, 0, 0].tolist() == [1, 0, 0, 1]


def test_half_a_pixel_is_the_mean_of_two() -> None:
    image = torch.arange(4.0).double()[None, None, None].expand(1, 1, 4, 4)
    shift = torch.eye(3).double()[None].clone()
    shift[:, 0, 2] = 0.5
    assert warped(image, shift)[0, 0, 0, :3].tolist() == [0.5, 1.5, 2.5]


@pytest.mark.parametrize("seen", [DiffAugment(), Adaptive(Pipe(), strength=0.8)])
def test_second_derivatives_reach_the_picture_through_what_is_seen(seen: Any) -> None:
    """An R1 penalty under augmentation: its gradient for the critic agrees with finite differences."""
    weight = torch.randn(3 * 64, generator=torch.Generator().manual_seed(1)).double().requires_grad_(True)

    def penalty(weight: Tensor) -> Tensor:
        torch.manual_seed(3)
        contest = Contest(NonSaturating(), {"r1": R1(1.0)}, seen=seen)
        judge: Any = lambda image: Verdict((torch.tanh(image.flatten(1) * weight).sum(1, keepdim=True),))  # noqa: E731
        return contest.critic(judge, pictures(2), pictures(2).flip(0), 1).losses["r1"]

    (gradient,) = torch.autograd.grad(penalty(weight), weight)
    step = torch.zeros_like(weight)
    step[17] = 1e-6
    numeric = (penalty(weight + step) - penalty(weight - step)) / 2e-6
    torch.testing.assert_close(gradient[17], numeric, rtol=1e-4, atol=1e-6)


def test_cutout_takes_a_quarter_at_most_and_nothing_else() -> None:
    chance = torch.tensor([[0.5, 0.5], [0.0, 0.0]]).double()
    cut = cutout(torch.ones(2, 3, 8, 8).double(), chance)
    assert (cut == 0).sum(dim=(1, 2, 3)).tolist() == [3 * 16, 3 * 4]
    assert set(cut.unique().tolist()) == {0.0, 1.0}


def test_translation_by_the_middle_chance_is_none_and_zeros_come_in() -> None:
    image = pictures(1)
    torch.testing.assert_close(translation(image, torch.tensor([[0.5, 0.5]]).double()), image)
    moved = translation(image, torch.tensor([[0.99, 0.5]]).double())
    torch.testing.assert_close(moved[:, :, 1:], image[:, :, :-1])
    assert not moved[:, :, 0].any()


def test_colour_in_the_middle_is_the_picture() -> None:
    torch.testing.assert_close(colour(pictures(), torch.full((4, 3), 0.5).double()), pictures())


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_any_number_of_channels(channels: int) -> None:
    image = pictures(channels=channels)
    for seen in (DiffAugment(), Adaptive(Pipe(), strength=1.0)):
        assert seen.draw(image)(image).shape == image.shape


def test_without_strength_nothing_is_changed() -> None:
    image = pictures()
    assert Adaptive(Pipe()).draw(image)(image) is image


def test_stronger_changes_more_pictures() -> None:
    image = pictures(400, side=4)
    changed = []
    for strength in (0.05, 0.5):
        torch.manual_seed(0)
        change = Pipe(blit=False, colour=False).draw(image, strength)(image)
        changed.append(float((change - image).abs().flatten(1).amax(1).gt(1e-9).double().mean()))
    assert changed[0] == pytest.approx(
        1 - 0.95**4, abs=0.06
    )  # scale, stretch, shift, and turns twice at half the odds each
    assert changed[1] == pytest.approx(1 - 0.5**4, abs=0.06)


def test_hue_and_saturation_keep_the_grey() -> None:
    grey = torch.full((50, 3, 2, 2), 0.25).double()
    torch.manual_seed(0)
    seen = Pipe(blit=False, geometry=False).draw(grey, 1.0)(grey)
    torch.testing.assert_close(seen.std(dim=1), torch.zeros(50, 2, 2).double(), atol=1e-6, rtol=0)


def test_reals_fakes_and_what_stands_beside_them_are_changed() -> None:
    """A paired critic's two pictures meet the same change."""
    given, image = pictures(4, 1), pictures(4, 1)
    met: list[Tensor] = []

    def critic(both: Tensor) -> Verdict:
        met.append(both)
        return Verdict((both.mean(dim=(1, 2, 3))[:, None],))

    contest = Contest(Hinge(), seen=Adaptive(Pipe(), strength=1.0))
    contest.critic(Beside(critic, given), image, image.clone(), 1)
    assert len(met) == 2
    for both in met:
        torch.testing.assert_close(both[:, :1], both[:, 1:])
        assert not torch.allclose(both[:, 1:], image)


@pytest.mark.parametrize(("sure", "then"), [(1.0, 0.5), (-1.0, 0.1), (0.6, 0.3)])
def test_strength_rises_while_the_critic_is_too_sure_and_falls_while_it_is_not(sure: float, then: float) -> None:
    seen = Adaptive(Pipe(), target=0.6, every=4, images=1000, strength=0.3)
    for _ in range(4):
        seen.notice(sure, 50)
    assert seen.strength == pytest.approx(then)


def test_strength_never_falls_below_nothing() -> None:
    seen = Adaptive(Pipe(), every=1, images=10)
    seen.notice(-1.0, 100)
    assert seen.strength == 0.0


def test_what_it_knows_is_saved_in_the_middle_of_a_look() -> None:
    one = Adaptive(Pipe(), every=3, images=100)
    one.notice(1.0, 10)
    other = Adaptive(Pipe(), every=3, images=100)
    other.load_state_dict(one.state_dict())
    for each in (one, other):
        each.notice(1.0, 10)
        each.notice(1.0, 10)
    assert one.strength == other.strength == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("game", "real", "fake", "sure"),
    [
        (NonSaturating(), [1.0, -1.0, 2.0, 3.0], [0.0] * 4, 0.5),
        (LeastSquares(), [0.4, 0.6, 0.7, 0.9], [0.0] * 4, 0.5),
        (Relativistic(), [1.0, 2.0], [3.0, -3.0], 0.0),
    ],
)
def test_how_sure_a_critic_is(game: Any, real: list[float], fake: list[float], sure: float) -> None:
    assert float(game.sure({"logits_real": torch.tensor(real), "logits_fake": torch.tensor(fake)})) == pytest.approx(
        sure
    )


def test_a_game_without_a_middle_cannot_adapt() -> None:
    with pytest.raises(Mistake, match="diffaugment"):
        Contest(Wasserstein(), seen=Adaptive(Pipe()))


def test_the_strength_is_in_the_checkpoint(composed: Callable[..., DictConfig]) -> None:
    module: Any = build(composed("experiment=smoke", "model=dcgan", "critics_see=adaptive"), {}).module
    module.contest.seen.strength = 0.25
    checkpoint: dict[str, Any] = {}
    module.on_save_checkpoint(checkpoint)
    module.contest.seen.strength = 0.0
    module.on_load_checkpoint(checkpoint)
    assert module.contest.seen.strength == 0.25


def test_each_change_has_dice_of_its_own() -> None:
    """Where a picture goes says nothing of how bright it becomes."""
    count = 600
    dice = torch.Generator().manual_seed(0)
    gate, even = torch.zeros(count, GATES), torch.rand(count, GATES, generator=dice)
    places = Matrices(gate, even, torch.randn(count, GATES, generator=dice), 1.0)
    where, colours = places.geometry(8, 8, False, True), places.colour(1)
    for shift in (where[:, 0, 2], where[:, 1, 2]):
        for change in (colours[:, 0, 1], colours[:, 0, 0]):
            assert abs(float(torch.corrcoef(torch.stack([shift, change]))[0, 1])) < 0.2


def test_half_precision_moves_nothing_elsewhere() -> None:
    image = pictures(4, side=64).float()
    seen = Adaptive(Pipe(colour=False), strength=1.0)
    torch.manual_seed(0)
    exact = seen.draw(image)(image)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16):
        half = seen.draw(image.bfloat16())(image.bfloat16())
    assert float((half - exact).std() / exact.std()) < 0.05
