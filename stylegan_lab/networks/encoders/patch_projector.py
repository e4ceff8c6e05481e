"""CUT's patch features (Park et al., 2020): intermediate feature maps of the generator, and an MLP per layer that projects them."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.precision import to_float32


def forward_with_features(
    layers: nn.Sequential, x: Tensor, indices: Sequence[int], to_the_end: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """Return the output of the last computed layer, and the outputs at `indices`.

    Layers after the last index are computed only with `to_the_end`.
    """
    features = {}
    for index in range(len(layers) if to_the_end else max(indices) + 1):
        x = layers[index](x)
        if index in indices:
            features[index] = x
    return x, [features[index] for index in indices]


class PatchProjector(nn.Module):
    """A two-layer MLP for each of the feature maps. `in_channels` lists their channels."""

    def __init__(
        self, in_channels: Sequence[int], channels: int = 256, initialization: Initialization = "xavier"
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(count, channels), nn.ReLU(), nn.Linear(channels, channels)) for count in in_channels
        )
        initialize_weights(self, initialization)

    def forward(self, features: Sequence[Tensor], positions: Sequence[Tensor]) -> list[Tensor]:
        """Return unit vectors (N, P, channels) for each feature map, at the given positions. Positions are indices into the
        flattened map."""
        sampled = [each.flatten(2).transpose(1, 2)[:, index] for each, index in zip(features, positions, strict=True)]
        projected = [to_float32(layer(vectors)) for layer, vectors in zip(self.layers, sampled, strict=True)]
        return [F.normalize(vectors, dim=2) for vectors in projected]  # which divides a zero by zero in float16
