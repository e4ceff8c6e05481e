"""Feature metrics against closed forms, torchmetrics and laws."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from stylegan_lab.evaluation.evaluator import TranslationImages, compute_scores
from stylegan_lab.evaluation.feature_extractors import (
    CLIP_MEAN,
    EXTRACTORS,
    RESIZES,
    FeatureSet,
    MetricFeatures,
    clip,
    dinov2,
    inception,
    rgb_on_device,
    squeezenet,
    untrained_vgg16,
    vgg16,
)
from stylegan_lab.evaluation.feature_metrics import (
    FEATURE_COMPARISONS,
    KID_SUBSET_SIZE,
    KID_SUBSETS,
    coverage,
    density,
    feature_metrics,
    frechet_distance,
    inception_score,
    kernel_distance,
    precision,
    recall,
)
from stylegan_lab.evaluation.metrics import check_metric_inputs
from stylegan_lab.networks.features import squeezenet as squeezenets
from stylegan_lab.networks.features.feature_net import IMAGENET_MEAN
from stylegan_lab.networks.features.inception import CLASSES, Inception
from tests.refusals import refused


@pytest.mark.parametrize(("channels", "used"), [(1, [0, 0, 0]), (2, [0, 0, 0]), (3, [0, 1, 2]), (4, [0, 1, 2])])
def test_images_of_any_channels_are_seen_in_rgb(channels: int, used: list[int]) -> None:
    images = torch.rand(2, channels, 2, 2)
    assert torch.equal(rgb_on_device(images), images[:, used])


def vectors(seed: int, count: int = 60, dimensions: int = 8, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def random_images(seed: int, count: int = 6, size: int = 24) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(256, (count, 3, size, size), generator=rng).float() / 255


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLEGAN_LAB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.mark.parametrize(("count", "dimensions"), [(60, 8), (9, 8), (8, 8), (5, 40), (2, 3)])
def test_the_frechet_distance_of_a_set_to_itself_is_zero(count: int, dimensions: int) -> None:
    """Whether the covariance has full rank or not."""
    features, far = (
        FeatureSet(100 * vectors(0, count, dimensions) + 7),
        FeatureSet(100 * vectors(1, count, dimensions) + 9),
    )
    assert frechet_distance(features, FeatureSet(features.vectors.flip(0))) < 1e-6
    assert frechet_distance(features, far) > 1
    assert frechet_distance(features, far) == pytest.approx(frechet_distance(far, features))


def test_the_frechet_distance_of_gaussians_is_the_closed_form() -> None:
    """For sets whitened to be exactly standard, then stretched along the axes and shifted."""
    white = vectors(0, 200, 4) - vectors(0, 200, 4).mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(white.T))).T
    one, other, shift = torch.tensor([1.0, 2, 3, 4]).double(), torch.tensor([2.0, 2, 5, 0]).double(), 0.5
    expected = 4 * shift**2 + float((one - other).square().sum())
    assert frechet_distance(FeatureSet(white * one), FeatureSet(white * other + shift)) == pytest.approx(
        expected, rel=1e-9
    )


def test_the_frechet_distance_is_that_of_full_covariances() -> None:
    """tr((C1 C2)^1/2) by eigenvalues, as published, where there is no loss of rank."""
    one, other = FeatureSet(vectors(0, 80)), FeatureSet(vectors(1, 90) @ vectors(2, 8) + 0.2)
    covariances = [torch.cov(each.vectors.T) for each in (one, other)]
    root = torch.linalg.eigvals(covariances[0] @ covariances[1]).sqrt().real.sum()
    traces = sum(covariance.trace() for covariance in covariances)
    expected = float((one.mean - other.mean).square().sum() + traces - 2 * root)
    assert frechet_distance(one, other) == pytest.approx(expected, rel=1e-9)


class BlockMeans(nn.Module):
    """Means of nine fields. A feature network of torchmetrics is given bytes, ours floats in [0, 1]."""

    num_features = 27

    def forward(self, images: Tensor) -> Tensor:
        images = images.float() / 255 if images.dtype == torch.uint8 else images
        return nn.functional.adaptive_avg_pool2d(images, 3).flatten(1) * 9


def extractor(name: str = "means", net: Callable[[Tensor], Tensor] | None = None, size: int = 24) -> MetricFeatures:
    return MetricFeatures(name, "means of nine fields", net or BlockMeans(), "0", size)


@pytest.mark.filterwarnings("ignore:.*save all extracted features.*")
def test_frechet_and_kernel_distances_equal_those_of_torchmetrics() -> None:
    real, fake = random_images(0, 40), (random_images(1, 40) * 0.9 * 255).round() / 255
    metrics = feature_metrics(extractor(), ["fid", "kid"])
    frechet = FrechetInceptionDistance(feature=BlockMeans(), input_img_size=(3, 24, 24)).set_dtype(torch.float64)
    kernel = KernelInceptionDistance(feature=BlockMeans(), subset_size=40, subsets=1)
    for theirs in (frechet, kernel):
        theirs.update((real * 255).round().byte(), real=True)
        theirs.update((fake * 255).round().byte(), real=False)
    assert metrics["fid_means"](fake, real) == pytest.approx(float(frechet.compute()), rel=1e-4)
    assert metrics["kid_means"](fake, real) == pytest.approx(float(kernel.compute()[0]), rel=1e-4)


def test_the_kernel_distance_has_the_usual_subsets() -> None:
    usual = signature(KernelInceptionDistance).parameters
    assert (usual["subsets"].default, usual["subset_size"].default) == (KID_SUBSETS, KID_SUBSET_SIZE)


def test_the_kernel_distance_is_unbiased() -> None:
    """Its mean over pairs of samples of one distribution is 0, unlike that of the biased estimate. The subsets are seeded."""
    distances = [
        kernel_distance(FeatureSet(vectors(2 * i, 10)), FeatureSet(vectors(2 * i + 1, 10))) for i in range(300)
    ]
    assert abs(sum(distances) / 300) < 3 * float(torch.tensor(distances).std()) / math.sqrt(300)
    one, other = FeatureSet(vectors(0, 20)), FeatureSet(vectors(1, 30))
    assert kernel_distance(one, other) == kernel_distance(one, other)


def test_precision_and_recall_of_points_on_a_line() -> None:
    """Reals on a line, one apart: the third neighbor is 2 or 3 away. Fakes are three of them, each twice, and one far away."""
    real = FeatureSet(torch.arange(10.0)[:, None])
    fake = FeatureSet(torch.tensor([0.0, 1, 2, 0, 1, 2, 100])[:, None])
    assert precision(fake, real) == pytest.approx(6 / 7)
    assert recall(fake, real) == 1  # the neighborhood of the far one holds the others
    assert recall(FeatureSet(fake.vectors[:6]), real) == pytest.approx(4 / 10)  # each radius is 1: up to 3
    assert precision(real, real) == recall(real, real) == coverage(real, real) == 1


def test_density_and_coverage_of_points_on_a_line() -> None:
    """The fifth neighbor of ten on a line: 5, 4, 3, 3, 3, 3, 3, 3, 4, 5 away."""
    real = FeatureSet(torch.arange(10.0)[:, None])
    fake = FeatureSet(torch.zeros(4, 1))
    reached = 4  # 0, 1, 2, 3 hold the place 0; 4 reaches down to 1
    assert density(fake, real) == pytest.approx(reached / 5)
    assert coverage(fake, real) == pytest.approx(reached / 10)
    assert (
        coverage(FeatureSet(torch.full((4, 1), 99.0)), real) == density(FeatureSet(torch.full((4, 1), 99.0)), real) == 0
    )


def test_distance_matrices_are_computed_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = [
        compute(FeatureSet(vectors(0)), FeatureSet(vectors(1, 50)))
        for compute in (precision, recall, density, coverage)
    ]
    for module in ("feature_extractors", "feature_metrics"):
        monkeypatch.setattr(f"stylegan_lab.evaluation.{module}.ROWS", 7)
    in_chunks = [
        compute(FeatureSet(vectors(0)), FeatureSet(vectors(1, 50)))
        for compute in (precision, recall, density, coverage)
    ]
    assert in_chunks == at_once and 0 < at_once[0] < 1 < at_once[2] * 2


@pytest.mark.filterwarnings("ignore:.*save all extracted features.*", "ignore:.*degrees of freedom.*")
def test_the_inception_score_of_confident_and_varied_images_is_the_number_of_classes() -> None:
    head = torch.eye(5).double()
    confident = FeatureSet(100 * torch.eye(5).repeat(20, 1))
    assert inception_score(confident, confident, head) == pytest.approx(5)
    assert inception_score(FeatureSet(torch.zeros(100, 5)), confident, head) == pytest.approx(1)
    uncertain = vectors(0, 10, 5, torch.float32)
    theirs = InceptionScore(feature=nn.Identity(), splits=1)
    theirs.update(uncertain)
    ten_times = FeatureSet(uncertain.repeat(10, 1))  # the same in each split
    assert inception_score(ten_times, confident, head) == pytest.approx(float(theirs.compute()[0]), rel=1e-5)


def test_non_finite_features_are_an_error() -> None:
    with refused("evaluation.features_not_finite", "2 of 6 images"):
        FeatureSet(torch.tensor([0.0, 1, math.nan, 2, math.inf, 3])[:, None])


def test_too_few_images_are_an_error() -> None:
    metrics = feature_metrics(extractor(), list(FEATURE_COMPARISONS))
    with refused("evaluation.too_few_images", "coverage_means", "at least 6 images", "there are 5"):
        check_metric_inputs("coverage_means", metrics["coverage_means"], 32, 5, 100)
    domains = TranslationImages(random_images(0, 1), random_images(1, 1), paired=False)
    with refused("evaluation.too_few_images", "fid_means", "at least 2 images"):
        compute_scores(random_images(0, 1), domains.reference_sets(), {"fid_means": metrics["fid_means"]})


def test_a_metric_is_named_after_its_feature_network() -> None:
    names = feature_metrics(squeezenet("random"), list(FEATURE_COMPARISONS))
    assert all(name.endswith("_squeezenet_untrained") for name in names)
    metric = names["fid_squeezenet_untrained"]
    assert squeezenet("random").sha256 in metric.protocol and "256x256 (clean: bicubic, antialiased)" in metric.protocol
    with refused("config.unknown_choice", "metrics=fids", "did you mean fid?"):
        feature_metrics(untrained_vgg16(), ["fids"])
    with refused("evaluation.no_classifier", "metrics: `is`"):
        feature_metrics(untrained_vgg16(), ["is"])


def test_untrained_features_are_deterministic_and_sensitive() -> None:
    torch.manual_seed(17)
    again = untrained_vgg16.__wrapped__()
    assert again.sha256 == untrained_vgg16().sha256
    real, fake = random_images(0, 8), random_images(1, 8)
    assert torch.equal(again(real).vectors, untrained_vgg16()(real).vectors)
    fid = feature_metrics(untrained_vgg16(), ["fid"])["fid_untrained"]
    assert fid(fake * 0.5, real) > 10 * fid(fake, real) > 0


def test_features_are_computed_once_and_those_of_real_images_are_cached_on_disk(cache: Path) -> None:
    calls = []

    def net(images: Tensor) -> Tensor:
        calls.append(len(images))
        return BlockMeans()(images)

    real, fake = random_images(0), random_images(1)
    for metric in feature_metrics(extractor(net=net), list(FEATURE_COMPARISONS)).values():
        metric(fake, real)
    assert calls == [6, 6]
    (file,) = cache.iterdir()  # the real ones; fake images are not scored again
    again = extractor(net=net).cached(real)  # as in another process
    assert calls == [6, 6] and torch.equal(again.vectors, extractor().extract([real]).vectors)
    file.write_bytes(file.read_bytes()[:100])
    assert torch.equal(extractor(net=net).cached(real).vectors, again.vectors) and calls == [6, 6, 6]
    replace(extractor(net=net), sha256="1").cached(real)
    replace(extractor(net=net), size=12).cached(real)
    assert calls == [6, 6, 6, 6, 6] and len(list(cache.iterdir())) == 3


def test_a_clean_resize_is_antialiased() -> None:
    """Stripes a pixel wide become gray at a third of the size; without antialiasing they remain stripes."""
    stripes = (torch.arange(72) % 2).float().expand(1, 3, 72, 72)
    row = nn.Sequential(nn.AdaptiveAvgPool2d((1, 24)), nn.Flatten())
    contrast = {name: MetricFeatures("m", "", row, "0", 24, name)(stripes).vectors[0, 4:20].std() for name in RESIZES}
    assert contrast["clean"] < 0.1 < 0.4 < contrast["legacy"]
    assert MetricFeatures("m", "", BlockMeans(), "0", 24)(stripes[:, :1]).vectors.shape == (1, 27)  # gray
    with refused("config.unknown_choice", "resize=bicubic"):
        MetricFeatures("m", "", BlockMeans(), "0", 24, "bicubic")


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


def test_inception_loads_a_file_and_has_2048_features_and_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda _: None)  # which takes its time
    with torch.device("meta"):
        shapes = Inception().state_dict()
    weights = {name: torch.full(each.shape, 0.01) for name, each in shapes.items() if "num_batches" not in name}
    torch.save(weights, tmp_path / "inception.pth")
    features = inception(str(tmp_path / "inception.pth"), size=75)
    images = random_images(0, 2)
    metrics = feature_metrics(features, ["fid", "is"])
    assert (
        features(images).vectors.shape == (2, 2048)
        and features.head is not None
        and features.head.shape == (CLASSES, 2048)
    )
    assert metrics["fid_inception"](images, images) < 1e-6 and metrics["is_inception"](images, images) >= 1
    assert features.name == "inception" and set(EXTRACTORS) >= {"inception", "squeezenet", "untrained"}


# The graph of 2015 up to the 768-d layer, restated: for each of a block's branches its convolutions as CHANNELS, KERNEL.
A = [[(64, 1, 1)], [(48, 1, 1), (64, 5, 5)], [(64, 1, 1), (96, 3, 3), (96, 3, 3)]]
STEM = [(32, 3, 3), (32, 3, 3), (64, 3, 3), (80, 1, 1), (192, 3, 3)]
BLOCKS = [[*A, [(pool, 1, 1)]] for pool in (32, 64, 64)] + [[[(384, 3, 3)], A[2]]]
BLOCKS += [
    [
        [(192, 1, 1)],
        [(width, 1, 1), (width, 1, 7), (192, 7, 1)],
        [(width, 1, 1), (width, 7, 1), (width, 1, 7), (width, 7, 1), (192, 1, 7)],
        [(192, 1, 1)],
    ]
    for width in (128, 160, 160, 192)
]


class GraphOf2015:
    """A forward pass by the names of TensorFlow's graph, with random weights that are made on the way."""

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}
        self.rng = torch.Generator().manual_seed(0)

    def conv(self, x: Tensor, name: str, shape: tuple[int, int, int], stride: int = 1, same: bool = True) -> Tensor:
        channels, height, width = shape
        if f"{name}.weight" not in self.weights:
            scale = (2 / (x.shape[1] * height * width)) ** 0.5
            size = (channels, x.shape[1], height, width)
            self.weights[f"{name}.weight"] = scale * torch.randn(size, generator=self.rng)
            self.weights[f"{name}.bias"] = torch.rand(channels, generator=self.rng) - 0.5
        padding = (height // 2, width // 2) if same else 0
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        return nn.functional.conv2d(x, weight, bias, stride, padding).clamp_min(0)

    def block(self, x: Tensor, name: str, branches: list[list[tuple[int, int, int]]], reduce: bool) -> Tensor:
        outputs, tower = [], 0
        for index, branch in enumerate(branches):
            y, prefix = x, name
            if index == 3:  # the neighbors that are there are averaged
                ones = torch.ones(1, 1, *x.shape[-2:])
                sums, counts = (nn.functional.avg_pool2d(each, 3, 1, 1) for each in (x, ones))
                y = sums / counts
            if len(branch) > 1 or index == 3:
                prefix, tower = f"{name}_tower" + (f"_{tower}" if tower else ""), tower + 1
            for number, shape in enumerate(branch):
                last = reduce and number == len(branch) - 1
                y = self.conv(y, f"{prefix}_conv" + (f"_{number}" if number else ""), shape, 1 + last, not last)
            outputs.append(y)
        return torch.cat(outputs + ([nn.functional.max_pool2d(x, 3, 2)] if reduce else []), 1)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        x, found = images * 2 - 1, {}
        for number, shape in enumerate(STEM):
            name = f"conv_{number}" if number else "conv"
            x = self.conv(x, name, shape, 2 if number == 0 else 1, number == 2)
            if number in (2, 4):
                x = nn.functional.max_pool2d(x, 3, 2)
                found["64" if number == 2 else "192"] = x.mean((2, 3))
        for number, branches in enumerate(BLOCKS):
            x = self.block(x, f"mixed_{number}" if number else "mixed", branches, reduce=number == 3)
        return found | {"768": x.mean((2, 3))}


def save_arrays(file: str, weights: dict[str, Tensor]) -> str:
    np.savez(file, **{name: value.numpy() for name, value in weights.items()})
    return file


@pytest.fixture(scope="module")
def graph() -> tuple[GraphOf2015, Tensor, dict[str, Tensor]]:
    graph, images = GraphOf2015(), random_images(0, 2, 91)
    return graph, images, graph(images)


@pytest.mark.parametrize("layer", ["64", "192", "768"])
def test_earlier_layers_of_inception_are_those_of_the_graph(
    layer: str, graph: tuple[GraphOf2015, Tensor, dict[str, Tensor]]
) -> None:
    net, images, expected = graph
    features = EXTRACTORS[f"inception_{layer}"](weights=save_arrays(f"graph_{layer}.npz", net.weights), size=91)
    assert features.vectors(images).shape == (2, int(layer))
    torch.testing.assert_close(features.vectors(images), expected[layer], rtol=1e-4, atol=1e-4)
    metrics = feature_metrics(features, ["fid", "kid"])
    assert {*metrics} == {f"fid_inception_{layer}", f"kid_inception_{layer}"}
    assert f"inception {layer}, mean over space" in features.protocol
    with refused("evaluation.no_classifier", "metrics: `is`"):
        feature_metrics(features, ["is"])


def test_a_file_of_inception_needs_no_weights_beyond_the_layer(
    graph: tuple[GraphOf2015, Tensor, dict[str, Tensor]],
) -> None:
    net, images, expected = graph
    first = {name: value for name, value in net.weights.items() if name.startswith(("conv.", "conv_1.", "conv_2."))}
    file = save_arrays("first.npz", first)
    torch.testing.assert_close(inception(file, size=91, layer="64").vectors(images), expected["64"])
    with refused("weights.network_mismatch", "first.npz", "inception", "Conv2d_3b_1x1.conv.weight is missing"):
        inception(file, layer="192")
    with refused("config.unknown_choice", "layer"):
        inception(file, layer="65")


def test_weights_of_another_network_are_named() -> None:
    torch.save(squeezenets.squeezenet("random").net.state_dict(), "squeezenet.pth")
    with refused("weights.network_mismatch", "squeezenet.pth", "vgg16", "squeezenet1_1"):
        vgg16("squeezenet.pth")
    with refused("weights.network_mismatch", "squeezenet.pth", "inception", "squeezenet1_1"):
        inception("squeezenet.pth", layer="64")
    Path("broken.npz").write_bytes(b"PK\x03\x04")
    with refused("weights.unreadable", "broken.npz"):
        inception("broken.npz", layer="64")


def test_tensorflow_s_resize_reads_without_half_a_pixel_s_shift() -> None:
    images = random_images(0, 1, 7)
    for new in (7, 14, 5, 10):
        expected = torch.empty(1, 3, new, 11)
        for row in range(new):
            for column in range(11):
                (top, down), (left, right) = divmod(row * 7 / new, 1), divmod(column * 7 / 11, 1)
                y, x = int(top), int(left)
                below, beside = min(y + 1, 6), min(x + 1, 6)
                upper = images[..., y, x] * (1 - right) + images[..., y, beside] * right
                lower = images[..., below, x] * (1 - right) + images[..., below, beside] * right
                expected[..., row, column] = upper * (1 - down) + lower * down
        torch.testing.assert_close(RESIZES["tensorflow"](images, (new, 11)), expected, rtol=0, atol=1e-5)
    assert "without half a pixel's shift" in MetricFeatures("m", "", BlockMeans(), "0", 24, "tensorflow").protocol


def test_a_missing_transformers_library_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with refused("evaluation.package_missing", "features=clip", "transformers", "pip install 'stylegan_lab[metrics]'"):
        clip("openai/some")


@pytest.mark.parametrize(
    ("make", "kind", "gray"),
    [(clip, "CLIPVisionModelWithProjection", CLIP_MEAN), (dinov2, "Dinov2Model", IMAGENET_MEAN)],
)
def test_transformers_get_normalized_images(
    make: Callable[..., MetricFeatures], kind: str, gray: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a stand-in for the library: each model returns the means of its images as its feature vector."""

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
    plain = torch.tensor(gray).view(1, 3, 1, 1).expand(2, 3, 30, 30)
    features = make("here")
    assert features(plain).vectors.abs().max() < 1e-5 and "at 224x224 (clean" in features.protocol
    with refused("weights.unreadable", "nowhere", ": nowhere is not a local folder") as error:
        make("nowhere")
    assert "and more" not in str(error.value), "the first line of a reason is enough"
