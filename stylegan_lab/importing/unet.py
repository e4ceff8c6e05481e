"""pix2pix's U-Net, as in the reference code: blocks that contain the next inner block."""

import re
from typing import Any

import torch

from stylegan_lab.errors import UserError
from stylegan_lab.importing.convolutions import decide_norm, move_weights, read_convolution
from stylegan_lab.importing.imported import ImportedGenerator, ImportOptions, Tensors, check_all_used, shape_text, take
from stylegan_lab.networks.generators.unet import UNetGenerator

ARCHITECTURE = "a U-Net (pix2pix)"
NESTED = re.compile(r"(?P<outer>(?:[A-Za-z_]\w*\.)+)1\.model\.3\.model\.1\.weight")


def matches(tensors: Tensors) -> bool:
    return _outer(tensors) is not None


def read(tensors: Tensors, options: ImportOptions) -> ImportedGenerator:
    outer = _outer(tensors)
    assert outer is not None
    used: set[str] = set()
    blocks = [f"{outer}1.model."]
    while any(name.startswith(f"{blocks[-1]}3.model.") for name in tensors):
        blocks.append(f"{blocks[-1]}3.model.")
    *middle, innermost = blocks
    first = read_convolution(tensors, f"{outer}0", None, used)
    last = read_convolution(tensors, f"{outer}3", None, used)
    downs = [read_convolution(tensors, f"{block}1", f"{block}2", used) for block in middle]
    innermost_down = read_convolution(tensors, f"{innermost}1", None, used)
    ups = [read_convolution(tensors, f"{block}5", f"{block}6", used) for block in middle]
    innermost_up = read_convolution(tensors, f"{innermost}3", f"{innermost}4", used)
    norm, notes = decide_norm([*downs, innermost_up, *ups], options)
    check_all_used(tensors, used, ARCHITECTURE)
    channels, image_channels, *kernel = take(tensors, f"{outer}0.weight").shape
    if kernel != [4, 4]:
        raise UserError(
            "import.shape_mismatch", f"{outer}0.weight is {shape_text(first.weight)}; its kernel must be 4x4"
        )
    out_channels, num_downs = last.weight.shape[1], len(blocks) + 1
    settings: dict[str, Any] = {
        "channels": channels,
        "num_downs": num_downs,
        "norm": norm,
        "dropout": 0.5 if options.train_mode else 0.0,
        **({"out_channels": out_channels} if out_channels != image_channels else {}),
    }
    with torch.device("meta"):
        network = UNetGenerator(image_channels=image_channels, **settings)
    weights = move_weights([first, *downs, innermost_down, innermost_up, *reversed(ups), last], network)
    size = 2**num_downs
    facts = {
        "channels": channels,
        "downsamplings": num_downs,
        "norm": norm,
        "dropout": settings["dropout"] or "not in use",
        "image channels": image_channels if image_channels == out_channels else f"{image_channels} to {out_channels}",
        "image size": f"{size} px and multiples of it (others are padded)",
    }
    if not options.train_mode:
        notes.append(
            "it is applied in evaluation mode; pix2pix itself keeps dropout and batch statistics on (--train-mode)"
        )
    overrides = [
        f"model.train_mode_at_test={str(options.train_mode).lower()}",
        f"data.channels={image_channels}",
        f"data.size={max(size, 32)}",
    ]
    return ImportedGenerator(f"U-Net {size}", "pix2pix", "unet256", settings, weights, facts, notes, overrides)


def _outer(tensors: Tensors) -> str | None:
    """The prefix of the outermost block, such as `model.model.`."""
    found = [match["outer"] for name in tensors if (match := NESTED.fullmatch(name))]
    outer = min(found, key=len, default=None)
    return outer if outer is not None and f"{outer}0.weight" in tensors else None
