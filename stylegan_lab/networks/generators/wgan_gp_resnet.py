"""WGAN-GP's residual generator for small images (Gulrajani et al., 2017), with conditional batch norm (Miyato & Koyama, 2018)."""

from torch import Tensor, nn

from stylegan_lab.networks.layers.conditioning import ConditionalBatchNorm
from stylegan_lab.networks.layers.initialization import Initialization, initialize_weights
from stylegan_lab.networks.layers.resolutions import downsampling_widths


class WGANGPUpBlock(nn.Module):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm_1, self.norm_2 = ConditionalBatchNorm(channels, classes), ConditionalBatchNorm(channels, classes)
        self.conv_1, self.conv_2 = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.shortcut, self.upsample = nn.Conv2d(channels, channels, 1), nn.Upsample(scale_factor=2)

    def forward(self, x: Tensor, condition: Tensor | None) -> Tensor:
        out = self.conv_1(self.upsample(self.norm_1(x, condition).relu()))
        out = self.conv_2(self.norm_2(out, condition).relu())
        return out + self.upsample(self.shortcut(x))  # same as upsampling first, at a quarter of the cost


class WGANGPResNetGenerator(nn.Module):
    """Has the same number of `channels` at all resolutions. A class selects the scale and shift of the batch norms."""

    def __init__(
        self,
        latent_dim: int = 128,
        image_channels: int = 3,
        classes: int = 0,
        size: int = 32,
        channels: int = 128,
        initialization: Initialization = "he",
    ) -> None:
        super().__init__()
        smallest, widths = downsampling_widths("generator", size, channels, channels)
        self.stem = nn.Sequential(
            nn.Linear(latent_dim, channels * smallest**2), nn.Unflatten(1, (channels, smallest, smallest))
        )
        self.blocks = nn.ModuleList(WGANGPUpBlock(channels, classes) for _ in widths)
        self.head = nn.Sequential(
            nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, image_channels, 3, padding=1), nn.Tanh()
        )
        initialize_weights(self, initialization)

    def forward(self, latents: Tensor, condition: Tensor | None = None) -> Tensor:
        x = self.stem(latents)
        for block in self.blocks:
            x = block(x, condition)
        return self.head(x)
