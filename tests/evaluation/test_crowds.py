"""Metrics of feature crowds beside closed forms, torchmetrics and laws."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from stylegan_lab.evaluation.crowd import Crowd
from stylegan_lab.evaluation.crowd_metrics import COMPARISONS, crowd_metrics
from stylegan_lab.evaluation.embedding import RESIZES, Embedding
from stylegan_lab.evaluation.embeddings import EMBEDDINGS, inception, squeezenet, untrained
from stylegan_lab.evaluation.frechet import frechet_distance
from stylegan_lab.evaluation.inception_score import inception_score
from stylegan_lab.evaluation.kernel_distance import kernel_distance
from stylegan_lab.evaluation.metrics import check_enough
from stylegan_lab.evaluation.neighbourhood import coverage, density, precision, recall
from stylegan_lab.evaluation.scores import Domains, score
from stylegan_lab.evaluation.vision_transformers import CLIP_MEAN, clip, dinov2
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.features.feature_net import MEAN
from stylegan_lab.nets.features.inception import CLASSES, Inception


def cloud(seed: int, count: int = 60, dimensions: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def pictures(seed: int, count: int = 6, size: int = 24) -> Tensor:
    dice = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, size, size), generator=dice).float() / 255


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.mark.parametrize(("count", "dimensions"), [(60, 8), (9, 8), (8, 8), (5, 40), (2, 3)])
def test_nothing_is_nearer_than_itself(count: int, dimensions: int) -> None:
    """Whether the covariance has full rank or not."""
    crowd, far = Crowd(100 * cloud(0, count, dimensions) + 7), Crowd(100 * cloud(1, count, dimensions) + 9)
    assert frechet_distance(crowd, Crowd(crowd.vectors.flip(0))) < 1e-6
    assert frechet_distance(crowd, far) > 1
    assert frechet_distance(crowd, far) == pytest.approx(frechet_distance(far, crowd))


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    """Of crowds whitened to be exactly standard, then stretched along the axes and shifted."""
    white = cloud(0, 200, 4) - cloud(0, 200, 4).mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(white.T))).T
    one, other, shift = torch.tensor([1.0, 2, 3, 4]).double(), torch.tensor([2.0, 2, 5, 0]).double(), 0.5
    expected = 4 * shift**2 + float((one - other).square().sum())
    assert frechet_distance(Crowd(white * one), Crowd(white * other + shift)) == pytest.approx(expected, rel=1e-9)


def test_the_frechet_distance_is_that_of_full_covariances() -> None:
    """tr((C1 C2)^1/2) by eigenvalues, as published, where there is no loss of rank."""
    one, other = Crowd(cloud(0, 80)), Crowd(cloud(1, 90) @ cloud(2, 8) + 0.2)
    covariances = [torch.cov(crowd.vectors.T) for crowd in (one, other)]
    root = torch.linalg.eigvals(covariances[0] @ covariances[1]).sqrt().real.sum()
    traces = sum(covariance.trace() for covariance in covariances)
    expected = float((one.mean - other.mean).square().sum() + traces - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)


class Means(nn.Module):
    """Of nine fields. What torchmetrics takes for a feature net gets bytes, ours floats in [0, 1]."""

    num_features = 27

    def forward(self, images: Tensor) -> Tensor:
        images = images.float() / 255 if images.dtype == torch.uint8 else images
        return nn.functional.adaptive_avg_pool2d(images, 3).flatten(1) * 9


def embedding(name: str = "means", net: Callable[[Tensor], Tensor] | None = None, size: int = 24) -> Embedding:
    return Embedding(name, "means of nine fields", net or Means(), "0", size)


@pytest.mark.filterwarnings("ignore:.*save all extracted features.*")
def test_frechet_and_kernel_distances_are_torchmetrics_own() -> None:
    real, fake = pictures(0, 40), (pictures(1, 40) * 0.9 * 255).round() / 255
    metrics = crowd_metrics(embedding(), ["fid", "kid"])
    frechet = FrechetInceptionDistance(feature=Means(), input_img_size=(3, 24, 24)).set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=Means(), subset_size=40, subsets=1)
    for theirs in (frechet, kernel):
        theirs.update((real * 255).round().byte(), real=True)
        theirs.update((fake * 255).round().byte(), real=False)
    assert metrics["fid_means"](fake, real) == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert metrics["kid_means"](fake, real) == pytest.approx(float(kernel.compute()[0]), rel=1e-4)


def test_the_kernel_distance_is_unbiased() -> None:
    """Over many pairs of crowds of one kind its mean is 0, which that of the biased estimate is not; and chance is seeded."""
    apart = [kernel_distance(Crowd(cloud(2 * i, 10)), Crowd(cloud(2 * i + 1, 10))) for i in range(300)]
    assert abs(sum(apart) / 300) < 3 * float(torch.tensor(apart).std()) / math.sqrt(300)
    one, other = Crowd(cloud(0, 20)), Crowd(cloud(1, 30))
    assert kernel_distance(one, other) == kernel_distance(one, other)


def test_precision_and_recall_are_shares_that_can_be_counted() -> None:
    """Reals on a line, one apart: the third neighbour is 2 or 3 away. Fakes are three of them, twice over, and one far off."""
    real = Crowd(torch.arange(10.0)[:, None])
    fake = Crowd(torch.tensor([0.0, 1, 2, 0, 1, 2, 100])[:, None])
    assert precision(fake, real) == pytest.approx(6 / 7)
    assert recall(fake, real) == 1  # the far one reaches back to the others
    assert recall(Crowd(fake.vectors[:6]), real) == pytest.approx(4 / 10)  # each reaches 1: up to 3
    assert precision(real, real) == recall(real, real) == coverage(real, real) == 1


def test_density_counts_spheres_and_coverage_who_has_company() -> None:
    """The fifth neighbour of ten on a line: 5, 4, 3, 3, 3, 3, 3, 3, 4, 5 away."""
    real = Crowd(torch.arange(10.0)[:, None])
    fake = Crowd(torch.zeros(4, 1))
    reached = 4  # 0, 1, 2, 3 hold the place 0; 4 reaches down to 1
    assert density(fake, real) == pytest.approx(reached / 5)
    assert coverage(fake, real) == pytest.approx(reached / 10)
    assert coverage(Crowd(torch.full((4, 1), 99.0)), real) == density(Crowd(torch.full((4, 1), 99.0)), real) == 0


def test_large_tables_are_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [measure(Crowd(cloud(0)), Crowd(cloud(1, 50))) for measure in (precision, recall, density, coverage)]
    for module in ("crowd", "neighbourhood"):
        monkeypatch.setattr(f"stylegan_lab.evaluation.{module}.ROWS", 7)
    parts = [measure(Crowd(cloud(0)), Crowd(cloud(1, 50))) for measure in (precision, recall, density, coverage)]
    assert parts == whole and 0 < whole[0] < 1 < whole[2] * 2


@pytest.mark.filterwarnings("ignore:.*save all extracted features.*", "ignore:.*degrees of freedom.*")
def test_the_inception_score_of_sure_and_varied_pictures_is_their_number_of_classes() -> None:
    head = torch.eye(5).double()
    sure = Crowd(100 * torch.eye(5).repeat(20, 1))
    assert inception_score(sure, sure, head) == pytest.approx(5)
    assert inception_score(Crowd(torch.zeros(100, 5)), sure, head) == pytest.approx(1)
    unsure = cloud(0, 10, 5, torch.float32)
    theirs = InceptionScore(feature=nn.Identity(), splits=1)
    theirs.update(unsure)
    ten_times = Crowd(unsure.repeat(10, 1))  # the same in each split
    assert inception_score(ten_times, sure, head) == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def test_features_that_are_not_finite_are_told_of() -> None:
    with pytest.raises(Mistake, match="features of 2 of 6 pictures are not finite"):
        Crowd(torch.tensor([0.0, 1, math.nan, 2, math.inf, 3])[:, None])


def test_too_few_pictures_are_told_of() -> None:
    metrics = crowd_metrics(embedding(), list(COMPARISONS))
    with pytest.raises(Mistake, match="coverage_means needs at least 6 pictures on either side; there are 5"):
        check_enough("coverage_means", metrics["coverage_means"], 32, 5, 100)
    domains = Domains(pictures(0, 1), pictures(1, 1), paired=False)
    with pytest.raises(Mistake, match="fid_means needs at least 2 pictures"):
        score(pictures(0, 1), domains.others(), {"fid_means": metrics["fid_means"]})


def test_every_metric_is_named_after_what_sees_the_pictures() -> None:
    names = crowd_metrics(squeezenet("random"), list(COMPARISONS))
    assert all(name.endswith("_squeezenet_untrained") for name in names)
    metric = names["fid_squeezenet_untrained"]
    assert squeezenet("random").sha256 in metric.protocol and "256x256 (clean: bicubic, antialiased)" in metric.protocol
    with pytest.raises(Mistake, match=r"metrics=fids is unknown \(did you mean fid\?\)"):
        crowd_metrics(untrained(), ["fids"])
    with pytest.raises(Mistake, match="`is` needs classes"):
        crowd_metrics(untrained(), ["is"])


def test_untrained_features_are_the_same_each_time_and_see_a_change() -> None:
    torch.manual_seed(17)
    again = untrained.__wrapped__()
    assert again.sha256 == untrained().sha256
    real, fake = pictures(0, 8), pictures(1, 8)
    assert torch.equal(again(real).vectors, untrained()(real).vectors)
    fid = crowd_metrics(untrained(), ["fid"])["fid_untrained"]
    assert fid(fake * 0.5, real) > 10 * fid(fake, real) > 0


def test_pictures_are_embedded_once_and_those_that_come_again_kept(cache: Path) -> None:
    calls = []

    def net(images: Tensor) -> Tensor:
        calls.append(len(images))
        return Means()(images)

    real, fake = pictures(0), pictures(1)
    for metric in crowd_metrics(embedding(net=net), list(COMPARISONS)).values():
        metric(fake, real)
    assert calls == [6, 6]
    (kept,) = cache.iterdir()  # the real ones; fakes never come again
    anew = embedding(net=net).known(real)  # as in another process
    assert calls == [6, 6] and torch.equal(anew.vectors, embedding().over([real]).vectors)
    kept.write_bytes(kept.read_bytes()[:100])
    assert torch.equal(embedding(net=net).known(real).vectors, anew.vectors) and calls == [6, 6, 6]
    replace(embedding(net=net), sha256="1").known(real)
    replace(embedding(net=net), size=12).known(real)
    assert calls == [6, 6, 6, 6, 6] and len(list(cache.iterdir())) == 3


def test_a_clean_resize_has_no_aliases() -> None:
    """Stripes a pixel wide are grey when three times smaller; without antialiasing they are stripes still."""
    stripes = (torch.arange(72) % 2).float().expand(1, 3, 72, 72)
    row = nn.Sequential(nn.AdaptiveAvgPool2d((1, 24)), nn.Flatten())
    seen = {name: Embedding("m", "", row, "0", 24, name)(stripes).vectors[0, 4:20].std() for name in RESIZES}
    assert seen["clean"] < 0.1 < 0.4 < seen["legacy"]
    assert Embedding("m", "", Means(), "0", 24)(stripes[:, :1]).vectors.shape == (1, 27)  # grey
    with pytest.raises(Mistake, match="resize=bicubic is unknown"):
        Embedding("m", "", Means(), "0", 24, "bicubic")


def test_inception_has_the_parameters_of_the_published_conversion() -> None:
    """torchvision's 27,161,264 less the auxiliary classifier's 3,326,696, with 1008 classes for 1000."""
    with torch.device("meta"):
        net = Inception()
    assert sum(each.numel() for each in net.parameters()) == 27_161_264 - 3_326_696 + 8 * 2049
    names = net.state_dict()
    assert names["fc.weight"].shape == (CLASSES, 2048)
    assert names["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert {"Conv2d_1a_3x3.bn.running_mean", "Mixed_6a.branch3x3dbl_3.conv.weight"} <= names.keys()
    assert not [name for name in names if name.startswith("features.") or name in ("mean", "deviation")]


def test_inception_reads_a_file_and_gives_2048_values_and_classes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)  # which takes its time
    with torch.device("meta"):
        shapes = Inception().state_dict()
    weights = {name: torch.full(each.shape, 0.01) for name, each in shapes.items() if "num_batches" not in name}
    torch.save(weights, tmp_path / "inception.pth")
    inside = inception(str(tmp_path / "inception.pth"), size=75)
    images = pictures(0, 2)
    metrics = crowd_metrics(inside, ["fid", "is"])
    crowd = inside(images)
    assert crowd.vectors.shape == (2, 2048) and inside.head is not None and inside.head.shape == (CLASSES, 2048)
    assert metrics["fid_inception"](images, images) < 1e-6 and metrics["is_inception"](images, images) >= 1
    assert inside.name == "inception" and set(EMBEDDINGS) >= {"inception", "squeezenet", "untrained"}


def test_transformers_are_asked_for_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        Mistake, match=r"features=clip needs the transformers library: pip install 'stylegan_lab\[metrics\]'"
    ):
        clip("openai/some")


@pytest.mark.parametrize(
    ("make", "kind", "grey"), [(clip, "CLIPVisionModelWithProjection", CLIP_MEAN), (dinov2, "Dinov2Model", MEAN)]
)
def test_transformers_see_normalised_pictures(
    make: Callable[..., Embedding], kind: str, grey: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the library: means of the pictures it is given, where each of its models has its vector."""

    class Model(nn.Linear):
        @classmethod
        def from_pretrained(cls, name: str) -> "Model":
            if name != "here":
                raise OSError(f"{name} is not a local folder\nand more")
            return cls(1, 1)

        def forward(self, pixel_values: Tensor) -> SimpleNamespace:  # type: ignore[override]
            means = pixel_values.mean((2, 3))
            return SimpleNamespace(image_embeds=means, last_hidden_state=means[:, None])

    monkeypatch.setitem(sys.modules, "transformers", SimpleNamespace(**{kind: Model}))
    make.cache_clear()  # type: ignore[attr-defined]
    plain = torch.tensor(grey).view(1, 3, 1, 1).expand(2, 3, 30, 30)
    embedding = make("here")
    assert embedding(plain).vectors.abs().max() < 1e-5 and "at 224x224 (clean" in embedding.protocol
    with pytest.raises(Mistake, match="nowhere cannot be read as weights of .*: nowhere is not a local folder$"):
        make("nowhere")
