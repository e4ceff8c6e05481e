"""Rescales a feature network so that the mean activation of each layer is 1, as Gatys et al. (2016) do.

Published weights differ in scale: Oxford's VGG has activations in the hundreds, others about 1. A content loss grows with the
square of the activations, a loss on Gram matrices with their fourth power. After rescaling, a loss weight means the same for all
of them.
"""

import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.networks.features.feature_net import FeatureNet
from stylegan_lab.networks.features.squeezenet import Fire

LEAVES, SIZE, SMALLEST_RADIUS, CONTRAST = 300, 128, 4.0, 0.7


@torch.no_grad()
def rescale_activations(net: FeatureNet) -> dict[str, float]:
    """Rescale the weights in place, and return the mean activations that the layers had before.

    Convolution, ReLU and pooling commute with a positive factor, so each feature map is only multiplied by a factor.
    """
    names = {index: name for name, index in net.layer_indices.items()}
    means: dict[str, float] = {}
    x, mean = net.normalize(dead_leaves()), 1.0
    for index, layer in enumerate(net.features):
        x = layer(x)
        if isinstance(layer, nn.Conv2d | Fire):
            first, last = (layer, [layer]) if isinstance(layer, nn.Conv2d) else (layer.squeeze, layer.expansions)
            first.weight *= mean  # its input has been divided by it
            mean = _mean_activation(x, index)
            for convolution in last:
                convolution.weight /= mean
                if convolution.bias is not None:
                    convolution.bias /= mean
        if index in names:
            means[names[index]] = mean
    return means


def _mean_activation(maps: Tensor, index: int) -> float:
    mean = float(maps.relu().mean())
    if not 0 < mean < float("inf"):
        raise UserError(
            "weights.damaged",
            f"features.weights: the mean activation after features.{index} is {mean}, so the weights are damaged; "
            "give another file",
        )
    return mean


def dead_leaves(count: int = 2) -> Tensor:
    """Return images with the statistics of photographs: discs of all sizes that occlude each other (Lee et al., 2001). The images
    are the same in every call.

    With these sizes and this contrast, the mean activations of VGG19's relu1_1 to relu5_1 are within 30% of those on ImageNet.
    """
    rows, columns = torch.arange(SIZE)[:, None], torch.arange(SIZE)
    images = torch.zeros(count, 3, SIZE, SIZE)
    for leaf in torch.rand(LEAVES, count, 6, 1, 1, generator=torch.Generator().manual_seed(0)):
        u, row, column, *color = leaf.unbind(dim=1)
        radius = (
            (1 - u) * SMALLEST_RADIUS**-2 + u * (SIZE / 2) ** -2
        ) ** -0.5  # its density falls with the third power
        inside = (rows - SIZE * row).square() + (columns - SIZE * column).square() < radius.square()
        mixed = 0.6 * color[0][:, None] + 0.4 * torch.stack(color, dim=1)
        images = torch.where(inside[:, None], CONTRAST * (2 * mixed - 1), images)
    return images
