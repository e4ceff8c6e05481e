"""Perception: content and style as a feature net sees them (Gatys et al., 2016; Johnson et al., 2016)."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.choice import choose
from stylegan_lab.losses.style import DISTANCES, Statistics
from stylegan_lab.losses.terms import precise
from stylegan_lab.nets.features.feature_net import Features

Maps = dict[str, Tensor]


class Perception:
    """`content` and `style` give the layers that are compared and what each weighs; `statistics` is what style is made of.
    `blind_to_style`: content is compared after instance norm, which leaves colours free to change (Huang et al., 2018)."""

    def __init__(
        self,
        net: Callable[[str], Features],
        weights: str,
        content: Mapping[str, float | None],
        style: Mapping[str, float | None],
        statistics: Statistics = "gram",
        blind_to_style: bool = False,
    ) -> None:
        self.features = net(weights)
        self.blind_to_style = blind_to_style
        self.content_layers, self.style_layers = _weighted(content), _weighted(style)
        self._distance = choose("features.statistics", statistics, DISTANCES)
        self._layers = list(dict.fromkeys([*self.content_layers, *self.style_layers]))

    def see(self, image: Tensor) -> Maps:
        return self.features(image, self._layers)

    @torch.no_grad()
    def remember(self, image: Tensor) -> Maps:
        """What is seen of a picture that others are held against."""
        return self.see(image)

    def content(self, seen: Maps, reference: Maps) -> Tensor:
        """Mean squared distance of the maps themselves."""
        apart = [
            weight * (self._compared(seen[layer]) - self._compared(reference[layer])).square().mean()
            for layer, weight in self.content_layers.items()
        ]
        return torch.stack(apart).sum()

    def _compared(self, maps: Tensor) -> Tensor:
        return F.instance_norm(precise(maps)) if self.blind_to_style else precise(maps)

    def style(self, seen: Maps, reference: Maps) -> Tensor:
        """Distance of the maps' statistics, wherever in the picture they come from."""
        apart = [weight * self._distance(seen[layer], reference[layer]) for layer, weight in self.style_layers.items()]
        return torch.stack(apart).sum()


def _weighted(layers: Mapping[str, float | None]) -> dict[str, float]:
    """Those that weigh something: null or 0 leaves a layer out."""
    return {name: weight for name, weight in layers.items() if weight}
