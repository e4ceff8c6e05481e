"""Patch projector (Park et al., 2020): one small net a layer, from the features of a place to a point on a sphere."""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.nets.initialisation import Initialisation, initialise


class PatchProjector(nn.Module):
    """`inputs` are the channels of the layers looked at."""

    def __init__(self, inputs: Sequence[int], channels: int = 256, initialisation: Initialisation = "xavier") -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(count, channels), nn.ReLU(), nn.Linear(channels, channels)) for count in inputs
        )
        initialise(self, initialisation)

    def forward(self, maps: Sequence[Tensor], places: Sequence[Tensor]) -> list[Tensor]:
        """(N, P, channels) of each layer's map at the given places, which count along its rows."""
        vectors = [each.flatten(2).transpose(1, 2)[:, place] for each, place in zip(maps, places, strict=True)]
        return [F.normalize(layer(vector), dim=2) for layer, vector in zip(self.layers, vectors, strict=True)]
