"""The papers' initializations of convolutions, linear layers and batch norms."""

from collections.abc import Callable
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import init

from stylegan_lab.errors import check_at_least
from stylegan_lab.networks.layers.spectral_norm import apply_spectral_norm
from stylegan_lab.suggestions import lookup

Initialization = Literal["normal", "xavier", "xavier_uniform", "he", "orthogonal"]
INITIALIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "normal": partial(init.normal_, std=0.02),  # DCGAN, pix2pix, CycleGAN
    "xavier": partial(init.xavier_normal_, gain=0.02),  # CUT
    "xavier_uniform": init.xavier_uniform_,  # Keras, and so TensorFlow's tutorials
    "he": partial(init.kaiming_normal_, nonlinearity="relu"),  # WGAN-GP's residual networks, StarGAN v2
    "orthogonal": partial(init.orthogonal_, gain=0.02),
}


def initialize_weights(net: nn.Module, scheme: Initialization, spectral: bool = False) -> None:
    """Initialize weights with the named scheme, biases with 0, and batch norm scales from N(1, 0.02); then add spectral norm."""
    initializer = lookup("initialization", scheme, INITIALIZERS)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            initializer(layer.weight)
            if layer.bias is not None:
                init.zeros_(layer.bias)
        elif isinstance(layer, nn.BatchNorm2d) and layer.affine:
            init.normal_(layer.weight, 1.0, 0.02)
            init.zeros_(layer.bias)
    if spectral:
        apply_spectral_norm(net)


def initialize_uniform(net: nn.Module, setting: str, bound: float | None) -> None:
    """Draw the weights of linear layers from U(-`bound`, `bound`) and set biases to 0. None keeps torch's defaults."""
    if bound is None:
        return
    check_at_least(setting, bound, 0)
    for layer in net.modules():
        if isinstance(layer, nn.Linear):
            init.uniform_(layer.weight, -bound, bound)
            init.zeros_(layer.bias)
