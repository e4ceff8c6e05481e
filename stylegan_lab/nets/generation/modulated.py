"""Modulated convolution (StyleGAN2; Karras et al., 2020): a style scales what is read of every input channel."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.nets.blocks import Blur
from stylegan_lab.nets.generation.equalised import EqualisedLinear


class ModulatedConv(nn.Module):
    """Weights as a picture's own style scales them, and for every output channel brought back to unit norm (demodulated).
    Inputs and outputs are scaled instead, which is the same sum, and needs no convolution of its own for each picture.
    `doubles` the side of the map, without aliases."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        style_size: int,
        demodulates: bool = True,
        doubles: bool = False,
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.scale, self.demodulates = 1 / math.sqrt(inputs * side**2), demodulates
        self.read = EqualisedLinear(style_size, inputs, bias=1.0)
        self.blur = Blur(outputs, taps=4, stride=1) if doubles else None

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            before, after = self.scales(style)
        scaled = x * before.to(x.dtype)[:, :, None, None]
        weight = self.weight * self.scale
        if self.blur is None:
            made = F.conv2d(scaled, weight, padding=weight.shape[-1] // 2)
        else:  # a place between four others gets a quarter of what a place of a full map would
            wide = F.conv_transpose2d(scaled, 4 * weight.transpose(0, 1), stride=2)
            made = self.blur(wide)[:, :, :-1, :-1]
        return made if after is None else made * after.to(made.dtype)[:, :, None, None]

    def scales(self, style: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of input channels, and of output channels."""
        before = self.read(style)
        if not self.demodulates:
            return before, None
        before = before / before.detach().abs().amax(dim=1, keepdim=True).clamp_min(
            1e-8
        )  # cancels; half precision needs it
        squares = (self.weight * self.scale).square().sum(dim=(2, 3))
        return before, torch.rsqrt(before.square() @ squares.T + 1e-8)
