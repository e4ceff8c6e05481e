"""Inception v3 (Szegedy et al., 2016) as in the TensorFlow graph of 2015-12-05, which FID and the Inception Score use."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet, build_feature_net
from stylegan_lab.networks.features.weights import Weights
from stylegan_lab.suggestions import lookup

POOLED = "pool3"
LAYERS = ("64", "192", "768", POOLED)  # named after their channels, but for the last
CLASSES = 1008
BN_EPS = 0.001


def inception(weights: Weights = "imagenet", last: str = POOLED) -> FeatureExtractor:
    """Build the network up to its layer `last`. Weights of later layers may be missing from the file."""
    return build_feature_net(partial(Inception, last), weights, "inception")


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
        self.bn = nn.BatchNorm2d(out_channels, eps=BN_EPS)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x)).relu()


class InceptionBlock(nn.Module):
    """Concatenates the outputs of a pooling layer and of several branches, each a chain of convolutions.

    Each convolution is given by its channels and kernel size, such as (64, "5x5"). Two kernel sizes, as in "1x3 3x1", stand for
    two parallel convolutions whose outputs are concatenated. A 1x1 convolution to `pool_channels` follows the pooling. Without
    `pool_channels` the block downsamples: the pooling and the last convolution of each branch have a stride of 2.
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
    """Build one of the last two blocks. With `max_pool` it uses max pooling, which the last block of the graph does, unlike the
    paper."""
    single, double = [(384, "1x1"), (384, "1x3 3x1")], [(448, "1x1"), (384, "3x3"), (384, "1x3 3x1")]
    return InceptionBlock(in_channels, 192, max_pool, branch1x1=[(320, "1x1")], branch3x3=single, branch3x3dbl=double)


def stages() -> dict[str, dict[str, Callable[[], nn.Module]]]:
    """Return, for each of LAYERS, the modules between the previous layer and this one, by torchvision's names."""
    dbl, sevens = [(64, "1x1"), (96, "3x3"), (96, "3x3")], [(192, "1x1"), (192, "1x7"), (192, "7x1"), (192, "3x3")]
    pool = partial(nn.MaxPool2d, 3, stride=2)
    return {
        "64": {
            "Conv2d_1a_3x3": partial(InceptionConv, 3, 32, 3, stride=2),
            "Conv2d_2a_3x3": partial(InceptionConv, 32, 32, 3),
            "Conv2d_2b_3x3": partial(InceptionConv, 32, 64, 3, padding=1),
            "MaxPool_1": pool,
        },
        "192": {
            "Conv2d_3b_1x1": partial(InceptionConv, 64, 80, 1),
            "Conv2d_4a_3x3": partial(InceptionConv, 80, 192, 3),
            "MaxPool_2": pool,
        },
        "768": {
            "Mixed_5b": partial(block_a, 192, 32),
            "Mixed_5c": partial(block_a, 256, 64),
            "Mixed_5d": partial(block_a, 288, 64),
            "Mixed_6a": partial(InceptionBlock, 288, branch3x3=[(384, "3x3")], branch3x3dbl=dbl),
            "Mixed_6b": partial(block_c, 128),
            "Mixed_6c": partial(block_c, 160),
            "Mixed_6d": partial(block_c, 160),
            "Mixed_6e": partial(block_c, 192),
        },
        POOLED: {
            "Mixed_7a": partial(InceptionBlock, 768, branch3x3=[(192, "1x1"), (320, "3x3")], branch7x7x3=sevens),
            "Mixed_7b": partial(block_e, 1280, max_pool=False),
            "Mixed_7c": partial(block_e, 2048, max_pool=True),
        },
    }


class Inception(FeatureNet):
    """The network up to its layer `last`, with torchvision's parameter names, as in pytorch-fid's conversion.

    The layer `pool3` is the mean over the last feature map, with 2048 values; the other layers are feature maps. These are the
    layers at which pytorch-fid and torchmetrics compute Fréchet distances.
    """

    def __init__(self, last: str = POOLED) -> None:
        kept = LAYERS[: LAYERS.index(lookup("features.layers", last, dict.fromkeys(LAYERS, last))) + 1]
        super().__init__([], {layer: index for index, layer in enumerate(kept)})
        self.modules_of = {layer: list(modules) for layer, modules in stages().items() if layer in kept}
        for layer in kept:
            for name, build in stages()[layer].items():
                self.add_module(name, build())
        if last == POOLED:
            self.fc = nn.Linear(2048, CLASSES)

    def forward(self, image: Tensor, names: Sequence[str] = (POOLED,)) -> dict[str, Tensor]:
        last = max(lookup("features.layers", name, self.layer_indices) for name in names)
        x, outputs = image, {}
        for layer in LAYERS[: last + 1]:
            for name in self.modules_of[layer]:
                x = self.get_submodule(name)(x)
            outputs[layer] = x.mean((2, 3), keepdim=True) if layer == POOLED else x
        return {name: outputs[name] for name in names}

    def state_from_file(self, tensors: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Accept the weights of TensorFlow's graph too, such as `mixed_4_tower_1_conv_2.weight`, with batch norms folded in.

        The biases of these weights become the biases of batch norms that otherwise leave their input unchanged. The classifier
        after `pool3` keeps torchvision's names, `fc.weight` and `fc.bias`.
        """
        if "conv.weight" not in tensors:
            return tensors
        state = {name: tensors[name] for name in ("fc.weight", "fc.bias") if name in tensors}
        for name, graph_name in tensorflow_names(self).items():
            bias = tensors.get(f"{graph_name}.bias", torch.empty(0))
            neutral = {"weight": torch.ones_like(bias), "running_mean": torch.zeros_like(bias)}
            norm = {"bias": bias, **neutral, "running_var": torch.full_like(bias, 1 - BN_EPS)}
            state |= {f"{name}.bn.{key}": value for key, value in norm.items()}
            if f"{graph_name}.weight" in tensors:
                state[f"{name}.conv.weight"] = tensors[f"{graph_name}.weight"]
        return state


def tensorflow_names(net: Inception) -> dict[str, str]:
    """Return the names that the network's convolutions have in the graph of 2015, without its slashes, keyed by their names in
    the network."""
    children = dict(net.named_children())
    stem = [name for name, child in children.items() if isinstance(child, InceptionConv)]
    names = {name: _numbered("conv", number) for number, name in enumerate(stem)}
    blocks = [(name, child) for name, child in children.items() if isinstance(child, InceptionBlock)]
    for index, (name, block) in enumerate(blocks):
        chains = [[each for step in steps for each in step] for steps in block.branches]
        chains += [["branch_pool"]] if block.branch_pool is not None else []
        towers = 0
        for number, chain in enumerate(chains):
            is_tower = number > 0 or len(chain) > 1
            parent = _numbered("mixed", index) + (f"_{_numbered('tower', towers)}" if is_tower else "")
            towers += is_tower
            names |= {f"{name}.{each}": f"{parent}_{_numbered('conv', place)}" for place, each in enumerate(chain)}
    return names


def _numbered(name: str, number: int) -> str:
    """TensorFlow leaves out the number of the first."""
    return f"{name}_{number}" if number else name
