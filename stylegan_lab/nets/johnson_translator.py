"""The feed-forward style net (Johnson et al., 2016) as it was published: in Torch, and in the TensorFlow form."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.choice import choose
from stylegan_lab.mistake import at_least
from stylegan_lab.nets.blocks import NORMS, Norm
from stylegan_lab.nets.initialisation import Initialisation, initialise
from stylegan_lab.nets.padding import padded

Form = Literal["torch", "tensorflow"]
REACH = 150 / 127.5  # what tanh is multiplied by, in images of [-1, 1]


class Same(nn.Module):
    """A convolution that pads with zeros as TensorFlow does: the odd one goes below and to the right."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv, self.kernel, self.stride = nn.Conv2d(inputs, outputs, kernel, stride), kernel, stride

    def forward(self, x: Tensor) -> Tensor:
        total = [max(0, (-(-n // self.stride) - 1) * self.stride + self.kernel - n) for n in x.shape[-2:]]
        (top, left), (bottom, right) = [n // 2 for n in total], [n - n // 2 for n in total]
        y: Tensor = self.conv(F.pad(x, (left, right, top, bottom)))
        return y


class SameDoubling(nn.Module):
    """The transposed convolution that undoes `Same` of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y[..., :-1, :-1]


class Residual(nn.Module):
    """Convolution, norm, ReLU, convolution, norm; where these are valid, what is added is cut to their size."""

    def __init__(self, first: nn.Module, first_norm: nn.Module, second: nn.Module, second_norm: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(first, first_norm, nn.ReLU(), second, second_norm)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        rows, columns = (x.shape[-2] - y.shape[-2]) // 2, (x.shape[-1] - y.shape[-1]) // 2
        return x[..., rows : x.shape[-2] - rows, columns : x.shape[-1] - columns] + y


class JohnsonTranslator(nn.Module):
    """c9s1-32, d64, d128, `blocks` x R128, u64, u32, c9s1-3. `form` torch: mirrored once at the start, valid convolutions in
    the blocks, tensorflow: zeros around every layer, a norm before the tanh too. Norms have scales and shifts."""

    multiple_of = 4

    def __init__(
        self,
        image_channels: int = 3,
        channels: int = 32,
        blocks: int = 5,
        norm: Norm = "instance",
        form: Form = "torch",
        norm_epsilon: float = 1e-5,
        initialisation: Initialisation = "he",
    ) -> None:
        super().__init__()
        at_least("translator.channels", channels, 1)
        at_least("translator.blocks", blocks, 0)
        choose("norm", norm, NORMS)
        build = choose("translator.form", form, {"torch": self._torch, "tensorflow": self._tensorflow})
        self.margin = 8 * blocks if form == "torch" else 0
        self.at_least = max(16, self.margin + 4) if form == "torch" else 4
        self.norm, self.epsilon = norm, norm_epsilon
        self.layers = nn.Sequential(*build(image_channels, channels, blocks))
        initialise(self, initialisation)

    def forward(self, image: Tensor) -> Tensor:
        wide = padded(image, self.margin, self.margin, "reflect") if self.margin else image
        translated: Tensor = torch.tanh(self.layers(wide)) * REACH
        return translated

    def _torch(self, image_channels: int, c: int, blocks: int) -> list[nn.Module]:
        return [
            nn.Conv2d(image_channels, c, 9, 1, 4), self._norm(c), nn.ReLU(),
            nn.Conv2d(c, 2 * c, 3, 2, 1), self._norm(2 * c), nn.ReLU(),
            nn.Conv2d(2 * c, 4 * c, 3, 2, 1), self._norm(4 * c), nn.ReLU(),
            *(Residual(nn.Conv2d(4 * c, 4 * c, 3), self._norm(4 * c), nn.Conv2d(4 * c, 4 * c, 3), self._norm(4 * c))
              for _ in range(blocks)),
            nn.ConvTranspose2d(4 * c, 2 * c, 3, 2, 1, 1), self._norm(2 * c), nn.ReLU(),
            nn.ConvTranspose2d(2 * c, c, 3, 2, 1, 1), self._norm(c), nn.ReLU(),
            nn.Conv2d(c, image_channels, 9, 1, 4),
        ]  # fmt: skip

    def _tensorflow(self, image_channels: int, c: int, blocks: int) -> list[nn.Module]:
        return [
            Same(image_channels, c, 9), self._norm(c), nn.ReLU(),
            Same(c, 2 * c, 3, 2), self._norm(2 * c), nn.ReLU(),
            Same(2 * c, 4 * c, 3, 2), self._norm(4 * c), nn.ReLU(),
            *(Residual(Same(4 * c, 4 * c, 3), self._norm(4 * c), Same(4 * c, 4 * c, 3), self._norm(4 * c))
              for _ in range(blocks)),
            SameDoubling(4 * c, 2 * c), self._norm(2 * c), nn.ReLU(),
            SameDoubling(2 * c, c), self._norm(c), nn.ReLU(),
            Same(c, image_channels, 9), self._norm(image_channels),
        ]  # fmt: skip

    def _norm(self, channels: int) -> nn.Module:
        if self.norm == "instance":
            return nn.GroupNorm(channels, channels, self.epsilon)
        return nn.BatchNorm2d(channels, self.epsilon) if self.norm == "batch" else nn.Identity()
