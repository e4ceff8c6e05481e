"""Trained weights: from a file, or fetched once from a known place and held against its SHA-256. Never silently random."""

import hashlib
import json
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn

from stylegan_lab.fetch import Expected, cache_folder, digest, fetched
from stylegan_lab.mistake import Mistake

Weights = str  # random, imagenet, or a file's path
TORCHVISION = "https://download.pytorch.org/models"
KNOWN = {  # address and SHA-256
    "vgg16": (
        f"{TORCHVISION}/vgg16-397923af.pth",
        "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    ),
    "vgg19": (
        f"{TORCHVISION}/vgg19-dcbb9e9d.pth",
        "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
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
DTYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read_weights(weights: Weights, known: str) -> dict[str, Tensor]:
    """Parameters by name, from `weights`: imagenet, or a .pth or .safetensors file."""
    path = weights_file(weights, known)
    try:
        return (
            _safetensors(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        raise Mistake(f"{path} cannot be read as weights: {str(error).splitlines()[0]}") from error


def weights_file(weights: Weights, known: str) -> Path:
    path = known_weights(*KNOWN[known]) if weights == "imagenet" else Path(weights).expanduser()
    if not path.is_file():
        raise Mistake(
            f"features.weights={weights}: there is no such file; give imagenet, random (untrained), or a file"
        )
    return path


def sha256_of(weights: Weights, known: str, net: nn.Module) -> str:
    """Of the file that was read; of a net that was not, of its parameters."""
    if weights != "random":
        return digest(weights_file(weights, known))
    return sha256_of_parameters(net)


def sha256_of_parameters(net: nn.Module) -> str:
    hashed = hashlib.sha256()
    for name, value in sorted(net.state_dict().items()):
        hashed.update(name.encode() + value.detach().cpu().numpy().tobytes())
    return hashed.hexdigest()


def known_weights(url: str, sha256: str) -> Path:
    """The file of that address, from the cache folder if it was fetched before."""
    return fetched([url], cache_folder() / url.rsplit("/", 1)[1], Expected(sha256))


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The format is a length, a header of JSON, and the numbers."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, numbers = json.loads(data[8 : 8 + size]), bytearray(data[8 + size :])
    header.pop("__metadata__", None)
    return {
        name: torch.frombuffer(
            numbers, dtype=DTYPES[said["dtype"]], count=prod(said["shape"]), offset=said["data_offsets"][0]
        ).reshape(said["shape"])
        for name, said in header.items()
    }
