"""Colours: the picture itself at three scales, to be looked at like the maps of a feature net. No weights, next to no time."""

from torch import nn

from stylegan_lab.nets.features.feature_net import FeatureNet, Features

TAPS = {"full": 0, "half": 1, "quarter": 2}


class Colours(FeatureNet):
    def __init__(self) -> None:
        super().__init__([nn.Identity(), nn.AvgPool2d(2), nn.AvgPool2d(2)], TAPS)


def colours(weights: str = "none") -> Features:  # noqa: ARG001 - of which it needs none
    return Features(Colours())
