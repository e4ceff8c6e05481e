"""LPIPS (Zhang et al., 2018): distances of unit-length feature vectors, each channel weighed as people's judgement taught."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Literal

import torch
from torch import Tensor

from stylegan_lab.losses.perception import Maps, Perception
from stylegan_lab.losses.style import Statistics
from stylegan_lab.losses.terms import precise
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.features.feature_net import Features

Heads = Literal["alex", "vgg", "squeeze"]


class Lpips(Perception):
    """A perception whose content is LPIPS, version 0.1: the linear heads are those that torchmetrics ships."""

    def __init__(
        self,
        net: Callable[[str], Features],
        weights: str,
        heads: Heads,
        layers: Mapping[str, float | None],
        style: Mapping[str, float | None],
        statistics: Statistics = "gram",
    ) -> None:
        super().__init__(net, weights, layers, style, statistics)
        self.heads = dict(zip(layers, read_heads(heads), strict=True))

    def content(self, seen: Maps, reference: Maps) -> Tensor:
        return torch.stack(
            [weight * self._apart(name, seen, reference) for name, weight in self.content_layers.items()]
        ).sum()

    def _apart(self, layer: str, seen: Maps, reference: Maps) -> Tensor:
        square = (_unit(seen[layer]) - _unit(reference[layer])).square()
        head = self.heads[layer].to(square)
        if head.shape[1] != square.shape[1]:
            raise Mistake(
                f"features: LPIPS has {head.shape[1]} weights for {layer}, and the net {square.shape[1]} channels"
            )
        return (square * head).sum(dim=1).mean()


def read_heads(heads: Heads) -> list[Tensor]:
    """One (1, C, 1, 1) a layer, in their order."""
    path = files("torchmetrics") / "functional" / "image" / "lpips_models" / f"{heads}.pth"
    with path.open("rb") as file:
        weights: dict[str, Tensor] = torch.load(file, map_location="cpu", weights_only=True)
    return [weights[name] for name in sorted(weights)]


def _unit(maps: Tensor, epsilon: float = 1e-10) -> Tensor:
    maps = precise(maps)
    return maps / (maps.square().sum(dim=1, keepdim=True).sqrt() + epsilon)
