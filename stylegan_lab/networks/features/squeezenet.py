"""SqueezeNet 1.1 (Iandola et al., 2016), a small classifier. Its layers are those of LPIPS: relu1 and fire modules."""

import torch
from torch import Tensor, nn

from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet, build_feature_net
from stylegan_lab.networks.features.weights import Weights


class Fire(nn.Module):
    """Squeeze to few channels, then expand with 1x1 and 3x3 convolutions, which are concatenated."""

    def __init__(self, in_channels: int, squeeze_channels: int, expand_channels: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeeze_channels, 1)
        self.expand1x1 = nn.Conv2d(squeeze_channels, expand_channels, 1)
        self.expand3x3 = nn.Conv2d(squeeze_channels, expand_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.squeeze(x).relu()
        return torch.cat([expand(x).relu() for expand in self.expansions], dim=1)

    @property
    def expansions(self) -> tuple[nn.Conv2d, nn.Conv2d]:
        return self.expand1x1, self.expand3x3


class SqueezeNet(FeatureNet):
    def __init__(self) -> None:
        layers = [
            nn.Conv2d(3, 64, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(64, 16, 64), Fire(128, 16, 64), nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(128, 32, 128), Fire(256, 32, 128), nn.MaxPool2d(3, 2, ceil_mode=True),
            Fire(256, 48, 192), Fire(384, 48, 192), Fire(384, 64, 256), Fire(512, 64, 256),
        ]  # fmt: skip
        layer_indices = {"relu1": 1, "fire2": 4, "fire4": 7, "fire5": 9, "fire6": 10, "fire7": 11, "fire8": 12}
        super().__init__(layers, layer_indices)
        self.classifier = nn.Sequential(nn.Dropout(), nn.Conv2d(512, 1000, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1))

    def logits(self, image: Tensor) -> Tensor:
        """Return the logits of the ImageNet classes."""
        logits: Tensor = self.classifier(self(image, ["fire8"])["fire8"])
        return logits.flatten(1)


def squeezenet(weights: Weights = "imagenet") -> FeatureExtractor:
    return build_feature_net(SqueezeNet, weights, "squeezenet1_1")
