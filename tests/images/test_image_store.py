"""An image store returns the images it was created from, and metrics load only a few of them at a time."""

import errno
import os
import tempfile
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stylegan_lab.data.synthetic.glyphs import GlyphsDataModule
from stylegan_lab.evaluation import classifier, sliced_wasserstein
from stylegan_lab.evaluation.classifier_metrics import LabelledImages, generation_scores
from stylegan_lab.evaluation.evaluator import compute_scores
from stylegan_lab.evaluation.feature_extractors import EXTRACTORS
from stylegan_lab.evaluation.feature_metrics import feature_metrics
from stylegan_lab.evaluation.metrics import METRICS, Metric
from stylegan_lab.images.image_store import ImageStore, content_hash
from stylegan_lab.images.value_range import to_unit
from tests.refusals import refused

LIMIT = 64  # images in memory; more than the batch size of feature extractors


def random_images(count: int, seed: int = 0, channels: int = 3, size: int = 16) -> Tensor:
    return to_unit(torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1)


class LimitedStore(ImageStore):
    """Fails when more than LIMIT images are loaded at once."""

    def __getitem__(self, which: slice | Tensor) -> Tensor:
        loaded = super().__getitem__(which)
        assert len(loaded) <= LIMIT, f"{len(loaded)} at once"
        return loaded


def test_a_store_returns_its_images() -> None:
    originals = random_images(11)
    store = ImageStore(originals.split(4))
    assert len(store) == 11 and store.shape == originals.shape
    assert torch.equal(store[:], originals) and torch.equal(store[2:5], originals[2:5])
    assert torch.equal(store[torch.tensor([7, 0, 7])], originals[[7, 0, 7]])
    assert [len(part) for part in store.split(4)] == [4, 4, 3] and torch.equal(
        torch.cat(list(store.split(4))), originals
    )


def test_scores_of_a_store_equal_those_of_a_tensor_and_load_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_wasserstein, "MAX_IMAGES", LIMIT)
    monkeypatch.setattr("stylegan_lab.images.image_store.RESIZE_CHUNK", LIMIT)
    monkeypatch.setattr(classifier, "PREDICT_BATCH", LIMIT)
    fake, real = random_images(2 * LIMIT + 9), to_unit(random_images(LIMIT + 9, seed=1) ** 1.5 * 2 - 1)
    features = feature_metrics(EXTRACTORS["untrained"](), ["kid"])
    metrics = {name: metric for name, metric in (METRICS | features).items() if metric.reference == "target"}
    assert len(metrics) == 4
    expected = compute_scores(fake, {"target": real}, metrics)
    assert compute_scores(LimitedStore(fake.split(50)), {"target": LimitedStore(real.split(64))}, metrics) == expected
    glyphs = GlyphsDataModule(size=16, batch_size=64, train_images=300, test_images=300)
    fake, real = random_images(LIMIT + 9, channels=1), random_images(30, 1, channels=1)
    labels = torch.arange(30) % 10
    scores = generation_scores(LabelledImages.downscale(fake, None), LabelledImages.downscale(real, labels), glyphs)
    assert scores == generation_scores(
        LabelledImages.downscale(LimitedStore(fake.split(9)), None),
        LabelledImages.downscale(LimitedStore([real]), labels),
        glyphs,
    )


def test_a_custom_metric_gets_tensors() -> None:
    received: list[type] = []
    own = Metric(lambda *both: received.extend(map(type, both)) or 0.0, "target", "lower", "none")  # type: ignore[func-returns-value]
    own(ImageStore([random_images(2)]), ImageStore([random_images(2)]))
    assert received == [Tensor, Tensor]


class FullDisk:
    """A file with room for only one batch."""

    def __init__(self) -> None:
        self.has_room = True

    def __enter__(self) -> "FullDisk":
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, pixels: memoryview) -> None:
        if not self.has_room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.has_room = False


def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", FullDisk)
    with refused("device.temporary_space_full", "4 images", "TMPDIR=FOLDER"):
        ImageStore(random_images(6).split(4))


def test_errors_of_the_batches_are_not_reported_as_a_full_disk() -> None:
    def missing() -> Iterator[Tensor]:
        yield random_images(2)
        raise FileNotFoundError("photo.png")

    with pytest.raises(FileNotFoundError, match=r"photo\.png"):
        ImageStore(missing())
    with pytest.raises(ValueError, match=r"images of shape \(3, 8, 8\) follow images of shape \(3, 16, 16\)"):
        ImageStore([random_images(2), random_images(2, size=8)])


def test_equal_images_have_one_content_hash() -> None:
    originals = random_images(70)
    assert (
        content_hash(ImageStore(originals.split(9))) == content_hash(ImageStore([originals])) == content_hash(originals)
    )
    assert content_hash(originals) not in (content_hash(originals[:69]), content_hash(originals.flip(0)))
