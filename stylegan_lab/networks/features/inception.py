"""Inception v3 (Szegedy et al., 2016) as in the TensorFlow graph of 2015-12-05, which FID and the Inception Score use."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet, build_feature_net
from stylegan_lab.networks.features.weights import Weights
from stylegan_lab.suggestions import lookup

POOLED = "pool3"
CLASSES = 1008


def inception(weights: Weights = "imagenet") -> FeatureExtractor:
    return build_feature_net(Inception, weights, "inception")


class InceptionConv(nn.Module):
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class InceptionBlock(nn.Module):
    """Concatenates a pool and branches, which are chains of convolutions, given by their channels and kernel size.

    Two kernel sizes fork the end of a branch. A 1x1 convolution to `pool_channels` follows the pool; without it the block
    downsamples, and the last convolutions and the pool have a stride of 2.
    """

    def __init__(
        self, in_channels: int, pool_channels: int = 0, max_pool: bool = False, **branches: list[tuple[int, str]]
    ) -> None:
        super().__init__()
        self.max_pool, self.branches = max_pool, []
        for branch, convs in branches.items():
            steps, channels = [], in_channels
            for number, (width, kernels) in enumerate(convs, start=1):
                stride = 2 if number == len(convs) and not pool_channels else 1
                forks = "ab" if " " in kernels else [""]
                names = [f"{branch}_{number}{fork}" if len(convs) > 1 else branch for fork in forks]
                for name, kernel in zip(names, kernels.split(), strict=True):
                    rows, columns = map(int, kernel.split("x"))
                    padding = (rows // 2, columns // 2) if stride == 1 else 0
                    self.add_module(name, InceptionConv(channels, width, (rows, columns), stride, padding))
                steps.append(names)
                channels = width
            self.branches.append(steps)
        self.branch_pool = InceptionConv(in_channels, pool_channels, 1) if pool_channels else None

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for steps in self.branches:
            branch = [x]
            for names in steps:
                branch = [self.get_submodule(name)(branch[0]) for name in names]
            outputs += branch
        if self.branch_pool is None:
            pooled = F.max_pool2d(x, 3, stride=2)
        elif self.max_pool:
            pooled = self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))
        else:  # TensorFlow leaves the padding out of the average
            pooled = self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))
        return torch.cat([*outputs, pooled], dim=1)


def block_a(in_channels: int, pool_channels: int) -> InceptionBlock:
    fives, threes = [(48, "1x1"), (64, "5x5")], [(64, "1x1"), (96, "3x3"), (96, "3x3")]
    return InceptionBlock(in_channels, pool_channels, branch1x1=[(64, "1x1")], branch5x5=fives, branch3x3dbl=threes)


def block_c(width: int) -> InceptionBlock:
    single = [(width, "1x1"), (width, "1x7"), (192, "7x1")]
    double = [(width, "1x1"), (width, "7x1"), (width, "1x7"), (width, "7x1"), (192, "1x7")]
    return InceptionBlock(768, 192, branch1x1=[(192, "1x1")], branch7x7=single, branch7x7dbl=double)


def block_e(in_channels: int, max_pool: bool) -> InceptionBlock:
    """The graph's last block pools by the maximum, unlike the paper."""
    single, double = [(384, "1x1"), (384, "1x3 3x1")], [(448, "1x1"), (384, "3x3"), (384, "1x3 3x1")]
    return InceptionBlock(in_channels, 192, max_pool, branch1x1=[(320, "1x1")], branch3x3=single, branch3x3dbl=double)


class Inception(FeatureNet):
    """The network with torchvision's parameter names, as in pytorch-fid's conversion. Its only layer is the mean over the last
    feature map, with 2048 values."""

    def __init__(self) -> None:
        super().__init__([], {POOLED: 0})
        self.Conv2d_1a_3x3 = InceptionConv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = InceptionConv(32, 32, 3)
        self.Conv2d_2b_3x3 = InceptionConv(32, 64, 3, padding=1)
        self.Conv2d_3b_1x1 = InceptionConv(64, 80, 1)
        self.Conv2d_4a_3x3 = InceptionConv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = block_a(192, 32), block_a(256, 64), block_a(288, 64)
        threes = [(64, "1x1"), (96, "3x3"), (96, "3x3")]
        self.Mixed_6a = InceptionBlock(288, branch3x3=[(384, "3x3")], branch3x3dbl=threes)
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = map(block_c, (128, 160, 160, 192))
        threes, sevens = [(192, "1x1"), (320, "3x3")], [(192, "1x1"), (192, "1x7"), (192, "7x1"), (192, "3x3")]
        self.Mixed_7a = InceptionBlock(768, branch3x3=threes, branch7x7x3=sevens)
        self.Mixed_7b, self.Mixed_7c = block_e(1280, max_pool=False), block_e(2048, max_pool=True)
        self.fc = nn.Linear(2048, CLASSES)

    def forward(self, image: Tensor, names: Sequence[str] = (POOLED,)) -> dict[str, Tensor]:
        for name in names:
            lookup("features.layers", name, self.layer_indices)
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(image)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, stride=2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))
        return {POOLED: x.mean((2, 3), keepdim=True)}
