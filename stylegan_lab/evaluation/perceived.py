"""Metrics of a feature net's maps: LPIPS to the truth (Zhang et al., 2018), style distance to the target (Gatys et al., 2016)."""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.images.gallery import PictureSet
from stylegan_lab.losses.lpips import Heads, Lpips
from stylegan_lab.losses.style import gram
from stylegan_lab.nets.features.alexnet import alexnet
from stylegan_lab.nets.features.feature_net import Features
from stylegan_lab.nets.features.squeezenet import squeezenet
from stylegan_lab.nets.features.vgg import vgg16, vgg19
from stylegan_lab.nets.features.weights import sha256_of

BATCH = 16


class Net(NamedTuple):
    build: Callable[[str], Features]
    known: str  # among trained weights
    layers: tuple[str, ...]
    smallest: int  # pixels a side, of which something is left at the last layer


LPIPS: dict[str, Net] = {
    "alex": Net(alexnet, "alexnet", ("relu1", "relu2", "relu3", "relu4", "relu5"), 31),
    "vgg": Net(vgg16, "vgg16", ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"), 16),
    "squeeze": Net(squeezenet, "squeezenet1_1", ("relu1", "fire2", "fire4", "fire5", "fire6", "fire7", "fire8"), 17),
}
STYLE = {
    "vgg19": Net(vgg19, "vgg19", ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"), 16),
    "vgg16": Net(vgg16, "vgg16", ("relu1_2", "relu2_2", "relu3_3", "relu4_3"), 8),
    "squeezenet": Net(squeezenet, "squeezenet1_1", ("relu1", "fire2", "fire4", "fire6"), 17),
}


@cache
def lpips(net: Heads = "alex", weights: str = "imagenet") -> dict[str, Metric]:
    build, known, layers, smallest = choose("metrics: lpips", net, LPIPS)
    judge = Lpips(build, weights, net, dict.fromkeys(layers, 1.0), {})

    @torch.no_grad()
    def apart(images: Tensor, truth: Tensor) -> float:
        each = [
            len(one) * float(judge.content(judge.see(one), judge.see(other)))
            for one, other in zip(_batches(images), _batches(truth), strict=True)
        ]
        return sum(each) / len(images)

    protocol = f"LPIPS 0.1 per picture, averaged, at the pictures' own size; {_told(judge.features, known, weights)}"
    return {f"lpips_{net}{_untrained(weights)}": Metric(apart, "truth", "lower", protocol, smallest=smallest)}


@cache
def style_distance(net: str = "vgg19", weights: str = "imagenet") -> dict[str, Metric]:
    """Of the mean Gram matrices of two sets, as a share of the target's own: 0 the same, about 1 nothing of it."""
    build, known, layers, smallest = choose("metrics: style_distance", net, STYLE)
    features = build(weights)

    def apart(images: PictureSet, target: PictureSet) -> float:
        ours, theirs = (_mean_grams(each, features, layers) for each in (images, target))
        shares = [(one - other).square().sum() / other.square().sum() for one, other in zip(ours, theirs, strict=True)]
        return float(torch.stack(shares).mean())

    protocol = (
        f"squared distance of mean Gram matrices over the target's square, mean of {', '.join(layers)}, at the pictures' own "
        f"size; {_told(features, known, weights)}"
    )
    return {
        f"style_{net}{_untrained(weights)}": Metric(
            apart, "target", "lower", protocol, smallest=smallest, in_parts=True
        )
    }


@torch.no_grad()
def _mean_grams(images: PictureSet, features: Features, layers: tuple[str, ...]) -> list[Tensor]:
    sums: list[Any] = [0.0] * len(layers)
    for batch in _batches(images):
        maps = features(batch, layers)
        sums = [total + gram(maps[name]).double().sum(0).cpu() for total, name in zip(sums, layers, strict=True)]
    return [total / len(images) for total in sums]


def _batches(images: PictureSet) -> Iterator[Tensor]:
    """In [-1, 1] and in colour, where a GPU is, there."""
    for batch in images.split(BATCH):
        yield (
            batch[:, : 3 if batch.shape[1] >= 3 else 1]
            .expand(-1, 3, -1, -1)
            .to("cuda" if torch.cuda.is_available() else "cpu")
            * 2
            - 1
        )


def _told(features: Features, known: str, weights: str) -> str:
    return (
        f"{known}{_untrained(weights).replace('_', ', ')}, weights' SHA-256 {sha256_of(weights, known, features.net)}"
    )


def _untrained(weights: str) -> str:
    return "_untrained" if weights == "random" else ""
