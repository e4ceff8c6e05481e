"""The embeddings there are: which net, which layer, at which size. Without trained weights a name says so."""

from collections.abc import Callable
from functools import cache

from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.evaluation.vision_transformers import clip, dinov2
from stylegan_lab.nets.features import alexnet as alexnets
from stylegan_lab.nets.features import inception as inceptions
from stylegan_lab.nets.features import squeezenet as squeezenets
from stylegan_lab.nets.features import vgg
from stylegan_lab.nets.features.feature_net import Features
from stylegan_lab.nets.features.weights import sha256_of


@cache
def inception(weights: str = "imagenet", size: int = 299, resize: str = "clean") -> Embedding:
    features = inceptions.inception(weights)
    weight: Tensor = features.net.fc.weight  # type: ignore[assignment, union-attr]
    head = weight.detach().clone()  # stays on the CPU, where statistics are taken, when the net is moved
    return _means("inception", "inception", features, weights, inceptions.POOLED, size, resize, head)


@cache
def squeezenet(weights: str = "imagenet", layer: str = "fire8", size: int = 256, resize: str = "clean") -> Embedding:
    features = squeezenets.squeezenet(weights)
    return _means("squeezenet", "squeezenet1_1", features, weights, layer, size, resize)


@cache
def vgg16(weights: str = "imagenet", layer: str = "relu5_3", size: int = 224, resize: str = "clean") -> Embedding:
    return _means("vgg16", "vgg16", vgg.vgg16(weights), weights, layer, size, resize)


@cache
def vgg19(weights: str = "imagenet", layer: str = "relu5_4", size: int = 224, resize: str = "clean") -> Embedding:
    return _means("vgg19", "vgg19", vgg.vgg19(weights), weights, layer, size, resize)


@cache
def alexnet(weights: str = "imagenet", layer: str = "relu5", size: int = 224, resize: str = "clean") -> Embedding:
    return _means("alexnet", "alexnet", alexnets.alexnet(weights), weights, layer, size, resize)


@cache
def untrained(layer: str = "relu4_3", size: int = 64, resize: str = "clean") -> Embedding:
    """A quarter of VGG16 with He's initialisation of seed 0: nothing to fetch, and the same anywhere."""
    features = vgg.vgg16("random", "average", 0.25)
    return _means("untrained", "a quarter of vgg16", features, "random", layer, size, resize)


EMBEDDINGS: dict[str, Callable[..., Embedding]] = {
    "untrained": untrained,
    "inception": inception,
    "squeezenet": squeezenet,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "alexnet": alexnet,
    "clip": clip,
    "dinov2": dinov2,
}


def _means(
    name: str,
    known: str,
    features: Features,
    weights: str,
    layer: str,
    size: int,
    resize: str,
    head: Tensor | None = None,
) -> Embedding:
    """Of a layer's map over space, which is what classifiers end with."""
    choose(f"metrics: layer of {name}", layer, features.net.taps)

    def net(images: Tensor) -> Tensor:
        return features(images * 2 - 1, [layer])[layer].mean((2, 3))

    trained = weights != "random"
    return Embedding(
        name if trained or name == "untrained" else f"{name}_untrained",
        f"{known} {layer}, mean over space{'' if trained else ', untrained'}",
        net,
        sha256_of(weights, known, features.net),
        size,
        resize,
        head if trained else None,
    )
