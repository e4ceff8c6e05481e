"""Metrics beside closed forms and laws: nothing is nearer than itself, and a known change costs what it should."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_lab.evaluation.colour_map import ColourMap
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.evaluation.scores import Domains, gather, score
from stylegan_lab.evaluation.sliced_wasserstein import crowd_distance, palette_distance, sliced_wasserstein
from stylegan_lab.images.convert import from_bytes, to_bytes, to_unit
from stylegan_lab.mistake import Mistake


def noise(seed: int, count: int = 6, size: int = 32) -> Tensor:
    return torch.rand(count, 3, size, size, generator=torch.Generator().manual_seed(seed))


PERFECT = {
    "l1": 0.0,
    "psnr": math.inf,
    "ssim": 1.0,
    "ms_ssim": 1.0,
    "diversity": 1.0,
    "sliced_wasserstein": 0.0,
    "palette_distance": 0.0,
    "content_kept": 1.0,
}


@pytest.mark.parametrize("name", METRICS)
def test_nothing_is_nearer_than_itself(name: str) -> None:
    images, measure = noise(0), METRICS[name].measure
    assert measure(images, images) == pytest.approx(PERFECT[name], abs=1e-5)
    worse = measure((images + 0.3 * noise(1)).clamp(0, 1), images)
    assert worse < PERFECT[name] - 1e-3 if METRICS[name].better == "higher" else worse > PERFECT[name] + 1e-3


@pytest.mark.parametrize("name", METRICS)
def test_whatever_is_large_enough_is_measured_and_what_is_not_is_said(name: str) -> None:
    metric = METRICS[name]
    images = noise(0, size=metric.smallest)
    assert metric(images, images) == pytest.approx(PERFECT[name], abs=1e-5)
    if metric.smallest > 1:
        with pytest.raises(Mistake, match=f"{name} needs pictures of at least {metric.smallest} pixels"):
            score(noise(0, size=metric.smallest - 1), {metric.against: images}, {name: metric})


def test_l1_and_psnr_of_a_constant_shift_are_the_closed_forms() -> None:
    images = noise(0) * 0.5
    assert METRICS["l1"].measure(images + 0.1, images) == pytest.approx(0.1, rel=1e-4)
    assert METRICS["psnr"].measure(images + 0.1, images) == pytest.approx(20.0, rel=1e-4)


def test_psnr_is_averaged_over_pictures_in_decibels() -> None:
    truth = torch.zeros(2, 3, 16, 16)
    images = torch.stack([torch.full((3, 16, 16), 0.1), torch.full((3, 16, 16), 0.01)])
    assert METRICS["psnr"].measure(images, truth) == pytest.approx(30.0, rel=1e-4)


def test_ssim_of_two_flat_pictures_is_the_closed_form() -> None:
    """Without structure only luminance is left: (2xy + c) / (x^2 + y^2 + c)."""
    x, y, c = 0.2, 0.6, 0.01**2
    flat = METRICS["ssim"].measure(torch.full((1, 3, 32, 32), x), torch.full((1, 3, 32, 32), y))
    assert flat == pytest.approx((2 * x * y + c) / (x**2 + y**2 + c), rel=1e-3)


@pytest.mark.parametrize("distance", [sliced_wasserstein, palette_distance])
def test_it_does_not_matter_how_many_pictures_are_in_memory(
    distance: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = torch.Generator().manual_seed(0)
    one, other = (torch.rand(count, 3, 40, 32, generator=dice) for count in (13, 9))
    monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.AT_ONCE", 100)
    at_once = distance(one, other)
    for few in (5, 1):
        monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.AT_ONCE", few)
        assert distance(one, other) == pytest.approx(at_once, rel=1e-6)


def test_ms_ssim_takes_as_many_scales_as_there_is_room_for() -> None:
    """Without structure only the luminance of the last scale is left, to its exponent."""
    x, y, c = 0.2, 0.6, 0.01**2
    luminance = (2 * x * y + c) / (x**2 + y**2 + c)
    for side, exponent in ((192, 0.1333 / 1.0001), (64, 0.3001 / 0.6305), (16, 1.0)):
        flat = METRICS["ms_ssim"].measure(torch.full((1, 1, side, side), x), torch.full((1, 1, side, side), y))
        assert flat == pytest.approx(luminance**exponent, rel=1e-3), side


def test_means_over_pictures_do_not_depend_on_how_many_are_looked_at_together(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [METRICS[name].measure(noise(0, 5), noise(1, 5)) for name in ("ssim", "ms_ssim")]
    monkeypatch.setattr("stylegan_lab.evaluation.fidelity.BATCH", 2)
    assert [METRICS[name].measure(noise(0, 5), noise(1, 5)) for name in ("ssim", "ms_ssim")] == pytest.approx(whole)


def test_the_distance_of_a_shifted_crowd_is_the_shift_seen_from_all_sides() -> None:
    """Along a random direction in D dimensions a shift s measures |s| E|cos|, E|cos| = Gamma(D/2) / (sqrt(pi) Gamma((D+1)/2))."""
    crowd, shift = torch.randn(500, 3), torch.tensor([0.3, -0.4, 1.2])
    expected = float(shift.norm()) * math.gamma(1.5) / (math.sqrt(math.pi) * math.gamma(2))
    assert float(crowd_distance(crowd + shift, crowd)) == pytest.approx(expected, rel=0.1)


def test_palette_counts_in_the_sliced_wasserstein_distance() -> None:
    """The first published code standardises each channel, and is blind to this."""
    images = noise(0) * 0.5
    assert sliced_wasserstein(images + 0.3, images) > 0.05
    assert sliced_wasserstein(images * torch.tensor([1.0, 0.5, 0.2])[:, None, None], images) > 0.02


def test_palette_distance_ignores_where_colours_stand() -> None:
    images = noise(0)
    turned = images.flip(-1).transpose(-1, -2)
    assert palette_distance(turned, images) == pytest.approx(0, abs=1e-3)
    assert METRICS["content_kept"].measure(turned, images) < 0.2


def test_content_kept_sees_edges_and_not_colours() -> None:
    images = noise(0)
    assert METRICS["content_kept"].measure(1 - images, images) == pytest.approx(1, abs=1e-5)


def test_a_colour_map_recovers_an_affine_change_of_colour() -> None:
    images = noise(0) * 0.4 + 0.2
    matrix = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.6, 0.2], [0.1, 0.0, 0.7]])
    changed = torch.einsum("nchw,cd->ndhw", images, matrix) + 0.05
    assert torch.allclose(ColourMap(images[:3], changed[:3])(images), changed, atol=1e-5)


def test_scores_of_saved_pictures_are_scores_of_tensors() -> None:
    """Both go through the same 8 bits."""
    batch = {"a": noise(0) * 2 - 1, "b": noise(1) * 2 - 1}
    translated = to_unit((gather([batch], True).a * 2 - 1) * 0.9)
    saved = {name: from_bytes(to_bytes(images)) for name, images in batch.items()}
    again = from_bytes(to_bytes(translated * 2 - 1)) / 2 + 0.5
    assert score(translated, gather([batch], True).others()) == pytest.approx(
        score(again, gather([saved], True).others()), rel=1e-6
    )


def test_without_true_pairs_no_metric_pretends_to_know_the_truth() -> None:
    unpaired = score(noise(0), Domains(noise(0), noise(1), paired=False).others())
    assert unpaired.keys() == {name for name, metric in METRICS.items() if metric.against != "truth"}
