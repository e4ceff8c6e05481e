"""Feature extractors for metrics, and the feature sets that they compute.

An extractor fixes everything that affects a feature: the network, the layer, the image size, the resize filter, and the SHA-256 of
the weights.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from importlib import import_module
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.device import metric_device
from stylegan_lab.evaluation.tensor_cache import cached_tensors
from stylegan_lab.files.download import cache_dir
from stylegan_lab.images.image_store import ImageSet, content_hash
from stylegan_lab.networks.features import alexnet as alexnets
from stylegan_lab.networks.features import inception as inceptions
from stylegan_lab.networks.features import squeezenet as squeezenets
from stylegan_lab.networks.features import vgg
from stylegan_lab.networks.features.feature_net import IMAGENET_MEAN, IMAGENET_STD, FeatureExtractor
from stylegan_lab.networks.features.weights import sha256_of_parameters, weights_sha256
from stylegan_lab.precision import use_tf32
from stylegan_lab.suggestions import lookup

ROWS = 1024  # rows of a distance matrix that are held in memory at a time


class FeatureSet:
    """The feature vectors (N, D) of a set of images, in float64, and the statistics of them that metrics compare."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.detach().cpu().double()
        self._radii: dict[int, Tensor] = {}
        if bad := int((~self.vectors.isfinite()).any(1).sum()):
            raise UserError(
                "evaluation.features_not_finite",
                f"the features of {bad} of {len(vectors)} images are not finite: the weights of the feature network "
                f"are damaged, or its activations overflow; give another weights file",
            )

    def __len__(self) -> int:
        return len(self.vectors)

    @cached_property
    def mean(self) -> Tensor:
        return self.vectors.mean(0)

    @cached_property
    def covariance_root(self) -> Tensor:
        """A matrix R such that R^T R is the unbiased covariance. The covariance itself is never computed, because squaring loses
        half of the digits."""
        centered = (self.vectors - self.mean) / (len(self) - 1) ** 0.5
        return centered if len(self) <= self.vectors.shape[1] else torch.linalg.qr(centered, mode="r").R

    def radii(self, neighbors: int) -> Tensor:
        """Return the distance of each vector to its k-th nearest neighbor (k = `neighbors`), not counting itself."""
        if neighbors not in self._radii:
            parts = []
            for start in range(0, len(self), ROWS):
                distances = torch.cdist(self.vectors[start : start + ROWS], self.vectors)
                distances[torch.arange(len(distances)), start + torch.arange(len(distances))] = -1
                parts.append(distances.kthvalue(neighbors + 1, dim=1).values)
            self._radii[neighbors] = torch.cat(parts)
        return self._radii[neighbors]


VERSION = 1  # part of the cache key: raise it when the code below computes other vectors
BATCH = 32
MAX_CACHED_SETS = 8  # in memory, per extractor


