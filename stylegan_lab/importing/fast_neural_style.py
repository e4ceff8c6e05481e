"""Fast style transfer networks (Johnson et al., 2016), as in PyTorch's examples and the code derived from them."""

import re
from typing import Any

import torch

from stylegan_lab.importing.convolutions import decide_norm, move_weights, read_convolution
from stylegan_lab.importing.imported import ImportedGenerator, ImportOptions, Tensors, check_all_used, take
from stylegan_lab.networks.generators.fast_neural_style import FastNeuralStyleGenerator

ARCHITECTURE = "a fast style transfer network (Johnson)"
BLOCK = re.compile(r"res(\d+)\.conv1\..*")


def matches(tensors: Tensors) -> bool:
    return "conv1.conv2d.weight" in tensors and any(map(BLOCK.fullmatch, tensors))


def read(tensors: Tensors, options: ImportOptions) -> ImportedGenerator:
    used: set[str] = set()
    blocks = sorted({int(match[1]) for name in tensors if (match := BLOCK.fullmatch(name))})
    imagenet = (
        "up1.conv2d.conv2d.weight" in tensors
    )  # this one normalizes its images with ImageNet's mean and deviation
    up, inner = ("up", ".conv2d.conv2d") if imagenet else ("deconv", ".conv2d")
    names = [
        *((f"conv{k}.conv2d", f"in{k}") for k in (1, 2, 3)),
        *((f"res{block}.conv{k}.conv2d", f"res{block}.in{k}") for block in blocks for k in (1, 2)),
        *((f"{up}{k}{inner}", f"in{k + 3}") for k in (1, 2)),
    ]
    layers = [read_convolution(tensors, conv, norm, used) for conv, norm in names]
    last = read_convolution(tensors, f"{up}3.conv2d", None, used)
    norm, notes = decide_norm(layers, options)
    if norm == "batch" and options.norm is None:  # they are named in1, in2, ...: instance norms of torch before 0.4
        norm = "instance_affine"
        notes.append("the running statistics of its instance norms are left out, as its own code does")
    check_all_used(tensors, used, ARCHITECTURE)
    channels, image_channels, *_ = take(tensors, "conv1.conv2d.weight").shape
    settings: dict[str, Any] = {
        "channels": channels,
        "blocks": len(blocks),
        "norm": norm,
        "pixel_range": "imagenet" if imagenet else "bytes",
    }
    with torch.device("meta"):
        network = FastNeuralStyleGenerator(image_channels=image_channels, **settings)
    facts = {
        "channels": channels,
        "blocks": len(blocks),
        "norm": norm,
        "pixels": "ImageNet's mean and deviation" if imagenet else "0 to 255",
        "image channels": image_channels,
        "image size": "any (multiples of 4; others are padded)",
    }
    return ImportedGenerator(
        "fast style transfer",
        "johnson",
        "fast_neural_style",
        settings,
        move_weights([*layers, last], network),
        facts,
        notes,
        [f"data.channels={image_channels}"],
    )
