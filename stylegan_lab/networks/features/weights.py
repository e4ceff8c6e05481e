"""Pretrained weights of feature networks: read from a file, or downloaded once and verified by SHA-256."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.files.download import ExpectedChecksum, cache_dir, download, file_digest

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


def read_weights(weights: Weights, published_name: str) -> dict[str, Tensor]:
    """Tensors by parameter name, from the published file (`weights` = imagenet) or from a .pth, .safetensors or .npz file. None of
    them can execute code: pickles are restricted to tensors (`weights_only`), or refused (.npz)."""
    path = weights_file(weights, published_name)
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file  # imported here: few runs need it

            return load_file(path)
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                return {name: torch.from_numpy(arrays[name]) for name in arrays.files}
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UserError(f"{path} cannot be read as weights: {str(error).splitlines()[0]}") from error


def weights_file(weights: Weights, published_name: str) -> Path:
    path = published_file(*PUBLISHED_WEIGHTS[published_name]) if weights == "imagenet" else Path(weights).expanduser()
    if not path.is_file():
        raise UserError(
            f"features.weights={weights}: there is no such file; give imagenet, random (untrained), or a file"
        )
    return path


def published_file(url: str, sha256: str) -> Path:
    """The downloaded file, from the cache folder if it is there already."""
    return download([url], cache_dir() / url.rsplit("/", 1)[1], ExpectedChecksum(sha256))


def weights_sha256(weights: Weights, published_name: str, net: nn.Module) -> str:
    """The SHA-256 of the weights file, or of the parameters if they are random."""
    return sha256_of_parameters(net) if weights == "random" else file_digest(weights_file(weights, published_name))


def sha256_of_parameters(net: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return digest.hexdigest()