def tensorflow_resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize bilinearly as TensorFlow 1 does: output pixel i is read at position i * old / new, without the usual shift by half a
    pixel."""
    for dim, new in zip((-2, -1), size, strict=True):
        old = images.shape[dim]
        positions = torch.arange(new, device=images.device, dtype=images.dtype) * (old / new)
        low = positions.long()
        weight = (positions - low).unflatten(0, (-1, 1) if dim == -2 else (-1,))
        images = images.index_select(dim, low).lerp(images.index_select(dim, (low + 1).clamp_max(old - 1)), weight)
    return images


RESIZES: dict[str, Callable[..., Tensor]] = {
    "clean": partial(F.interpolate, mode="bicubic", antialias=True),  # Parmar et al. (2022), not rounded or clipped
    "legacy": partial(F.interpolate, mode="bilinear", align_corners=False),  # as pytorch-fid
    "tensorflow": tensorflow_resize,  # as the code of the FID paper, torch-fidelity, and torchmetrics with antialias=False
}
FILTERS = {
    "clean": "clean: bicubic, antialiased",
    "legacy": "legacy: bilinear, not antialiased",
    "tensorflow": "tensorflow: as legacy, without half a pixel's shift, like TensorFlow 1",
}


@dataclass(frozen=True)
class MetricFeatures:
    """A feature extractor with a cache. Features are cached in memory; features of real images are cached on disk too."""

    name: str  # the suffix of the metrics that use it, such as `squeezenet` in `fid_squeezenet`
    layer: str  # the network and the layer, in words
    net: Callable[[Tensor], Tensor]  # from images (N, 3, size, size) in [0, 1] to features (N, D)
    sha256: str  # of the weights
    size: int  # the side images are resized to
    resize: str = "clean"
    head: Tensor | None = None  # weights (classes, D) of the classifier on top of the features
    _sets: "OrderedDict[str, FeatureSet]" = field(default_factory=OrderedDict, repr=False)

    def __post_init__(self) -> None:
        lookup("resize", self.resize, RESIZES)

    @property
    def protocol(self) -> str:
        return f"{self.layer} at {self.size}x{self.size} ({FILTERS[self.resize]}), weights' SHA-256 {self.sha256}"

    def __call__(self, images: ImageSet) -> FeatureSet:
        """Return the features of images (N, C, H, W) in [0, 1]. They are cached in memory, so that all metrics of these images
        share them."""
        return self._in_memory(content_hash(images), lambda: self.extract(images.split(BATCH)))

    def add(self, images: ImageSet, vectors: Tensor) -> None:
        """Cache feature vectors of these images that were computed elsewhere, such as on other ranks."""
        self._in_memory(content_hash(images), lambda: FeatureSet(vectors))

    def cached(self, images: ImageSet) -> FeatureSet:
        """Return the features, cached in memory and on disk. Use this for images that later runs use again, such as real images."""
        return self.cached_by_hash(content_hash(images), lambda: self.extract(images.split(BATCH)))

    def cached_by_hash(self, content: str, extract: Callable[[], FeatureSet]) -> FeatureSet:
        """Return the cached features of the images with the hash `content`. If there are none, call `extract` and cache its
        result."""
        return self._in_memory(content, lambda: self._on_disk(content, extract))

    def extract(self, batches: Iterable[Tensor]) -> FeatureSet:
        return FeatureSet(torch.cat([self.vectors(batch) for batch in batches]))

    @torch.no_grad()
    @use_tf32(False)
    def vectors(self, images: Tensor) -> Tensor:
        """Return the feature vectors (N, D) of images, on the CPU."""
        rgb, size = rgb_on_device(images).float(), (self.size, self.size)
        with torch.autocast(rgb.device.type, enabled=False):
            resized = rgb if rgb.shape[-2:] == size else RESIZES[self.resize](rgb, size)
            return self.net(resized).float().cpu()

    def _in_memory(self, content: str, extract: Callable[[], FeatureSet]) -> FeatureSet:
        if content not in self._sets:
            self._sets[content] = extract()
        self._sets.move_to_end(content)
        while len(self._sets) > MAX_CACHED_SETS:
            self._sets.popitem(last=False)
        return self._sets[content]

    def _on_disk(self, content: str, extract: Callable[[], FeatureSet]) -> FeatureSet:
        key = hashlib.sha256(f"{VERSION} {self.name} {self.protocol} {content}".encode()).hexdigest()
        return FeatureSet(cached_tensors(cache_dir() / "features" / f"{key}.pt", lambda: extract().vectors.float()))


def rgb_on_device(images: Tensor) -> Tensor:
    """Return the images with three channels, on the device that metrics use."""
    rgb = images[:, : 3 if images.shape[1] >= 3 else 1].expand(-1, 3, -1, -1)
    return rgb.to(metric_device())


CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@cache
def clip(weights: str = "openai/clip-vit-large-patch14", size: int = 224, resize: str = "clean") -> MetricFeatures:
    """CLIP's projected image embedding (Radford et al., 2021). `weights` is a folder or a name on the Hugging Face hub."""
    model = _load_transformers_model("clip", "CLIPVisionModelWithProjection", weights)
    normalization = CLIP_MEAN, CLIP_STD
    return _class_token("clip", model, weights, size, resize, normalization, lambda out: out.image_embeds)


@cache
def dinov2(weights: str = "facebook/dinov2-large", size: int = 224, resize: str = "clean") -> MetricFeatures:
    """DINOv2's normalized class token (Oquab et al., 2023), which agrees best with human evaluation (Stein et al., 2023)."""
    model = _load_transformers_model("dinov2", "Dinov2Model", weights)
    normalization = IMAGENET_MEAN, IMAGENET_STD
    return _class_token("dinov2", model, weights, size, resize, normalization, lambda out: out.last_hidden_state[:, 0])


