"""Feature networks: frozen image classifiers whose intermediate features measure content and style."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.networks.encoders.patch_projector import forward_with_features
from stylegan_lab.networks.features.weights import Weights, load_weights
from stylegan_lab.networks.layers.initialization import initialize_weights
from stylegan_lab.rng import seeded
from stylegan_lab.suggestions import lookup

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class FeatureNet(nn.Module):
    """A sequence of layers with torchvision's parameter names (`features.0.weight`).

    `layer_indices` names the layers whose output can be requested. A network with random weights is a published baseline for
    textures (Ustyuzhaninov et al., 2016).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, layers: Sequence[nn.Module], layer_indices: Mapping[str, int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.layer_indices = layer_indices
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """Return the features of the named layers for images in [-1, 1]. Layers after the last named one are not computed."""
        indices = [lookup("features.layers", name, self.layer_indices) for name in names]
        _, features = forward_with_features(self.features, self.normalize(image), indices)
        return dict(zip(names, features, strict=True))

    def state_from_file(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return the tensors of a weights file under this network's parameter names. A subclass may also accept files with other
        names."""
        return tensors

    def normalize(self, image: Tensor) -> Tensor:
        return ((image + 1) / 2 - self.mean) / self.std

    def train(self, mode: bool = True) -> "FeatureNet":
        """Stay in evaluation mode: a feature network is never trained."""
        return super().train(False)


class FeatureExtractor:
    """Holds a feature network that is not a submodule of the model. The network is neither trained nor saved, and is moved to the
    device of the images."""

    def __init__(self, net: FeatureNet) -> None:
        self.net = net.requires_grad_(False).eval()

    def __call__(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        if self.net.mean.device != image.device:
            self.net.to(image.device, non_blocking=True)
        return self.net(image, names)


def build_feature_net(build: Callable[[], FeatureNet], weights: Weights, published_name: str) -> FeatureExtractor:
    """Build a feature extractor with the given weights (see `load_weights`). Random weights are the same in every call."""
    with seeded(0):  # does not disturb the random state of the training
        net = build()
        if weights == "random":
            initialize_weights(net, "he")
    if weights != "random":
        load_weights(net, weights, published_name)
    return FeatureExtractor(net)


def color_pyramid(weights: str = "none") -> FeatureExtractor:  # noqa: ARG001 - part of the common signature
    """Build a feature extractor that returns the normalized image at full, half and quarter resolution. It has no weights and
    costs next to nothing."""
    layers = [nn.Identity(), nn.AvgPool2d(2), nn.AvgPool2d(2)]
    return FeatureExtractor(FeatureNet(layers, {"full": 0, "half": 1, "quarter": 2}))
