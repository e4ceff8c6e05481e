"""VGG (Simonyan & Zisserman, 2015), the feature network of style transfer. Its layers are relu1_1 to relu5_4."""

from functools import partial
from typing import Literal

from torch import nn

from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet, build_feature_net
from stylegan_lab.networks.features.weights import Weights

WIDTHS = (64, 128, 256, 512, 512)
Pool = Literal["max", "average"]


def vgg16(weights: Weights = "imagenet", pool: Pool = "max", width: float = 1.0) -> FeatureExtractor:
    return build_feature_net(partial(_vgg, (2, 2, 3, 3, 3), pool, width), weights, "vgg16")


def vgg19(weights: Weights = "imagenet", pool: Pool = "max", width: float = 1.0) -> FeatureExtractor:
    return build_feature_net(partial(_vgg, (2, 2, 4, 4, 4), pool, width), weights, "vgg19")


def _vgg(convolutions: tuple[int, ...], pool: Pool, width: float) -> FeatureNet:
    layers: list[nn.Module] = []
    layer_indices: dict[str, int] = {}
    in_channels = 3
    for block, (channels, count) in enumerate(zip(WIDTHS, convolutions, strict=True), start=1):
        for number in range(1, count + 1):
            out_channels = round(channels * width)
            layers += [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.ReLU()]
            layer_indices[f"relu{block}_{number}"] = len(layers) - 1
            in_channels = out_channels
        layers.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
    return FeatureNet(layers, layer_indices)