def _class_token(
    name: str, model: Any, weights: str, size: int, resize: str, normalization: Any, token: Callable[[Any], Tensor]
) -> MetricFeatures:
    center, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in normalization)

    def net(images: Tensor) -> Tensor:
        normalized = (images - center.to(images)) / scale.to(images)
        return token(model.to(images.device)(pixel_values=normalized))

    return MetricFeatures(name, f"{weights}, class token", net, sha256_of_parameters(model), size, resize)


def _load_transformers_model(name: str, class_name: str, weights: str) -> Any:
    try:
        library = import_module("transformers")
    except ImportError:
        raise UserError(
            "evaluation.package_missing",
            f"features={name} needs the transformers library; run pip install 'stylegan_lab[metrics]'",
        ) from None
    try:
        return getattr(library, class_name).from_pretrained(weights).float().eval().requires_grad_(False)
    except (OSError, ValueError) as error:
        raise UserError(
            "weights.unreadable", f"{weights} cannot be read as weights of {name}: {str(error).splitlines()[0]}"
        ) from error


@cache
def inception(
    weights: str = "imagenet", size: int = 299, resize: str = "clean", layer: str = inceptions.POOLED
) -> MetricFeatures:
    """The network of FID. `inception` uses its last layer; `inception_64`, `inception_192` and `inception_768` use earlier ones."""
    features = inceptions.inception(weights, layer)
    name, head = f"inception_{layer}", None
    if layer == inceptions.POOLED:
        weight: Tensor = features.net.fc.weight  # type: ignore[assignment, union-attr]
        name = "inception"
        head = weight.detach().clone()  # stays on the CPU, where statistics are computed, when the network is moved
    return _spatial_mean(name, "inception", features, weights, layer, size, resize, head)


@cache
def squeezenet(
    weights: str = "imagenet", layer: str = "fire8", size: int = 256, resize: str = "clean"
) -> MetricFeatures:
    features = squeezenets.squeezenet(weights)
    return _spatial_mean("squeezenet", "squeezenet1_1", features, weights, layer, size, resize)


@cache
def vgg16(weights: str = "imagenet", layer: str = "relu5_3", size: int = 224, resize: str = "clean") -> MetricFeatures:
    return _spatial_mean("vgg16", "vgg16", vgg.vgg16(weights), weights, layer, size, resize)


@cache
def vgg19(weights: str = "imagenet", layer: str = "relu5_4", size: int = 224, resize: str = "clean") -> MetricFeatures:
    return _spatial_mean("vgg19", "vgg19", vgg.vgg19(weights), weights, layer, size, resize)


@cache
def alexnet(weights: str = "imagenet", layer: str = "relu5", size: int = 224, resize: str = "clean") -> MetricFeatures:
    return _spatial_mean("alexnet", "alexnet", alexnets.alexnet(weights), weights, layer, size, resize)


@cache
def untrained_vgg16(layer: str = "relu4_3", size: int = 64, resize: str = "clean") -> MetricFeatures:
    """VGG16 with a quarter of the channels and He initialization from seed 0. It needs no download, and its weights are the same on
    all machines."""
    features = vgg.vgg16("random", "average", 0.25)
    return _spatial_mean("untrained", "a quarter of vgg16", features, "random", layer, size, resize)


EXTRACTORS: dict[str, Callable[..., MetricFeatures]] = {
    "untrained": untrained_vgg16,
    "inception": inception,
    **{f"inception_{layer}": partial(inception, layer=layer) for layer in inceptions.LAYERS[:-1]},
    "squeezenet": squeezenet,
    "vgg16": vgg16,
    "vgg19": vgg19,
    "alexnet": alexnet,
    "clip": clip,
    "dinov2": dinov2,
}


def _spatial_mean(
    name: str,
    weights_name: str,
    features: FeatureExtractor,
    weights: str,
    layer: str,
    size: int,
    resize: str,
    head: Tensor | None = None,
) -> MetricFeatures:
    """Return an extractor of a layer's feature map, averaged over its positions."""
    lookup(f"metrics: layer of {name}", layer, features.net.layer_indices)

    def net(images: Tensor) -> Tensor:
        return features(images * 2 - 1, [layer])[layer].mean((2, 3))

    trained = weights != "random"
    return MetricFeatures(
        name if trained or name == "untrained" else f"{name}_untrained",
        f"{weights_name} {layer}, mean over space{'' if trained else ', untrained'}",
        net,
        weights_sha256(weights, weights_name, features.net),
        size,
        resize,
        head if trained else None,
    )
