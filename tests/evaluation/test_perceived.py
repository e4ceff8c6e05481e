"""LPIPS and style distance: laws, and the loss they are made of."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from stylegan_lab.evaluation import perceived
from stylegan_lab.evaluation.metrics import Metric, check_enough
from stylegan_lab.evaluation.perceived import LPIPS, lpips, style_distance
from stylegan_lab.losses.lpips import Lpips
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.features.squeezenet import squeezenet


def pictures(seed: int, count: int = 5, size: int = 32, channels: int = 3) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed))


def only(make: Callable[..., dict[str, Metric]], net: str) -> Metric:
    ((name, metric),) = make(net, "random").items()
    assert name.endswith(f"_{net}_untrained") and "untrained, weights' SHA-256" in metric.protocol
    return metric


@pytest.mark.parametrize(("make", "net"), [(lpips, "squeeze"), (style_distance, "squeezenet")])
def test_nothing_is_nearer_than_itself(make: Callable[..., dict[str, Metric]], net: str) -> None:
    metric, images = only(make, net), pictures(0)
    assert metric(images, images) == pytest.approx(0, abs=1e-6)
    assert 0 < metric(images, 0.9 * images) < metric(images, 0.5 * images + 0.2 * pictures(1))
    grey = pictures(0, channels=1)
    assert metric(grey, grey.expand(-1, 3, -1, -1)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("metric", [each for net in LPIPS for each in lpips(net, "random").values()], ids=list(LPIPS))
def test_the_smallest_pictures_that_are_taken_can_be(metric: Metric) -> None:
    images = pictures(0, 1, metric.smallest)
    assert metric(images, images) == pytest.approx(0, abs=1e-6)
    with pytest.raises(Mistake, match=f"lpips needs pictures of at least {metric.smallest} pixels a side"):
        check_enough("lpips", metric, metric.smallest - 1, 1)


def test_lpips_is_the_loss_averaged_over_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    images, truth = pictures(0), pictures(1)
    loss = Lpips(squeezenet, "random", "squeeze", dict.fromkeys(LPIPS["squeeze"].layers, 1.0), {})
    expected = float(loss.content(loss.see(images * 2 - 1), loss.see(truth * 2 - 1)))
    monkeypatch.setattr(perceived, "BATCH", 2)
    assert only(lpips, "squeeze")(images, truth) == pytest.approx(expected, rel=1e-5)


def test_style_is_of_the_set_and_not_of_where_things_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    metric, images = only(style_distance, "squeezenet"), pictures(0)
    monkeypatch.setattr(perceived, "BATCH", 2)
    assert metric(images[[3, 0, 4, 1, 2]], images) == pytest.approx(0, abs=1e-6)
    assert metric(images.flip(-1), images) < 0.1 * metric(images * 0.5, images)
    assert metric(images[:3], pictures(1, 7)) > 0  # sets of different size
