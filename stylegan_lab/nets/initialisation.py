"""The papers' initialisations of convolutions, linear layers and batch norms."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import init

from stylegan_lab.choice import choose

Initialisation = Literal["normal", "xavier", "xavier_uniform", "he", "orthogonal"]

WEIGHTS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": partial(init.normal_, std=0.02),  # DCGAN, pix2pix, CycleGAN
    "xavier": partial(init.xavier_normal_, gain=0.02),  # CUT
    "xavier_uniform": init.xavier_uniform_,  # Keras, and so TensorFlow's tutorials
    "he": partial(init.kaiming_normal_, nonlinearity="relu"),  # WGAN-GP's residual nets, StarGAN v2
    "orthogonal": partial(init.orthogonal_, gain=0.02),
}


def initialise(net: nn.Module, how: Initialisation) -> None:
    """Weights as named, biases 0; batch norm scales from N(1, 0.02)."""
    fill = choose("initialisation", how, WEIGHTS)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            fill(layer.weight)
            if layer.bias is not None:
                init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            init.normal_(layer.weight, 1.0, 0.02)
            init.zeros_(layer.bias)
