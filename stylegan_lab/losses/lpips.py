"""LPIPS (Zhang et al., 2018): distances of unit-length feature vectors, with channel weights learned from human ratings."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Literal

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.losses.perceptual import FeatureMaps, PerceptualLoss, StyleStatistics
from stylegan_lab.networks.features.feature_net import FeatureExtractor
from stylegan_lab.precision import to_float32

Heads = Literal["alex", "vgg", "squeeze"]


class LPIPSLoss(PerceptualLoss):
    """A perceptual loss whose content term is LPIPS version 0.1, with the linear heads that torchmetrics ships."""

    def __init__(
        self,
        net: Callable[[str], FeatureExtractor],
        weights: str,
        heads: Heads,
        layers: Mapping[str, float | None],
        style: Mapping[str, float | None],
        statistics: StyleStatistics = "gram",
    ) -> None:
        super().__init__(net, weights, layers, style, statistics)
        self.heads = dict(zip(layers, read_heads(heads), strict=True))

    def content(self, features: FeatureMaps, target: FeatureMaps) -> Tensor:
        return torch.stack(
            [weight * self._layer_distance(name, features, target) for name, weight in self.content_layers.items()]
        ).sum()

    def _layer_distance(self, layer: str, features: FeatureMaps, target: FeatureMaps) -> Tensor:
        square = (_unit_length(features[layer]) - _unit_length(target[layer])).square()
        head = self.heads[layer] = self.heads[layer].to(square, non_blocking=True)
        if head.shape[1] != square.shape[1]:
            raise UserError(
                "weights.network_mismatch",
                f"features: LPIPS expects {head.shape[1]} channels in {layer}, but the network has {square.shape[1]}; use the "
                "network that the LPIPS weights were trained for, at full width",
            )
        return (square * head).sum(dim=1).mean()


def read_heads(heads: Heads) -> list[Tensor]:
    """Return the linear heads, each (1, C, 1, 1), in the order of the layers."""
    path = files("torchmetrics") / "functional" / "image" / "lpips_models" / f"{heads}.pth"
    with path.open("rb") as file:
        weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return [weights[name] for name in sorted(weights)]


def _unit_length(maps: Tensor, epsilon: float = 1e-10) -> Tensor:
    maps = to_float32(maps)
    return maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + epsilon)
