"""UNSB's generator (Kim et al., 2024): CUT's ResNet, with the time step and a latent in the norms of its residual blocks."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_minimums
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.norms import InstanceNorm
from stylegan_lab.networks.layers.resampling import ReflectionPad, downsampling, upsampling
from stylegan_lab.networks.layers.unsb import LatentMapping, TimeEmbedding, reset_conditioning


class UNSBBlock(nn.Module):
    """A residual block whose first norm computes its scale and shift from the condition."""

    def __init__(self, channels: int, condition_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(ReflectionPad(1), nn.Conv2d(channels, channels, 3))
        self.norm = ConditionalInstanceNorm(channels, condition_channels)
        self.rest = nn.Sequential(nn.ReLU(), ReflectionPad(1), nn.Conv2d(channels, channels, 3), InstanceNorm(channels))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        residual: Tensor = self.rest(self.norm(self.conv(x), condition))
        return x + residual


class UNSBGenerator(nn.Module):
    """Predicts the end of the bridge from an image, its time step, and a latent of `latent_dim` values.

    The reference code adds the time embedding to the input of an instance norm without affine parameters, which removes the
    embedding again. Here the scale and shift of the norm depend on the time embedding and the latent.
    """

    multiple_of = 4
    min_size = 16  # reflection padding needs more than one row after two downsamplings

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 64,
        blocks: int = 9,
        mapping_layers: int = 4,
        initialization: Initialization = "xavier",
        num_timesteps: int = 5,
    ) -> None:
        super().__init__()
        check_minimums("generator", channels=(channels, 2), blocks=(blocks, 1), mapping_layers=(mapping_layers, 1))
        self.image_channels, self.latent_dim = image_channels, 4 * channels
        self.down = nn.Sequential(
            ReflectionPad(3), nn.Conv2d(image_channels, channels, 7), InstanceNorm(channels), nn.ReLU(),
            *downsampling("antialiased", channels, 2 * channels, "instance"),
            *downsampling("antialiased", 2 * channels, 4 * channels, "instance"),
        )  # fmt: skip
        self.time = TimeEmbedding(num_timesteps, channels, self.latent_dim)
        self.mapping = LatentMapping(self.latent_dim, mapping_layers)
        self.blocks = nn.ModuleList(UNSBBlock(4 * channels, 2 * self.latent_dim) for _ in range(blocks))
        self.up = nn.Sequential(
            *upsampling("antialiased", 4 * channels, 2 * channels, "instance"),
            *upsampling("antialiased", 2 * channels, channels, "instance"),
            ReflectionPad(3), nn.Conv2d(channels, image_channels, 7), nn.Tanh(),
        )  # fmt: skip
        # PatchNCE compares the input, both downsamplings, the first and the middle block, as in CUT.
        self.nce_layers = [0, 4, 8, len(self.down), len(self.down) + blocks // 2]
        initialize_weights(self, initialization)
        reset_conditioning(self)

    def forward(self, image: Tensor, step: int, latent: Tensor) -> Tensor:
        x, condition = self.down(image), self.condition(step, latent)
        for block in self.blocks:
            x = block(x, condition)
        generated: Tensor = self.up(x)
        return generated

    def encode(self, image: Tensor, step: int, latent: Tensor, layers: Sequence[int]) -> list[Tensor]:
        """Return the feature maps of the layers with these indices. The indices count the layers of `down`, then the blocks."""
        x, features, condition = image, {}, self.condition(step, latent)
        for index, layer in enumerate([*self.down, *self.blocks][: max(layers) + 1]):
            x = layer(x, condition) if isinstance(layer, UNSBBlock) else layer(x)
            features[index] = x
        return [features[index] for index in layers]

    def condition(self, step: int, latent: Tensor) -> Tensor:
        return torch.cat([self.time(step).expand(len(latent), -1), self.mapping(latent)], dim=1)
