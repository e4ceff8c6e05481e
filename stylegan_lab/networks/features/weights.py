"""Pretrained weights of feature networks: read from a file, or downloaded once and verified by SHA-256."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.files.download import ExpectedChecksum, cache_dir, download, file_digest
from stylegan_lab.files.weights_file import read_weights_file

if TYPE_CHECKING:
    from stylegan_lab.networks.features.feature_net import FeatureNet

Weights = str  # random, imagenet, or the path of a file
TORCHVISION = "https://download.pytorch.org/models"
PUBLISHED_WEIGHTS = {  # URL and SHA-256
    "vgg16": (f"{TORCHVISION}/vgg16-397923af.pth", "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0"),
    "vgg19": (f"{TORCHVISION}/vgg19-dcbb9e9d.pth", "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44"),
    "alexnet": (
        f"{TORCHVISION}/alexnet-owt-7be5be79.pth",
        "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    ),
    "squeezenet1_1": (
        f"{TORCHVISION}/squeezenet1_1-b8a52dc0.pth",
        "b8a52dc049b60e4b6ab68ad0df457362afab8b6304b2febdc1650a5dab4d7e7b",
    ),
    "inception": (
        "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    ),
}


def load_weights(net: "FeatureNet", weights: Weights, published_name: str) -> None:
    """Load the published file (`weights` = imagenet) or a .pth, .safetensors or .npz file. Tensors that the network does not have,
    such as a classifier's, are left out."""
    path = weights_file(weights, published_name)
    state = net.state_from_file(read_weights_file(path))
    expected = {name: value for name, value in net.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name, value in expected.items():
        if (shape := _shape(state, name)) != value.shape:
            found = "missing" if shape is None else f"{_format(shape)} instead of {_format(value.shape)}"
            raise UserError(
                "weights.network_mismatch",
                f"{path} does not fit {published_name}: it looks like {looks_like(state)}, and {name} is {found}; give "
                f"weights of {published_name} under torchvision's names",
            )
    net.load_state_dict({name: state[name] for name in expected})


SIGNS = {  # a parameter that tells a network from the others below, and its shape
    "a VGG with batch norm": ("features.1.running_mean", (64,)),
    "squeezenet1_1": ("features.3.squeeze.weight", (16, 64, 1, 1)),
    "squeezenet1_0": ("features.3.squeeze.weight", (16, 96, 1, 1)),
    "inception": ("Mixed_5b.branch1x1.conv.weight", (64, 192, 1, 1)),
    "alexnet": ("features.0.weight", (64, 3, 11, 11)),
    "vgg19": ("features.34.weight", (512, 512, 3, 3)),
    "vgg16": ("features.28.weight", (512, 512, 3, 3)),
    "a ResNet": ("conv1.weight", (64, 3, 7, 7)),
}


def looks_like(state: Mapping[str, Any]) -> str:
    """Guess which network a state dict belongs to. If it is unknown, the first parameter names are returned instead."""
    for network, (name, shape) in SIGNS.items():
        if _shape(state, name) == shape:
            return network
    names = ", ".join(list(map(str, state))[:3])
    return f"another network ({names}, ...)" if names else "an empty file"


def _shape(state: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    return tuple(state[name].shape) if isinstance(state.get(name), Tensor) else None


def _format(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


def weights_file(weights: Weights, published_name: str) -> Path:
    path = published_file(*PUBLISHED_WEIGHTS[published_name]) if weights == "imagenet" else Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            "weights.not_found",
            f"features.weights={weights}: this file does not exist; give imagenet, random (untrained), or a file",
        )
    return path


def published_file(url: str, sha256: str) -> Path:
    """Return the path of the published file in the cache folder. The file is downloaded if it is not there yet."""
    return download([url], cache_dir() / url.rsplit("/", 1)[1], ExpectedChecksum(sha256))


def weights_sha256(weights: Weights, published_name: str, net: nn.Module) -> str:
    """Return the SHA-256 of the weights file, or of the parameters if they are random."""
    return sha256_of_parameters(net) if weights == "random" else file_digest(weights_file(weights, published_name))


def sha256_of_parameters(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
