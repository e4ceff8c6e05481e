"""Metrics on feature maps: LPIPS (Zhang et al., 2018), and style distance to the target domain (Gatys et al., 2016)."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from stylegan_lab.evaluation.feature_extractors import rgb_on_device
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.images.image_store import ImageSet
from stylegan_lab.losses.lpips import Heads, LPIPSLoss
from stylegan_lab.losses.perceptual import gram_matrix
from stylegan_lab.networks.features.alexnet import alexnet
from stylegan_lab.networks.features.feature_net import FeatureExtractor
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.networks.features.vgg import vgg16, vgg19
from stylegan_lab.networks.features.weights import weights_sha256
from stylegan_lab.precision import use_tf32
from stylegan_lab.suggestions import lookup

BATCH = 16


class PerceptualNet(NamedTuple):
    build: Callable[[str], FeatureExtractor]
    weights_name: str  # in the table of trained weights
    layers: tuple[str, ...]
    min_size: int  # the smallest image side that leaves a feature map at the last layer


LPIPS_NETS: dict[str, PerceptualNet] = {
    "alex": PerceptualNet(alexnet, "alexnet", ("relu1", "relu2", "relu3", "relu4", "relu5"), 31),
    "vgg": PerceptualNet(vgg16, "vgg16", ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"), 16),
    "squeeze": PerceptualNet(
        squeezenet, "squeezenet1_1", ("relu1", "fire2", "fire4", "fire5", "fire6", "fire7", "fire8"), 17
    ),
}

STYLE_NETS = {
    "vgg19": PerceptualNet(vgg19, "vgg19", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 16),
    "vgg16": PerceptualNet(vgg16, "vgg16", ("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 8),
    "squeezenet": PerceptualNet(squeezenet, "squeezenet1_1", ("relu1", "fire2", "fire4", "fire6"), 17),
}


@cache
def lpips(
    net: Heads = "alex", weights: str = "imagenet", reference: Literal["truth", "input"] = "truth"
) -> dict[str, Metric]:
    """Return the metric `lpips_<net>`, the LPIPS distance to the truth, or `lpips_<net>_input`, the distance to the input."""
    build, weights_name, layers, min_size = lookup("metrics: lpips", net, LPIPS_NETS)
    loss = LPIPSLoss(build, weights, net, dict.fromkeys(layers, 1.0), {})

    @torch.no_grad()
    @use_tf32(False)
    def distance(images: Tensor, others: Tensor) -> float:
        pairs = zip(_batches(images), _batches(others), strict=True)
        sums = (len(batch) * float(loss.content(loss.features(batch), loss.features(other))) for batch, other in pairs)
        return sum(sums) / len(images)

    protocol = f"LPIPS 0.1 per image, averaged, at the images' own size; {_network_protocol(loss.network, weights_name, weights)}"
    name = f"lpips_{net}{_untrained(weights)}{'_input' if reference == 'input' else ''}"
    return {name: Metric(distance, reference, "lower", protocol, min_size=min_size)}


@cache
def style_distance(net: str = "vgg19", weights: str = "imagenet") -> dict[str, Metric]:
    """Return the metric `style_<net>`: the squared distance between the mean Gram matrices of two sets, relative to the squared
    norm of the target's.

    It is 0 for equal styles, and about 1 if the images have nothing of the target's style.
    """
    build, weights_name, layers, min_size = lookup("metrics: style_distance", net, STYLE_NETS)
    features = build(weights)

    def distance(images: ImageSet, target: ImageSet) -> float:
        grams, target_grams = (_mean_grams(each, features, layers) for each in (images, target))
        pairs = zip(grams, target_grams, strict=True)
        return float(torch.stack([(gram - aim).square().sum() / aim.square().sum() for gram, aim in pairs]).mean())

    protocol = (
        f"squared distance of mean Gram matrices over the target's square, mean of {', '.join(layers)}, at the images' own "
        f"size; {_network_protocol(features, weights_name, weights)}"
    )
    metric = Metric(distance, "target", "lower", protocol, min_size=min_size, chunked=True)
    return {f"style_{net}{_untrained(weights)}": metric}


@torch.no_grad()
@use_tf32(False)
def _mean_grams(images: ImageSet, features: FeatureExtractor, layers: tuple[str, ...]) -> list[Tensor]:
    sums: list[Any] = [0.0] * len(layers)
    for batch in _batches(images):
        maps = features(batch, layers)
        sums = [total + gram_matrix(maps[name]).double().sum(0).cpu() for total, name in zip(sums, layers, strict=True)]
    return [total / len(images) for total in sums]


def _batches(images: ImageSet) -> Iterator[Tensor]:
    """Yield RGB batches in [-1, 1], on the device of metrics."""
    return (rgb_on_device(batch) * 2 - 1 for batch in images.split(BATCH))


def _network_protocol(features: FeatureExtractor, weights_name: str, weights: str) -> str:
    sha256 = weights_sha256(weights, weights_name, features.net)
    return f"{weights_name}{_untrained(weights).replace('_', ', ')}, weights' SHA-256 {sha256}"


def _untrained(weights: str) -> str:
    return "_untrained" if weights == "random" else ""
