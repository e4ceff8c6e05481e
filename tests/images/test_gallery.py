"""A gallery is the pictures it was made of, and what looks at it never has very many in memory."""

import errno
import os
import tempfile
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stylegan_lab.data.glyphs_data import GlyphsData
from stylegan_lab.evaluation import classifier, sliced_wasserstein
from stylegan_lab.evaluation.crowd_metrics import crowd_metrics
from stylegan_lab.evaluation.embeddings import EMBEDDINGS
from stylegan_lab.evaluation.metrics import METRICS, Metric
from stylegan_lab.evaluation.scores import score
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.gallery import Gallery, content
from stylegan_lab.marks import Crowd, of_generation
from stylegan_lab.mistake import Mistake

FEW = 64  # and more than an embedding takes at once


def pictures(count: int, seed: int = 0, channels: int = 3, size: int = 16) -> Tensor:
    return to_unit(torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1)


class Watched(Gallery):
    def __getitem__(self, which: slice | Tensor) -> Tensor:
        seen = super().__getitem__(which)
        assert len(seen) <= FEW, f"{len(seen)} at once"
        return seen


def test_it_is_the_pictures_it_was_made_of() -> None:
    every = pictures(11)
    gallery = Gallery(every.split(4))
    assert len(gallery) == 11 and gallery.shape == every.shape
    assert torch.equal(gallery[:], every) and torch.equal(gallery[2:5], every[2:5])
    assert torch.equal(gallery[torch.tensor([7, 0, 7])], every[[7, 0, 7]])
    assert [len(part) for part in gallery.split(4)] == [4, 4, 3] and torch.equal(
        torch.cat(list(gallery.split(4))), every
    )


def test_a_generators_scores_are_those_of_a_tensor_and_look_at_some_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sliced_wasserstein, "MOST", FEW)
    monkeypatch.setattr("stylegan_lab.images.gallery.SCALED_AT_ONCE", FEW)
    monkeypatch.setattr(classifier, "AT_ONCE", FEW)
    made, real = pictures(2 * FEW + 9), to_unit(pictures(FEW + 9, seed=1) ** 1.5 * 2 - 1)
    seen = crowd_metrics(EMBEDDINGS["untrained"](), ["kid"])
    metrics = {name: metric for name, metric in (METRICS | seen).items() if metric.against == "target"}
    assert len(metrics) == 4
    expected = score(made, {"target": real}, metrics)
    assert score(Watched(made.split(50)), {"target": Watched(real.split(64))}, metrics) == expected
    glyphs = GlyphsData(size=16, batch_size=64, train_scenes=300, test_scenes=300)
    some, others = pictures(FEW + 9, channels=1), pictures(30, 1, channels=1)
    marks = of_generation(Crowd.small(some, None), Crowd.small(others, None), glyphs)
    assert marks == of_generation(
        Crowd.small(Watched(some.split(9)), None), Crowd.small(Watched([others]), None), glyphs
    )


def test_a_metric_of_ones_own_is_given_tensors() -> None:
    given: list[type] = []
    own = Metric(lambda *both: given.extend(map(type, both)) or 0.0, "target", "lower", "none")  # type: ignore[func-returns-value]
    own(Gallery([pictures(2)]), Gallery([pictures(2)]))
    assert given == [Tensor, Tensor]


class Full:
    """A file that has room for the first batch alone."""

    def __init__(self) -> None:
        self.room = True

    def __enter__(self) -> "Full":
        return self

    def __exit__(self, *_: object) -> None: ...

    def write(self, pixels: memoryview) -> None:
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room = False


def test_a_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", Full)
    with pytest.raises(Mistake, match=r"4 pictures are in .*no room for more .*No space left.*TMPDIR=FOLDER"):
        Gallery(pictures(6).split(4))


def test_what_breaks_where_pictures_come_from_is_no_full_disk() -> None:
    def lost() -> Iterator[Tensor]:
        yield pictures(2)
        raise FileNotFoundError("photo.png")

    with pytest.raises(FileNotFoundError, match=r"photo\.png"):
        Gallery(lost())
    with pytest.raises(ValueError, match=r"pictures of \(3, 8, 8\) among those of \(3, 16, 16\)"):
        Gallery([pictures(2), pictures(2, size=8)])


def test_equal_pictures_are_known_by_one_content() -> None:
    every = pictures(70)
    assert content(Gallery(every.split(9))) == content(Gallery([every])) == content(every)
    assert content(every) not in (content(every[:69]), content(every.flip(0)))
