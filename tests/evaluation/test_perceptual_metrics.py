"""LPIPS and style distance: laws, and equality with the loss."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_lab.evaluation import perceptual_metrics
from stylegan_lab.evaluation.metrics import Metric, check_metric_inputs
from stylegan_lab.evaluation.perceptual_metrics import LPIPS_NETS, lpips, style_distance
from stylegan_lab.losses.lpips import LPIPSLoss
from stylegan_lab.networks.features.squeezenet import squeezenet
from tests.refusals import refused


def random_images(seed: int, count: int = 5, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def single_metric(make: Callable[..., dict[str, Metric]], net: str) -> Metric:
    ((name, metric),) = make(net, "random").items()
    assert name.endswith(f"_{net}_untrained") and "untrained, weights' SHA-256" in metric.protocol
    return metric


@pytest.mark.parametrize(("make", "net"), [(lpips, "squeeze"), (style_distance, "squeezenet")])
def test_no_image_is_closer_than_the_image_itself(make: Callable[..., dict[str, Metric]], net: str) -> None:
    metric, images = single_metric(make, net), random_images(0)
    assert metric(images, images) == pytest.approx(0, abs=1e-6)
    assert 0 < metric(images, 0.9 * images) < metric(images, 0.5 * images + 0.2 * random_images(1))
    gray = random_images(0, channels=1)
    assert metric(gray, gray.expand(-1, 3, -1, -1)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "metric", [each for net in LPIPS_NETS for each in lpips(net, "random").values()], ids=list(LPIPS_NETS)
)
def test_images_below_the_minimum_size_are_an_error(metric: Metric) -> None:
    images = random_images(0, 1, metric.min_size)
    assert metric(images, images) == pytest.approx(0, abs=1e-6)
    with refused("evaluation.images_too_small", "lpips", f"{metric.min_size}x{metric.min_size} pixels"):
        check_metric_inputs("lpips", metric, metric.min_size - 1, 1)


def test_lpips_is_the_loss_averaged_over_images(monkeypatch: pytest.MonkeyPatch) -> None:
    images, truth = random_images(0), random_images(1)
    loss = LPIPSLoss(squeezenet, "random", "squeeze", dict.fromkeys(LPIPS_NETS["squeeze"].layers, 1.0), {})
    expected = float(loss.content(loss.features(images * 2 - 1), loss.features(truth * 2 - 1)))
    monkeypatch.setattr(perceptual_metrics, "BATCH", 2)
    assert single_metric(lpips, "squeeze")(images, truth) == pytest.approx(expected, rel=1e-5)


def test_lpips_can_be_the_distance_to_the_input() -> None:
    ((name, metric),) = lpips("squeeze", "random", "input").items()
    assert name == "lpips_squeeze_untrained_input" and metric.reference == "input"
    images, others = random_images(0), random_images(1)
    assert metric(images, others) == single_metric(lpips, "squeeze")(images, others)


def test_the_style_distance_ignores_order_and_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    metric, images = single_metric(style_distance, "squeezenet"), random_images(0)
    monkeypatch.setattr(perceptual_metrics, "BATCH", 2)
    assert metric(images[[3, 0, 4, 1, 2]], images) == pytest.approx(0, abs=1e-6)
    assert metric(images.flip(-1), images) < 0.1 * metric(images * 0.5, images)
    assert metric(images[:3], random_images(1, 7)) > 0  # sets of different size
