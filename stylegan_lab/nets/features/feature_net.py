"""Feature nets: classifiers whose inner maps say what a picture shows and how it is painted. Frozen, and no part of a model."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.nets.features.weights import Weights, read_weights
from stylegan_lab.nets.initialisation import initialise

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, in which such nets were trained


class FeatureNet(nn.Module):
    """`layers` under torchvision's parameter names (`features.0.weight`); `taps` names those whose output can be asked for.
    A net of untrained weights, of the same seed each time, is a published baseline for textures (Ulyanov et al., 2016)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, layers: Sequence[nn.Module], taps: Mapping[str, int]) -> None:
        super().__init__()
        self.features = nn.Sequential(*layers)
        self.taps = taps
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(DEVIATION).view(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        """The maps of that name, of images in [-1, 1]; nothing behind the last of them is computed."""
        wanted = {choose("features.layers", name, self.taps): name for name in names}
        x, maps = ((image + 1) / 2 - self.mean) / self.deviation, {}
        for index in range(max(wanted) + 1):
            x = self.features[index](x)
            if index in wanted:
                maps[wanted[index]] = x
        return {name: maps[name] for name in names}

    def train(self, mode: bool = True) -> "FeatureNet":
        """Never: dropout and batch norms of a feature net stand still."""
        return super().train(False)


class Features:
    """A feature net at work for a module and no part of it: not trained, not saved, on whatever device the images are."""

    def __init__(self, net: FeatureNet) -> None:
        self.net = net.requires_grad_(False).eval()

    def __call__(self, image: Tensor, names: Sequence[str]) -> dict[str, Tensor]:
        if self.net.mean.device != image.device:
            self.net.to(image.device)
        maps: dict[str, Tensor] = self.net(image, names)
        return maps


def ready(build: Callable[[], FeatureNet], weights: Weights, known: str) -> Features:
    """The net with the weights asked for (see `read_weights`)."""
    with torch.random.fork_rng([]):  # untrained weights take no chance from what is trained
        torch.manual_seed(0)
        net = build()
        if weights == "random":
            initialise(net, "he")
    if weights != "random":
        net.load_state_dict(
            {name: value for name, value in read_weights(weights, known).items() if name in net.state_dict()}
        )
    return Features(net)
