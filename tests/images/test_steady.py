"""A steadied video flickers less where the input does not change, and is what it was where it does."""

from itertools import pairwise
from statistics import fmean

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.images.steady import Steadier, luminance, optical_flow, similarity, warp
from stylegan_lab.images.value_range import from_bytes, to_bytes

CPU = torch.device("cpu")


def scene(seed: int, size: int = 96) -> Tensor:
    """A smooth random image (3, H, W) in [-1, 1], with detail of several sizes."""
    rng = torch.Generator().manual_seed(seed)
    layers = [
        F.interpolate(torch.randn(1, 3, cells, cells, generator=rng), (size, size), mode="bicubic") / weight
        for cells, weight in ((4, 2), (12, 3), (32, 5))
    ]
    return sum(layers)[0].clamp(-2, 2) * 0.4  # so that noise is not clipped


def noisy(image: Tensor, seed: int, levels: float = 4.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return to_bytes(image + torch.randn(image.shape, generator=rng) * levels / 127.5)


def flickering(image: Tensor, seed: int) -> Tensor:
    """A stand-in for a translation: other colors, and noise of its own."""
    return noisy(-from_bytes(image), 1000 + seed, 12.0)


def flicker(frames: list[Tensor]) -> float:
    return fmean(float((one.float() - other.float()).abs().mean()) for one, other in pairwise(frames))


def steadied(inputs: list[Tensor], translated: list[Tensor], strength: float) -> list[Tensor]:
    return list(map(Steadier(strength, CPU), inputs, translated))


def test_the_first_frame_and_strength_zero_change_nothing() -> None:
    inputs = [noisy(scene(0), seed) for seed in range(4)]
    translated = [flickering(each, seed) for seed, each in enumerate(inputs)]
    assert all(map(torch.equal, steadied(inputs, translated, 0.0), translated))
    assert torch.equal(steadied(inputs[:1], translated[:1], 0.9)[0], translated[0])


@pytest.mark.parametrize("strength", [0.5, 0.8])
def test_a_still_scene_flickers_as_little_as_an_exponential_average(strength: float) -> None:
    """In the limit, white noise shrinks to sqrt((1 - s) / (1 + s)), and its differences to (1 - s) / sqrt(1 + s)."""
    inputs = [noisy(scene(0), seed) for seed in range(30)]
    translated = [flickering(each, seed) for seed, each in enumerate(inputs)]
    out = steadied(inputs, translated, strength)
    expected = (1 - strength) / (1 + strength) ** 0.5
    assert 0.95 * expected < flicker(out[15:]) / flicker(translated[15:]) < 1.2 * expected
    errors = [float((from_bytes(each[-1]) + scene(0)).abs().mean()) for each in (out, translated)]
    assert errors[0] / errors[1] < 1.1 * ((1 - strength) / (1 + strength)) ** 0.5


def test_the_first_frame_after_a_cut_is_the_translation_itself() -> None:
    inputs = [noisy(scene(seed), frame) for seed in (1, 2) for frame in range(4)]
    translated = [flickering(each, frame) for frame, each in enumerate(inputs)]
    out = steadied(inputs, translated, 0.8)
    assert torch.equal(out[4], translated[4])
    assert not torch.equal(out[3], translated[3]) and not torch.equal(out[5], translated[5])


def test_what_changes_on_its_own_is_not_smeared() -> None:
    """A square that appears in a still scene is there at once, and gone at once."""
    still = scene(3)
    inputs = [to_bytes(still)] * 3
    changed = still.clone()
    changed[:, 30:60, 30:60] = 1.0
    inputs = [*inputs, to_bytes(changed), to_bytes(changed), *inputs]
    out = steadied(inputs, inputs, 0.8)
    for index in (3, 5):
        inner = (out[index].int() - inputs[index].int())[:, 34:56, 34:56].abs().float()
        assert inner.mean() < 2, index


def test_a_fade_is_followed() -> None:
    """A translation that becomes darker with its input lags behind by less than an average of the frames would."""
    strength, step = 0.8, 2.5
    inputs = [noisy(scene(8) - index * step / 127.5, index, 2.0) for index in range(20)]
    lag = float(steadied(inputs, inputs, strength)[-1].float().mean() - inputs[-1].float().mean())
    assert 0 <= lag < 0.3 * step * strength / (1 - strength)


@pytest.mark.parametrize("motion", [(1.0, 0.0), (2.5, -1.25), (6.0, 3.0)])
def test_flow_finds_a_known_motion(motion: tuple[float, float]) -> None:
    last = scene(4, 128)[None]
    truth = torch.tensor(motion).view(1, 2, 1, 1).expand(1, 2, 128, 128)
    flow = optical_flow(luminance(warp(last, truth, "bicubic")), luminance(last))
    assert (flow - truth)[..., 16:-16, 16:-16].norm(dim=1).mean() < 0.15


def test_noise_is_no_motion_and_no_change() -> None:
    one, other = (from_bytes(noisy(scene(5), seed))[None] for seed in (0, 1))
    assert optical_flow(luminance(one), luminance(other)).norm(dim=1).mean() < 0.2
    assert similarity(one, other).mean() > 0.95


def test_motion_is_followed() -> None:
    """Along the true motion, a pan flickers less, and it is closer to the translation without flicker."""
    motion, size = torch.tensor([1.5, 0.5]), 96
    large = scene(6, 160)[None]

    def view(index: int) -> Tensor:
        flow = (motion * index).view(1, 2, 1, 1).expand(1, 2, 160, 160)
        return warp(large, flow, "bicubic")[0, :, :size, :size]

    def along_motion(frames: list[Tensor]) -> float:
        flow = motion.view(1, 2, 1, 1).expand(1, 2, size, size)
        moved = [warp(from_bytes(each)[None], flow)[0] for each in frames[:-1]]
        pairs = zip(moved, frames[1:], strict=True)
        return fmean(float((one - from_bytes(other))[:, 8:-8, 8:-8].abs().mean()) for one, other in pairs)

    inputs = [noisy(view(index), index, 2.0) for index in range(12)]
    translated = [flickering(each, index) for index, each in enumerate(inputs)]
    out = steadied(inputs, translated, 0.8)
    assert along_motion(out[6:]) < 0.45 * along_motion(translated[6:])
    truth = -view(11)
    assert (from_bytes(out[-1]) - truth).abs().mean() < 0.7 * (from_bytes(translated[-1]) - truth).abs().mean()


def test_translations_may_be_larger_or_smaller_than_the_input() -> None:
    for factor in (2.0, 0.5):
        inputs = [noisy(scene(7), seed) for seed in range(6)]
        resized = [F.interpolate(each[None].float(), scale_factor=factor, mode="bilinear")[0].byte() for each in inputs]
        translated = [flickering(each, seed) for seed, each in enumerate(resized)]
        out = steadied(inputs, translated, 0.8)
        assert out[0].shape == translated[0].shape and flicker(out[2:]) < 0.6 * flicker(translated[2:])
