"""CycleGAN's ResNet generator, as in the reference code (CycleGAN, pix2pix, CUT) and in common re-implementations."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.importing.convolutions import ConvolutionWeights, decide_norm, move_weights, read_convolution
from stylegan_lab.importing.imported import (
    ImportedGenerator,
    ImportOptions,
    Tensors,
    check_all_used,
    check_filter,
    shape_text,
)
from stylegan_lab.networks.generators.resnet import ResNetGenerator

ARCHITECTURE = "a ResNet generator (CycleGAN)"
IN_SEQUENCE = re.compile(r"(?P<prefix>(?:[A-Za-z_]\w*\.)*?)(?P<index>\d+)\.(?P<rest>.+)")
IN_BLOCK = re.compile(r"(?P<inner>(?:\w+\.)*?)(?P<index>\d+)\.(?P<kind>\w+)")
# Positions of a block's two convolutions, by which its padding and dropout are known: padding, dropout, norm layers.
BLOCK_LAYOUTS = {
    (1, 5): ("reflect", False, True),
    (1, 6): ("reflect", True, True),
    (0, 3): ("zero", False, True),
    (0, 4): ("zero", True, True),
    (1, 4): ("reflect", False, False),
    (0, 2): ("zero", False, False),
}
SEPARATE_PARTS = re.compile(r"(initial\.|down_blocks\.|res_blocks\.|residual_blocks\.|up_blocks\.|last\.).*")


@dataclass
class Layers:
    """The convolutions of each part of a ResNet generator, and the settings that can be read from the file."""

    stem: ConvolutionWeights
    downs: Sequence[ConvolutionWeights]
    blocks: Sequence[Sequence[ConvolutionWeights]]
    ups: Sequence[ConvolutionWeights]
    last: ConvolutionWeights
    settings: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def matches(tensors: Tensors) -> bool:
    return _has_separate_parts(tensors) or _sequence(tensors) is not None


def read(tensors: Tensors, options: ImportOptions) -> ImportedGenerator:
    used: set[str] = set()
    if _has_separate_parts(tensors):
        layers = _read_separate_parts(tensors, used)
    else:
        layers = _read_sequence(tensors, used)
    normed = [layers.stem, *layers.downs, *(each for block in layers.blocks for each in block), *layers.ups]
    norm, notes = decide_norm(normed, options)
    if layers.settings.pop("no_norm_layers", False):
        norm, notes = "none", []
    check_all_used(tensors, used, ARCHITECTURE)
    channels, image_channels, *_ = layers.stem.weight.shape
    out_channels, blocks = layers.last.weight.shape[0], len(layers.blocks)
    settings = {
        "channels": channels,
        "blocks": blocks,
        "norm": norm,
        **layers.settings,
        **({"n_downsample": len(layers.downs)} if len(layers.downs) != 2 else {}),
        **({"out_channels": out_channels} if out_channels != image_channels else {}),
    }
    with torch.device("meta"):
        network = ResNetGenerator(image_channels=image_channels, **settings)
    weights = move_weights([*normed, layers.last], network)
    symmetric = image_channels == out_channels == 3
    facts = {
        "channels": channels,
        "blocks": blocks,
        "norm": norm,
        "downsampling": f"{len(layers.downs)} x {settings.get('down', 'strided')}",
        "upsampling": settings.get("up", "transposed"),
        "dropout": settings.get("dropout", 0.0),
        "image channels": image_channels if symmetric else f"{image_channels} to {out_channels}",
        "image size": f"any (multiples of {network.multiple_of}; others are padded)",
    }
    model = "pix2pix" if options.train_mode or not symmetric else "cut"
    overrides = [f"data.channels={image_channels}"]
    if model == "pix2pix":
        overrides.append(f"model.train_mode_at_test={str(options.train_mode).lower()}")
    return ImportedGenerator(
        f"ResNet-{blocks}", model, "resnet9", settings, weights, facts, [*layers.notes, *notes], overrides
    )


def _has_separate_parts(tensors: Tensors) -> bool:
    return "initial.0.weight" in tensors and "last.weight" in tensors and all(map(SEPARATE_PARTS.match, tensors))


def _read_separate_parts(tensors: Tensors, used: set[str]) -> Layers:
    """Parts named initial, down_blocks, res_blocks, up_blocks, last. Their convolutions pad by reflection."""
    count = {part: _count(tensors, part) for part in ("down_blocks", "res_blocks", "residual_blocks", "up_blocks")}
    residual = "res_blocks" if count["res_blocks"] else "residual_blocks"

    def conv(name: str) -> ConvolutionWeights:
        return read_convolution(tensors, f"{name}.0", f"{name}.1", used)

    return Layers(
        conv("initial"),
        [conv(f"down_blocks.{index}.conv") for index in range(count["down_blocks"])],
        [[conv(f"{residual}.{index}.block.{half}.conv") for half in (0, 1)] for index in range(count[residual])],
        [conv(f"up_blocks.{index}.conv") for index in range(count["up_blocks"])],
        read_convolution(tensors, "last", None, used),
        {"down": "reflect"},
    )


def _count(tensors: Tensors, part: str) -> int:
    return len({name.split(".")[1] for name in tensors if name.startswith(f"{part}.")})


def _sequence(tensors: Tensors) -> tuple[str, dict[int, dict[str, Tensor]]] | None:
    """The prefix and the numbered layers of a network that is one sequence with residual blocks in it, or None."""
    found = [IN_SEQUENCE.fullmatch(name) for name in tensors]
    prefixes = {match["prefix"] for match in found if match}
    if len(prefixes) != 1 or not all(found):
        return None
    layers: dict[int, dict[str, Tensor]] = {}
    for match, tensor in zip(found, tensors.values(), strict=True):
        assert match is not None
        layers.setdefault(int(match["index"]), {})[match["rest"]] = tensor
    first = layers[min(layers)].get("weight")
    has_blocks = any("." in rest for layer in layers.values() for rest in layer)
    return (
        (prefixes.pop(), dict(sorted(layers.items()))) if first is not None and first.ndim == 4 and has_blocks else None
    )


def _read_sequence(tensors: Tensors, used: set[str]) -> Layers:
    sequence = _sequence(tensors)
    assert sequence is not None
    prefix, layers = sequence
    block_numbers = [index for index, layer in layers.items() if any("." in rest for rest in layer)]
    filters = [index for index, layer in layers.items() if list(layer) == ["filt"]]
    convs = [index for index, layer in layers.items() if "weight" in layer and layer["weight"].ndim == 4]
    before = [index for index in convs if index < block_numbers[0]]
    after = [index for index in convs if index > block_numbers[-1]]
    if len(before) != len(after):
        raise UserError(
            "import.unsupported_layers",
            f"there are {len(before)} convolutions before the residual blocks and {len(after)} after them; "
            "these numbers must be equal",
        )
    if block_numbers != list(range(block_numbers[0], block_numbers[-1] + 1)):
        raise UserError(
            "import.unsupported_layers",
            f"the residual blocks {', '.join(f'{prefix}{each}' for each in block_numbers)} do not follow each other",
        )

    def conv(index: int, normed: bool = True) -> ConvolutionWeights:
        return read_convolution(tensors, f"{prefix}{index}", f"{prefix}{index + 1}" if normed else None, used)

    stem, *downs = [conv(index) for index in before]
    *ups, last = [conv(index, normed=index != after[-1]) for index in after]
    blocks, layouts = [], set()
    for number in block_numbers:
        block, layout = _read_block(tensors, f"{prefix}{number}.", layers[number], used)
        blocks.append(block)
        layouts.add(layout)
    if len(layouts) > 1:
        raise UserError(
            "import.unsupported_layers",
            f"the residual blocks {prefix}{block_numbers[0]} to {prefix}{block_numbers[-1]} differ from each other",
        )
    padding, dropout, has_norms = layouts.pop()
    settings: dict[str, Any] = {}
    if padding != "reflect":
        settings["block_padding"] = padding
    if dropout:
        settings["dropout"] = 0.5
    if not has_norms:
        settings["no_norm_layers"] = True
    if before[0] == 0:
        settings["stem_padding"] = "zero"
    for index in filters:
        used.add(f"{prefix}{index}.filt")
        is_up = index > block_numbers[-1]
        name, found = f"{prefix}{index}.filt", layers[index]["filt"]
        check_filter(name, found, (1, 3, 3, 1) if is_up else (1, 2, 1), 4.0 if is_up else 1.0)
    settings |= _down(prefix, [*before[1:], block_numbers[0]], filters) | _up(
        prefix, block_numbers[-1], after, ups, filters
    )
    return Layers(stem, downs, blocks, ups, last, settings)


def _down(prefix: str, starts: Sequence[int], filters: Sequence[int]) -> dict[str, Any]:
    """Describe a downsampling layer. Its norm, its ReLU and possibly an antialiasing filter are between its convolution and
    the next layer."""
    gaps = {following - start for start, following in pairwise(starts)}
    if not gaps:
        return {}
    blurred = [index for index in filters if index < starts[-1]]
    if gaps in ({4}, {3}) and (len(blurred) == len(starts) - 1 or not blurred):
        return {"down": "antialiased"} if blurred or gaps == {4} else {}
    if gaps == {2} and not blurred:
        return {}  # without norm layers
    raise UserError(
        "import.unsupported_layers",
        f"the layers from {prefix}{starts[0]} to {prefix}{starts[-1]} are not a supported kind of downsampling",
    )


def _up(
    prefix: str, last_block: int, after: Sequence[int], ups: Sequence[ConvolutionWeights], filters: Sequence[int]
) -> dict[str, Any]:
    """Find out how the network upsamples, from the layers between its blocks and the first upsampling convolution."""
    if not ups:
        return {}
    blurred = [index for index in filters if index > last_block]
    gap, (rows, columns) = after[0] - last_block, ups[0].weight.shape[:2]
    if blurred:
        return {"up": "antialiased"}
    if rows == 2 * columns and gap == 1:
        return {}  # a transposed convolution has its inputs first
    if columns == 2 * rows and gap in (2, 3):
        return {"up": "nearest" if gap == 2 else "resize"}
    raise UserError(
        "import.unsupported_layers",
        f"{prefix}{after[0]}.weight is {shape_text(ups[0].weight)}, {gap} layers after the blocks; this kind "
        "of upsampling is not supported",
    )


def _read_block(
    tensors: Tensors, prefix: str, layer: Mapping[str, Tensor], used: set[str]
) -> tuple[list[ConvolutionWeights], tuple[str, bool, bool]]:
    """The two convolutions of a residual block, and its padding, dropout and whether it has norm layers."""
    found = {rest: IN_BLOCK.fullmatch(rest) for rest in layer}
    if not all(found.values()):
        unknown = next(rest for rest, match in found.items() if match is None)
        raise UserError("import.unsupported_layers", f"{prefix}{unknown} is not a supported layer of a residual block")
    inner = {match["inner"] for match in found.values() if match}
    numbers = sorted(int(match["index"]) for rest, match in found.items() if match and layer[rest].ndim == 4)
    if len(inner) != 1 or tuple(numbers) not in BLOCK_LAYOUTS:
        places = ", ".join(map(str, numbers)) or "nowhere"
        raise UserError(
            "import.unsupported_layers",
            f"{prefix.rstrip('.')} has convolutions at positions {places}; a residual block must have two of them",
        )
    layout = BLOCK_LAYOUTS[tuple(numbers)]  # type: ignore[index]
    name = prefix + inner.pop()
    return [read_convolution(tensors, f"{name}{each}", f"{name}{each + 1}", used) for each in numbers], layout
