"""Perceptual losses on the feature maps of a fixed network: content (Johnson et al., 2016), style as Gram matrices (Gatys
et al., 2016) or channel moments (Huang & Belongie, 2017), and total variation."""

from collections.abc import Callable, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.networks.features.activation_scale import rescale_activations
from stylegan_lab.networks.features.feature_net import FeatureExtractor
from stylegan_lab.precision import to_float32
from stylegan_lab.suggestions import lookup

StyleStatistics = Literal["gram", "moments"]
UNTRAINED = ("random", "none")  # weights whose scale does not vary


def gram_matrix(maps: Tensor) -> Tensor:
    """Return the Gram matrix, divided by C * H * W as in Johnson et al. (2016); Gatys et al. divide it by H * W."""
    batch, channels, height, width = maps.shape
    flat = to_float32(maps).reshape(batch, channels, height * width)
    with torch.autocast(maps.device.type, enabled=False):  # autocast would multiply in half precision
        return flat @ flat.transpose(1, 2) / (channels * height * width)


def channel_moments(maps: Tensor, epsilon: float = 1e-5) -> tuple[Tensor, Tensor]:
    """Return mean and (biased) standard deviation of each channel, both (N, C, 1, 1)."""
    maps = to_float32(maps)
    variance, mean = torch.var_mean(maps, dim=(2, 3), keepdim=True, unbiased=False)
    return mean, (variance + epsilon).sqrt()


def gram_distance(maps: Tensor, target: Tensor) -> Tensor:
    """Return the mean squared distance of Gram matrices."""
    return (gram_matrix(maps) - gram_matrix(target)).square().mean()


def moments_distance(maps: Tensor, target: Tensor) -> Tensor:
    """Return the squared distances of channel means and standard deviations, summed over channels as in the paper."""
    (mean, std), (target_mean, target_std) = channel_moments(maps), channel_moments(target)
    distance = (mean - target_mean).square() + (std - target_std).square()
    return distance.sum(dim=1).mean()


STYLE_DISTANCES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"gram": gram_distance, "moments": moments_distance}
FeatureMaps = dict[str, Tensor]


class PerceptualLoss:
    """Content and style losses on the feature maps of a pretrained network.

    Args:
        net: Builds the feature network from the name of its `weights`. Trained weights are rescaled to mean activations of 1, so
            that loss weights do not depend on their scale.
        content: The weight of each layer in the content loss; null or 0 leaves a layer out.
        style: The weight of each layer in the style loss; null or 0 leaves a layer out.
        statistics: The statistics that the style loss compares.
        normalize_content: Apply instance norm to feature maps before the content loss compares them, so that colors may change
            (MUNIT, Huang et al., 2018).
    """

    def __init__(
        self,
        net: Callable[[str], FeatureExtractor],
        weights: str,
        content: Mapping[str, float | None],
        style: Mapping[str, float | None],
        statistics: StyleStatistics = "gram",
        normalize_content: bool = False,
    ) -> None:
        self.network = net(weights)
        self.mean_activations = {} if weights in UNTRAINED else rescale_activations(self.network.net)
        self.normalize_content = normalize_content
        self.content_layers, self.style_layers = _nonzero(content), _nonzero(style)
        self._distance = lookup("features.statistics", statistics, STYLE_DISTANCES)
        self._layers = list(dict.fromkeys([*self.content_layers, *self.style_layers]))
        for name in self._layers:
            lookup("features.layers", name, self.network.net.layer_indices)

    def features(self, image: Tensor) -> FeatureMaps:
        return self.network(image, self._layers)

    def notes(self) -> list[str]:
        """Return a sentence for the log on the mean activations that trained weights had before they were rescaled."""
        if not self.mean_activations:
            return []
        listed = ", ".join(f"{name} {self.mean_activations[name]:.3g}" for name in self._layers)
        return [f"features' mean activations, each rescaled to 1: {listed}"]

    @torch.no_grad()
    def target_features(self, image: Tensor) -> FeatureMaps:
        """Return the feature maps of a target image, without gradients."""
        return self.features(image)

    def content(self, features: FeatureMaps, target: FeatureMaps) -> Tensor:
        """Return the mean squared distance of feature maps, summed over layers with the weights of `content`."""
        distances = [
            weight * (self._content_maps(features[layer]) - self._content_maps(target[layer])).square().mean()
            for layer, weight in self.content_layers.items()
        ]
        return torch.stack(distances).sum()

    def _content_maps(self, maps: Tensor) -> Tensor:
        return F.instance_norm(to_float32(maps)) if self.normalize_content else to_float32(maps)

    def style(self, features: FeatureMaps, target: FeatureMaps) -> Tensor:
        """Return the distance of feature statistics, summed over layers with the weights of `style`. The statistics do not depend
        on positions."""
        distances = [
            weight * self._distance(features[layer], target[layer]) for layer, weight in self.style_layers.items()
        ]
        return torch.stack(distances).sum()


def _nonzero(layers: Mapping[str, float | None]) -> dict[str, float]:
    return {name: weight for name, weight in layers.items() if weight}


def total_variation(image: Tensor) -> Tensor:
    """Return the squared differences of neighboring pixels, summed over each image and averaged over all images (Johnson et al.,
    2016)."""
    image = to_float32(image)
    down, right = image[..., 1:, :] - image[..., :-1, :], image[..., :, 1:] - image[..., :, :-1]
    return (down.square().sum() + right.square().sum()) / len(image)
