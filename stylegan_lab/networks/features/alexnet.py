"""AlexNet (Krizhevsky, 2014), the variant with one tower, up to its last convolution. Its layers are relu1 to relu5."""

from torch import nn

from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet, build_feature_net
from stylegan_lab.networks.features.weights import Weights


def alexnet(weights: Weights = "imagenet") -> FeatureExtractor:
    return build_feature_net(_alexnet, weights, "alexnet")


def _alexnet() -> FeatureNet:
    layers = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(64, 192, 5, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2),
        nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(),
        nn.Conv2d(384, 256, 3, padding=1), nn.ReLU(),
        nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    ]  # fmt: skip
    return FeatureNet(layers, {"relu1": 1, "relu2": 4, "relu3": 7, "relu4": 9, "relu5": 11})
