"""R3GAN generators (Huang et al., 2024), with the parameter names of the authors' code."""

import re

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.importing.imported import (
    ImportedGenerator,
    ImportOptions,
    Tensors,
    check_all_used,
    check_filter,
    shape_text,
    take,
)
from stylegan_lab.importing.stylegan2 import generative_overrides

ARCHITECTURE = "an R3GAN generator"
LAYER = re.compile(r"MainLayers\.(\d+)\.Layers\.(\d+)\..*")
BASIS = "MainLayers.0.Layers.0.Basis"
FILTERS = {3: (1.0, 2.0, 1.0), 4: (1.0, 3.0, 3.0, 1.0), 6: (1.0, 5.0, 10.0, 10.0, 5.0, 1.0)}  # by their length
PUBLISHED_FILTER = FILTERS[4]


def matches(tensors: Tensors) -> bool:
    return BASIS in tensors and "AggregationLayer.Layer.weight" in tensors


def read(tensors: Tensors, options: ImportOptions) -> ImportedGenerator:
    options.check_unused()
    positions = [(int(match[1]), int(match[2])) for name in tensors if (match := LAYER.fullmatch(name))]
    stages = 1 + max(stage for stage, _ in positions)
    block_counts = [max(layer for each, layer in positions if each == stage) for stage in range(stages)]
    if len(set(block_counts)) > 1:
        raise UserError(
            "import.unsupported_layers",
            f"the stages have {', '.join(map(str, block_counts))} blocks; each stage must have the same number",
        )
    blocks, size = block_counts[0], 4 * 2 ** (stages - 1)
    widths = [_first(tensors, stage, "LinearLayer1").shape[1] for stage in range(stages)]
    channels, max_channels = widths[-1], max(widths)
    doubled = [min(channels * 2**level, max_channels) for level in reversed(range(stages))]
    if widths != doubled:
        found, expected = (", ".join(map(str, each)) for each in (widths, doubled))
        raise UserError("import.unsupported_layers", f"the stages have {found} channels; {expected} are expected")
    first = _first(tensors, 0, "LinearLayer1")
    expansion = first.shape[0] // first.shape[1]
    group_sizes = {_first(tensors, stage, "LinearLayer2").shape[1] for stage in range(stages)}
    if len(group_sizes) > 1:
        sizes = ", ".join(map(str, sorted(group_sizes)))
        raise UserError(
            "import.unsupported_layers",
            f"the convolutions have groups of {sizes} channels; all must have the same size",
        )
    group_size = group_sizes.pop()
    classes, embedding_dim = 0, 64
    if "EmbeddingLayer.weight" in tensors:
        embedding_dim, classes = tensors["EmbeddingLayer.weight"].shape
    basis_weight = take(tensors, "MainLayers.0.Layers.0.LinearLayer.weight")
    latent_dim = basis_weight.shape[1] - (embedding_dim if classes else 0)
    image_channels = take(tensors, "AggregationLayer.Layer.weight").shape[0]
    weights, used = _move(tensors, widths, blocks, expansion, group_size, image_channels)
    taps = _filter(tensors, used)
    check_all_used(tensors, used, ARCHITECTURE)
    settings = {
        "size": size,
        "channels": channels,
        "max_channels": max_channels,
        "blocks": blocks,
        "group_size": group_size,
        "expansion": expansion,
        "embedding_dim": embedding_dim,
        "resampling_filter": list(taps),
    }
    facts = {
        "image size": f"{size} px",
        "image channels": image_channels,
        "channels": ", ".join(map(str, widths)),
        "blocks": f"{blocks} per resolution",
        "latents": latent_dim,
        "classes": classes or "none",
    }
    same = ("channels", "max_channels", "blocks", "group_size", "expansion")
    overrides = [
        *generative_overrides(size, image_channels, latent_dim, classes),
        *(f"discriminator.{name}={settings[name]}" for name in same),
    ]
    return ImportedGenerator(f"R3GAN {size} px", "r3gan", "r3gan", settings, weights, facts, [], overrides)


def _first(tensors: Tensors, stage: int, layer: str) -> Tensor:
    return take(tensors, f"MainLayers.{stage}.Layers.1.{layer}.Layer.weight")


def _filter(tensors: Tensors, used: set[str]) -> tuple[float, ...]:
    """The taps of the upsampling filter, which the file has as buffers."""
    taps = PUBLISHED_FILTER
    for name, tensor in tensors.items():
        if name.endswith(".Resampler.Kernel"):
            if tensor.shape[-1] not in FILTERS:
                raise UserError(
                    "import.unknown_filter",
                    f"{name} is {shape_text(tensor)}; a filter must have 3, 4 or 6 taps",
                )
            taps = FILTERS[tensor.shape[-1]]
            check_filter(name, tensor, taps)
            used.add(name)
    return taps


def _move(
    tensors: Tensors, widths: list[int], blocks: int, expansion: int, group_size: int, image_channels: int
) -> tuple[dict[str, Tensor], set[str]]:
    """The weights by our names, and the names that they had."""
    weights: dict[str, Tensor] = {}
    used: set[str] = set()

    def move(own: str, source: str, *shape: int) -> None:
        weights[own] = take(tensors, source, shape)
        used.add(source)

    embedding = tensors.get("EmbeddingLayer.weight")
    if embedding is not None:
        move("embedding.embedding.weight", "EmbeddingLayer.weight", *embedding.shape)
    basis_inputs = tensors["MainLayers.0.Layers.0.LinearLayer.weight"].shape[1]
    move("basis", BASIS, widths[0], 4, 4)
    move("linear.weight", "MainLayers.0.Layers.0.LinearLayer.weight", widths[0], basis_inputs)
    own = 0  # the position in our sequence: a resampler, a 1x1 convolution where the width changes, the blocks
    for stage, width in enumerate(widths):
        if stage > 0:
            own += 1
            if width != widths[stage - 1]:
                name = f"MainLayers.{stage}.Layers.0.LinearLayer.Layer.weight"
                move(f"stages.{own}.weight", name, width, widths[stage - 1], 1, 1)
                own += 1
        expanded = width * expansion
        for block in range(1, blocks + 1):
            source = f"MainLayers.{stage}.Layers.{block}"
            move(f"stages.{own}.conv_1.weight", f"{source}.LinearLayer1.Layer.weight", expanded, width, 1, 1)
            grouped = (expanded, min(group_size, expanded), 3, 3)
            move(f"stages.{own}.conv_2.weight", f"{source}.LinearLayer2.Layer.weight", *grouped)
            move(f"stages.{own}.conv_3.weight", f"{source}.LinearLayer3.Layer.weight", width, expanded, 1, 1)
            for k in (1, 2):
                move(f"stages.{own}.activation_{k}.bias", f"{source}.NonLinearity{k}.Bias", expanded)
            own += 1
    move("to_rgb.weight", "AggregationLayer.Layer.weight", image_channels, widths[-1], 1, 1)
    weights["to_rgb.bias"] = torch.zeros(image_channels)
    return weights, used
