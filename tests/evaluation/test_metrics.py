"""Image metrics against closed forms and laws: an image is closest to itself, and a known change has a known score."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_lab.evaluation.evaluator import ColorMap, TranslationImages, compute_scores, gather_images
from stylegan_lab.evaluation.metrics import METRICS
from stylegan_lab.evaluation.sliced_wasserstein import palette_distance, sliced_distance, sliced_wasserstein
from stylegan_lab.images.value_range import from_bytes, to_bytes, to_unit
from tests.refusals import refused


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
    "edge_correlation": 1.0,
}


@pytest.mark.parametrize("name", METRICS)
def test_no_image_is_closer_than_the_image_itself(name: str) -> None:
    images, compute = noise(0), METRICS[name].compute
    assert compute(images, images) == pytest.approx(PERFECT[name], abs=1e-5)
    worse = compute((images + 0.3 * noise(1)).clamp(0, 1), images)
    assert worse < PERFECT[name] - 1e-3 if METRICS[name].direction == "higher" else worse > PERFECT[name] + 1e-3


@pytest.mark.parametrize("name", METRICS)
def test_images_below_the_minimum_size_are_an_error(name: str) -> None:
    metric = METRICS[name]
    images = noise(0, size=metric.min_size)
    assert metric(images, images) == pytest.approx(PERFECT[name], abs=1e-5)
    if metric.min_size > 1:
        with refused("evaluation.images_too_small", name, f"{metric.min_size}x{metric.min_size} pixels"):
            compute_scores(noise(0, size=metric.min_size - 1), {metric.reference: images}, {name: metric})


def test_l1_and_psnr_of_a_constant_shift_are_the_closed_forms() -> None:
    images = noise(0) * 0.5
    assert METRICS["l1"].compute(images + 0.1, images) == pytest.approx(0.1, rel=1e-4)
    assert METRICS["psnr"].compute(images + 0.1, images) == pytest.approx(20.0, rel=1e-4)


def test_psnr_is_averaged_over_images_in_decibels() -> None:
    truth = torch.zeros(2, 3, 16, 16)
    images = torch.stack([torch.full((3, 16, 16), 0.1), torch.full((3, 16, 16), 0.01)])
    assert METRICS["psnr"].compute(images, truth) == pytest.approx(30.0, rel=1e-4)


def test_ssim_of_two_flat_images_is_the_closed_form() -> None:
    """Without structure only luminance is left: (2xy + c) / (x^2 + y^2 + c)."""
    x, y, c = 0.2, 0.6, 0.01**2
    flat = METRICS["ssim"].compute(torch.full((1, 3, 32, 32), x), torch.full((1, 3, 32, 32), y))
    assert flat == pytest.approx((2 * x * y + c) / (x**2 + y**2 + c), rel=1e-3)


@pytest.mark.parametrize("distance", [sliced_wasserstein, palette_distance])
def test_distances_do_not_depend_on_the_chunk_size(
    distance: Callable[..., float], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = (torch.rand(count, 3, 40, 32, generator=rng) for count in (13, 9))
    monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.CHUNK_SIZE", 100)
    at_once = distance(one, other)
    for few in (5, 1):
        monkeypatch.setattr("stylegan_lab.evaluation.sliced_wasserstein.CHUNK_SIZE", few)
        assert distance(one, other) == pytest.approx(at_once, rel=1e-6)


def test_ssim_has_a_window_around_each_pixel_and_mirrors_borders() -> None:
    """Eq. 13 of Wang et al. (2004), where the mean is over the windows within the image: another number."""
    one, other = noise(0, 2).double(), (noise(0, 2) * 0.7 + 0.3 * noise(1, 2)).double()
    row = torch.exp(-torch.arange(-5.0, 6.0).double().square() / (2 * 1.5**2))
    window = torch.outer(row, row).flatten() / row.sum() ** 2

    def maps(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        patches = [each.unfold(2, 11, 1).unfold(3, 11, 1).flatten(4) for each in (x, y)]
        mean_x, mean_y = (each @ window for each in patches)
        var_x, var_y = (
            (each - mean[..., None]).square() @ window for each, mean in zip(patches, (mean_x, mean_y), strict=True)
        )
        covariance = ((patches[0] - mean_x[..., None]) * (patches[1] - mean_y[..., None])) @ window
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        return luminance * (2 * covariance + 0.03**2) / (var_x + var_y + 0.03**2)

    mirrored = [torch.nn.functional.pad(each, (5, 5, 5, 5), mode="reflect") for each in (one, other)]
    measured = METRICS["ssim"].compute(one, other)
    assert measured == pytest.approx(float(maps(*mirrored).mean()), abs=1e-6)
    assert measured != pytest.approx(float(maps(one, other).mean()), abs=1e-4)
    assert "borders mirrored" in METRICS["ssim"].protocol


def test_ms_ssim_uses_as_many_scales_as_the_size_allows() -> None:
    """Without structure only the luminance of the last scale is left, to its exponent."""
    x, y, c = 0.2, 0.6, 0.01**2
    luminance = (2 * x * y + c) / (x**2 + y**2 + c)
    for side, exponent in ((192, 0.1333 / 1.0001), (64, 0.3001 / 0.6305), (16, 1.0)):
        flat = METRICS["ms_ssim"].compute(torch.full((1, 1, side, side), x), torch.full((1, 1, side, side), y))
        assert flat == pytest.approx(luminance**exponent, rel=1e-3), side


def test_ssim_does_not_depend_on_the_batch_size(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = [METRICS[name].compute(noise(0, 5), noise(1, 5)) for name in ("ssim", "ms_ssim")]
    monkeypatch.setattr("stylegan_lab.evaluation.image_metrics.BATCH", 2)
    assert [METRICS[name].compute(noise(0, 5), noise(1, 5)) for name in ("ssim", "ms_ssim")] == pytest.approx(at_once)


def test_the_sliced_distance_of_a_shifted_set_is_the_mean_projection_of_the_shift() -> None:
    """Along a random direction in D dimensions a shift s measures |s| E|cos|, E|cos| = Gamma(D/2) / (sqrt(pi) Gamma((D+1)/2))."""
    vectors, shift = torch.randn(500, 3), torch.tensor([0.3, -0.4, 1.2])
    expected = float(shift.norm()) * math.gamma(1.5) / (math.sqrt(math.pi) * math.gamma(2))
    assert float(sliced_distance(vectors + shift, vectors)) == pytest.approx(expected, rel=0.1)


def test_palette_counts_in_the_sliced_wasserstein_distance() -> None:
    """The first published code standardizes each channel and ignores the palette."""
    images = noise(0) * 0.5
    assert sliced_wasserstein(images + 0.3, images) > 0.05
    assert sliced_wasserstein(images * torch.tensor([1.0, 0.5, 0.2])[:, None, None], images) > 0.02


def test_palette_distance_ignores_positions() -> None:
    images = noise(0)
    turned = images.flip(-1).transpose(-1, -2)
    assert palette_distance(turned, images) == pytest.approx(0, abs=1e-3)
    assert METRICS["edge_correlation"].compute(turned, images) < 0.2


def test_edge_correlation_depends_on_edges_and_not_on_colors() -> None:
    images = noise(0)
    assert METRICS["edge_correlation"].compute(1 - images, images) == pytest.approx(1, abs=1e-5)


def test_a_color_map_recovers_an_affine_change_of_color() -> None:
    images = noise(0) * 0.4 + 0.2
    matrix = torch.tensor([[0.5, 0.1, 0.0], [0.0, 0.6, 0.2], [0.1, 0.0, 0.7]])
    changed = torch.einsum("nchw,cd->ndhw", images, matrix) + 0.05
    assert torch.allclose(ColorMap(images[:3], changed[:3])(images), changed, atol=1e-5)


def test_scores_of_saved_images_are_scores_of_tensors() -> None:
    """Both go through the same 8 bits."""
    batch = {"a": noise(0) * 2 - 1, "b": noise(1) * 2 - 1}
    translated = to_unit((gather_images([batch], True).a * 2 - 1) * 0.9)
    saved = {name: from_bytes(to_bytes(images)) for name, images in batch.items()}
    again = from_bytes(to_bytes(translated * 2 - 1)) / 2 + 0.5
    assert compute_scores(translated, gather_images([batch], True).reference_sets()) == pytest.approx(
        compute_scores(again, gather_images([saved], True).reference_sets()), rel=1e-6
    )


def test_metrics_against_the_truth_need_true_pairs() -> None:
    unpaired = compute_scores(noise(0), TranslationImages(noise(0), noise(1), paired=False).reference_sets())
    assert unpaired.keys() == {name for name, metric in METRICS.items() if metric.reference != "truth"}
