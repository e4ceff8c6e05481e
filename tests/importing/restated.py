"""The published architectures, restated in plain torch from their papers and layer lists, to compare imports with."""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

INSTANCE = "instance"
AFFINE = "affine"
BATCH = "batch"


def norm_of(kind: str, channels: int) -> nn.Module:
    kinds: dict[str, Any] = {
        "instance": lambda: nn.InstanceNorm2d(channels),
        "tracked": lambda: nn.InstanceNorm2d(channels, track_running_stats=True),
        "affine": lambda: nn.InstanceNorm2d(channels, affine=True),
        "batch": lambda: nn.BatchNorm2d(channels),
        "batch_plain": lambda: nn.BatchNorm2d(channels, affine=False),
        "none": nn.Identity,
    }
    return kinds[kind]()


class Residual(nn.Module):
    """x plus the layers of `name`, in which names of torch tensors are then found."""

    def __init__(self, name: str, layers: nn.Module) -> None:
        super().__init__()
        self.name = name
        setattr(self, name, layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + getattr(self, self.name)(x)


def binomial(taps: list[float], channels: int, gain: float) -> Tensor:
    row = torch.tensor(taps) / sum(taps)
    return (gain * torch.outer(row, row)).expand(channels, 1, -1, -1).clone()


class FilterDown(nn.Module):
    """CUT's antialiasing: blur with 1 2 1 after reflection, keep every second pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial([1, 2, 1], channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        blurred = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, groups=x.shape[1])
        return blurred[..., ::2, ::2]


class FilterUp(nn.Module):
    """CUT's antialiased upsampling: zeros between pixels whose edges were repeated once, blurred with 1 3 3 1."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", binomial([1, 3, 3, 1], channels, 4))

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        x = F.pad(x, (1, 1, 1, 1), mode="replicate")
        zeros = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        zeros[..., ::2, ::2] = x
        full = F.conv2d(F.pad(zeros, (3, 3, 3, 3)), self.filt, groups=x.shape[1])  # from position -3
        return full[..., 3:, 3:][..., : 2 * height, : 2 * width]


class ResNet(nn.Module):
    """The reference ResNet generator and its re-implementations, as one sequence called `model`."""

    def __init__(
        self,
        channels: int = 4,
        blocks: int = 2,
        norm: str = "instance",
        inner: str = "conv_block",
        dropout: bool = False,
        down: str = "strided",
        up: str = "transposed",
        padding: str = "reflect",
        bias: bool | None = None,
        in_channels: int = 3,
        out_channels: int = 3,
        levels: int = 2,
    ) -> None:
        super().__init__()
        bias = (norm not in ("batch", "none")) if bias is None else bias
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(in_channels, channels, 7, bias=bias)]
        layers += [norm_of(norm, channels), nn.ReLU()]
        c = channels
        for _ in range(levels):
            stride = 1 if down == "antialiased" else 2
            layers += [nn.Conv2d(c, 2 * c, 3, stride, 1, bias=bias), norm_of(norm, 2 * c), nn.ReLU()]
            layers += [FilterDown(2 * c)] if down == "antialiased" else []
            c *= 2
        for _ in range(blocks):
            half: list[list[nn.Module]] = []
            for _ in range(2):
                pad: list[nn.Module] = [nn.ReflectionPad2d(1)] if padding == "reflect" else []
                conv = nn.Conv2d(c, c, 3, padding=0 if pad else 1, bias=bias)
                half.append([*pad, conv, norm_of(norm, c)])
            middle: list[nn.Module] = [nn.ReLU(), *([nn.Dropout(0.5)] if dropout else [])]
            layers.append(Residual(inner, nn.Sequential(*half[0], *middle, *half[1])))
        for _ in range(levels):
            layers += {
                "transposed": lambda c=c: [nn.ConvTranspose2d(c, c // 2, 3, 2, 1, 1, bias=bias)],
                "nearest": lambda c=c: [nn.Upsample(scale_factor=2), nn.Conv2d(c, c // 2, 3, 1, 1, bias=bias)],
                "resize": lambda c=c: [
                    nn.Upsample(scale_factor=2),
                    nn.ReflectionPad2d(1),
                    nn.Conv2d(c, c // 2, 3, bias=bias),
                ],
                "antialiased": lambda c=c: [FilterUp(c), nn.Conv2d(c, c // 2, 3, 1, 1, bias=bias)],
            }[up]()
            c //= 2
            layers += [norm_of(norm, c), nn.ReLU()]
        layers += [nn.ReflectionPad2d(3), nn.Conv2d(c, out_channels, 7), nn.Tanh()]
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class ConvBlock(nn.Module):
    def __init__(self, conv: nn.Module, channels: int, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Sequential(conv, nn.InstanceNorm2d(channels), nn.ReLU() if relu else nn.Identity())

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class ResNetInParts(nn.Module):
    """A re-implementation with named parts, whose convolutions all pad by reflection."""

    def __init__(self, channels: int = 4, blocks: int = 2) -> None:
        super().__init__()
        c = channels

        def conv(a: int, b: int, kernel: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(a, b, kernel, stride, kernel // 2, padding_mode="reflect")

        self.initial = nn.Sequential(conv(3, c, 7), nn.InstanceNorm2d(c), nn.ReLU())
        self.down_blocks = nn.ModuleList(ConvBlock(conv(c * k, 2 * c * k, 3, 2), 2 * c * k) for k in (1, 2))
        self.res_blocks = nn.Sequential(
            *(
                Residual(
                    "block", nn.Sequential(*(ConvBlock(conv(4 * c, 4 * c, 3), 4 * c, relu) for relu in (True, False)))
                )
                for _ in range(blocks)
            )
        )
        self.up_blocks = nn.ModuleList(
            ConvBlock(nn.ConvTranspose2d(2 * c * k, c * k, 3, 2, 1, 1), c * k) for k in (2, 1)
        )
        self.last = conv(c, 3, 7)

    def forward(self, x: Tensor) -> Tensor:
        x = self.initial(x)
        for layer in [*self.down_blocks, *self.res_blocks, *self.up_blocks]:
            x = layer(x)
        return torch.tanh(self.last(x))


class UNetLevel(nn.Module):
    def __init__(self, layers: list[nn.Module], outermost: bool) -> None:
        super().__init__()
        self.model, self.outermost = nn.Sequential(*layers), outermost

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


class UNet(nn.Module):
    """The reference U-Net: levels inside of levels, all called `model`."""

    def __init__(
        self, downs: int = 5, channels: int = 2, norm: str = "batch", in_channels: int = 3, out_channels: int = 3
    ) -> None:
        super().__init__()
        bias = norm not in ("batch", "none")
        widths = [channels * min(8, 2**level) for level in range(downs)]
        a, b = widths[-2:]
        level = UNetLevel(
            [nn.LeakyReLU(0.2), nn.Conv2d(a, b, 4, 2, 1, bias=bias), nn.ReLU(),
             nn.ConvTranspose2d(b, a, 4, 2, 1, bias=bias), norm_of(norm, a)], False,
        )  # fmt: skip
        for a, b in zip(widths[-3::-1], widths[-2:0:-1], strict=True):
            dropout = [nn.Dropout(0.5)] if a == b else []
            level = UNetLevel(
                [nn.LeakyReLU(0.2), nn.Conv2d(a, b, 4, 2, 1, bias=bias), norm_of(norm, b), level, nn.ReLU(),
                 nn.ConvTranspose2d(2 * b, a, 4, 2, 1, bias=bias), norm_of(norm, a), *dropout], False,
            )  # fmt: skip
        c = channels
        self.model = UNetLevel(
            [nn.Conv2d(in_channels, c, 4, 2, 1, bias=bias), level, nn.ReLU(),
             nn.ConvTranspose2d(2 * c, out_channels, 4, 2, 1), nn.Tanh()], True,
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class PaddedConv(nn.Module):
    def __init__(self, a: int, b: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv2d = nn.Conv2d(a, b, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(F.pad(x, [self.conv2d.kernel_size[0] // 2] * 4, mode="reflect"))


class Wrapped(nn.Module):
    """A second level of names."""

    def __init__(self, conv2d: nn.Module) -> None:
        super().__init__()
        self.conv2d = conv2d

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2d(x)


class FastStyleBlock(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.in1 = PaddedConv(c, c, 3), nn.InstanceNorm2d(c, affine=True)
        self.conv2, self.in2 = PaddedConv(c, c, 3), nn.InstanceNorm2d(c, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.in2(self.conv2(self.in1(self.conv1(x)).relu())) + x


class FastStyle(nn.Module):
    """The style network of PyTorch's examples; with `up` the names of a descendant. Its pixels are its own."""

    def __init__(self, c: int = 4, blocks: int = 3, up: bool = False) -> None:
        super().__init__()
        self.blocks, self.up = blocks, up
        for k, (a, b, kernel, stride) in enumerate([(3, c, 9, 1), (c, 2 * c, 3, 2), (2 * c, 4 * c, 3, 2)], 1):
            setattr(self, f"conv{k}", PaddedConv(a, b, kernel, stride))
            setattr(self, f"in{k}", nn.InstanceNorm2d(b, affine=True))
        for k in range(1, blocks + 1):
            setattr(self, f"res{k}", FastStyleBlock(4 * c))
        name = "up" if up else "deconv"
        for k, (a, b) in enumerate([(4 * c, 2 * c), (2 * c, c)], 1):
            conv = PaddedConv(a, b, 3)
            setattr(self, f"{name}{k}", Wrapped(conv) if up else conv)
            setattr(self, f"in{k + 3}", nn.InstanceNorm2d(b, affine=True))
        setattr(self, f"{name}3", PaddedConv(c, 3, 9))

    def forward(self, x: Tensor) -> Tensor:
        for k in (1, 2, 3):
            x = getattr(self, f"in{k}")(getattr(self, f"conv{k}")(x)).relu()
        for k in range(1, self.blocks + 1):
            x = getattr(self, f"res{k}")(x)
        name = "up" if self.up else "deconv"
        for k in (1, 2):
            x = x.repeat_interleave(2, 2).repeat_interleave(2, 3)
            x = getattr(self, f"in{k + 3}")(getattr(self, f"{name}{k}")(x)).relu()
        return getattr(self, f"{name}3")(x)


def randomize(net: nn.Module, seed: int = 0) -> nn.Module:
    """Give every tensor values that no initialization has, so that a lost or swapped one is seen."""
    rng = torch.Generator().manual_seed(seed)
    for name, tensor in net.state_dict().items():
        if tensor.is_floating_point() and not name.endswith(("filt", "filter", "Kernel")):
            noise = torch.randn(tensor.shape, generator=rng)
            noise = 100 * noise if ".fc" in name else noise  # their learning rate is 0.01
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 1
            if name.endswith("running_var"):
                tensor.copy_(0.5 + noise.abs())
            else:
                tensor.copy_(noise / fan_in**0.5 if tensor.ndim > 1 else 0.3 * noise + name.endswith("weight"))
    return net.eval()


def mean_square_1(x: Tensor) -> Tensor:
    return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()


class Dense(nn.Module):
    def __init__(self, a: int, b: int, rate: float = 1.0) -> None:
        super().__init__()
        self.weight, self.bias, self.rate = nn.Parameter(torch.zeros(b, a)), nn.Parameter(torch.zeros(b)), rate

    def forward(self, x: Tensor) -> Tensor:
        return x @ (self.weight * self.rate / self.weight.shape[1] ** 0.5).T + self.bias * self.rate


class Filtered(nn.Module):
    """The filter 1 3 3 1 as a buffer, as every upsampling layer of StyleGAN2 has it."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("resample_filter", binomial([1, 3, 3, 1], 1, 1)[0, 0])

    def upsampled(self, x: Tensor) -> Tensor:
        """Zeros between and around the pixels, then the filter."""
        zeros = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        zeros[..., ::2, ::2] = x
        channels = x.shape[1]
        kernel = 4 * self.resample_filter.expand(channels, 1, 4, 4)
        return F.conv2d(F.pad(zeros, (2, 1, 2, 1)), kernel, groups=channels)


class StyledConv(Filtered):
    """A convolution whose weights are computed for each image from its style; upsamples first if `up`."""

    def __init__(self, a: int, b: int, w: int, resolution: int, up: bool) -> None:
        super().__init__()
        self.affine, self.weight = Dense(w, a), nn.Parameter(torch.zeros(b, a, 3, 3))
        self.noise_strength, self.bias = nn.Parameter(torch.zeros(())), nn.Parameter(torch.zeros(b))
        self.register_buffer("noise_const", torch.zeros(resolution, resolution))
        self.up = up

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        weight = self.weight * self.affine(style)[:, None, :, None, None]
        weight = weight / (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
        images = []
        for image, kernel in zip(x.split(1), weight, strict=True):
            if self.up:  # the transposed convolution, then the filter on its output, with zeros around both
                wide = F.conv_transpose2d(image, kernel.transpose(0, 1), stride=2)
                taps = 4 * self.resample_filter.expand(len(kernel), 1, 4, 4)
                images.append(F.conv2d(wide, taps, padding=1, groups=len(kernel)))
            else:
                images.append(F.conv2d(image, kernel, padding=1))
        out = torch.cat(images) + self.noise_const * self.noise_strength + self.bias[:, None, None]
        return F.leaky_relu(out, 0.2) * 2**0.5


class StyledRGB(nn.Module):
    def __init__(self, a: int, colors: int, w: int) -> None:
        super().__init__()
        self.affine, self.weight = Dense(w, a), nn.Parameter(torch.zeros(colors, a, 1, 1))
        self.bias = nn.Parameter(torch.zeros(colors))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        modulated = x * (self.affine(style) / x.shape[1] ** 0.5)[:, :, None, None]
        return F.conv2d(modulated, self.weight, self.bias)


class SkipConv(Filtered):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(b, a, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(self.upsampled(x), self.weight / x.shape[1] ** 0.5)


class StyledBlock(Filtered):
    def __init__(self, a: int, b: int, w: int, resolution: int, colors: int, kind: str, is_last: bool) -> None:
        super().__init__()
        if resolution == 4:
            self.const = nn.Parameter(torch.zeros(b, 4, 4))
        else:
            self.conv0 = StyledConv(a, b, w, resolution, up=True)
        self.conv1 = StyledConv(b, b, w, resolution, up=False)
        if is_last or kind == "skip":
            self.torgb = StyledRGB(b, colors, w)
        if kind == "resnet" and resolution > 4:
            self.skip = SkipConv(a, b)


class StyleGAN2(nn.Module):
    """stylegan2-ada's generator: mapping.fc0, ..., synthesis.b4, b8, ..., with its constant noise."""

    def __init__(
        self, size: int = 16, z: int = 6, w: int = 8, classes: int = 0, kind: str = "skip", colors: int = 3
    ) -> None:
        super().__init__()
        self.kind, self.classes, self.layers = kind, classes, 3
        self.mapping, self.synthesis = nn.Module(), nn.Module()
        if classes:
            self.mapping.embed = Dense(classes, w)
        for index in range(self.layers):
            first = z + (w if classes else 0)
            setattr(self.mapping, f"fc{index}", Dense(w if index else first, w, rate=0.01))
        self.mapping.register_buffer("w_avg", torch.zeros(w))
        self.sizes = [4 * 2**k for k in range(size.bit_length() - 2)]
        width = {each: min(6, 48 // each) for each in self.sizes}
        for each in self.sizes:
            block = StyledBlock(width.get(each // 2, 0), width[each], w, each, colors, kind, each == size)
            setattr(self.synthesis, f"b{each}", block)

    def style(self, z: Tensor, label: Tensor | None) -> Tensor:
        x = mean_square_1(z)
        if label is not None:
            x = torch.cat([x, mean_square_1(self.mapping.embed(label))], 1)
        for index in range(self.layers):
            x = F.leaky_relu(getattr(self.mapping, f"fc{index}")(x), 0.2) * 2**0.5
        return x

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        style, x, image = self.style(z, label), None, None
        for each in self.sizes:
            block = getattr(self.synthesis, f"b{each}")
            if x is None:
                x = block.conv1(block.const.expand(len(z), -1, -1, -1), style)
            else:
                y = block.conv1(block.conv0(x, style), style)
                x = (block.skip(x) + y) / 2**0.5 if self.kind == "resnet" else y
            image = block.upsampled(image) if image is not None else None
            if hasattr(block, "torgb"):
                rgb = block.torgb(x, style)
                image = rgb if image is None else image + rgb
        return image


class Layered(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.Layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.Layer(x)


class R3Bias(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.Bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x + self.Bias[:, None, None], 0.2)


class R3Block(nn.Module):
    def __init__(self, c: int, groups: int) -> None:
        super().__init__()
        self.LinearLayer1 = Layered(nn.Conv2d(c, 2 * c, 1, bias=False))
        self.LinearLayer2 = Layered(nn.Conv2d(2 * c, 2 * c, 3, padding=1, groups=groups, bias=False))
        self.LinearLayer3 = Layered(nn.Conv2d(2 * c, c, 1, bias=False))
        self.NonLinearity1, self.NonLinearity2 = R3Bias(2 * c), R3Bias(2 * c)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.LinearLayer3(self.NonLinearity2(self.LinearLayer2(self.NonLinearity1(self.LinearLayer1(x)))))


class R3Basis(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.Basis, self.LinearLayer = nn.Parameter(torch.zeros(b, 4, 4)), nn.Linear(a, b, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.LinearLayer(x)[:, :, None, None] * self.Basis


class R3Up(nn.Module):
    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.Resampler = nn.Module()
        self.Resampler.register_buffer("Kernel", binomial([1, 3, 3, 1], 1, 1)[0, 0])
        if a != b:
            self.LinearLayer = Layered(nn.Conv2d(a, b, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = self.LinearLayer(x) if hasattr(self, "LinearLayer") else x
        count, channels, height, width = x.shape
        kernel = 4 * self.Resampler.Kernel[None, None]
        up = F.conv_transpose2d(x.reshape(-1, 1, height, width), kernel, stride=2, padding=1)
        return up.reshape(count, channels, 2 * height, 2 * width)


class R3Stage(nn.Module):
    def __init__(self, first: nn.Module, c: int, blocks: int, groups: int) -> None:
        super().__init__()
        self.Layers = nn.ModuleList([first, *(R3Block(c, groups) for _ in range(blocks))])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.Layers:
            x = layer(x)
        return x


class R3GAN(nn.Module):
    """R3GAN's generator by the authors' names."""

    def __init__(self, z: int = 5, classes: int = 0, widths: tuple[int, ...] = (8, 8, 4), blocks: int = 2) -> None:
        super().__init__()
        inputs = z + (3 if classes else 0)
        firsts = [R3Basis(inputs, widths[0]), *(R3Up(a, b) for a, b in pairwise(widths))]
        self.MainLayers = nn.ModuleList(
            R3Stage(first, c, blocks, 2 * c // 4) for first, c in zip(firsts, widths, strict=True)
        )
        self.AggregationLayer = Layered(nn.Conv2d(widths[-1], 3, 1, bias=False))
        if classes:
            self.EmbeddingLayer = nn.Linear(classes, 3, bias=False)

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = z if label is None else torch.cat([z, self.EmbeddingLayer(label)], 1)
        for layer in self.MainLayers:
            x = layer(x)
        return self.AggregationLayer(x)
