"""The result of an import: the settings of our generator, and the other program's weights under our names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from stylegan_lab.errors import UserError

Tensors = Mapping[str, Tensor]
NormChoice = Literal["instance", "instance_affine", "batch", "none"]


@dataclass(frozen=True)
class ImportOptions:
    """Options of an import that the weights do not determine.

    Args:
        norm: The norm layer to use if the weights fit several kinds. None: the most common of these.
        train_mode: Translate with dropout and the batch statistics of the image, as pix2pix does.
    """

    norm: NormChoice | None = None
    train_mode: bool = False

    def check_unused(self) -> None:
        """Refuse these options for a generator to which they do not apply."""
        if self.norm is not None or self.train_mode:
            name = "--train-mode" if self.norm is None else "--norm"
            raise UserError(
                "import.option_unused",
                f"{name} has no meaning for this generator, because it applies only to image-to-image generators; leave it out",
            )


@dataclass(frozen=True)
class ImportedGenerator:
    """A generator of another program, described with the configs and names of this package.

    Args:
        architecture: The name of the architecture, to be shown to the user.
        model: The choice of the config group `model`.
        generator: The choice of the config group `generator`.
        settings: Settings of the generator that differ from the defaults of that choice.
        weights: The weights, under the parameter names of our generator.
        facts: Named properties of the imported generator, which are printed and stored in the run.
        notes: Sentences for the user on what the weights do not determine.
        overrides: Further overrides for the config of the run.
    """

    architecture: str
    model: str
    generator: str
    settings: Mapping[str, Any]
    weights: Tensors
    facts: Mapping[str, Any]
    notes: Sequence[str] = ()
    overrides: Sequence[str] = field(default=())


def shape_text(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a number"


def take(tensors: Tensors, name: str, shape: Sequence[int] | None = None) -> Tensor:
    """Return the tensor of this name. It is an error if the tensor is missing or does not have this shape."""
    if name not in tensors:
        raise UserError("import.tensor_missing", f"{name} is missing from the file")
    tensor = tensors[name]
    if shape is not None and tuple(tensor.shape) != tuple(shape):
        expected = "x".join(map(str, shape)) or "a number"
        raise UserError("import.shape_mismatch", f"{name} is {shape_text(tensor)} instead of {expected}")
    return tensor


def check_all_used(tensors: Tensors, used: set[str], architecture: str) -> None:
    """Refuse a file with tensors that the architecture does not use: without them the output would differ."""
    if left := [name for name in tensors if name not in used]:
        more = f" and {len(left) - 5} more" if len(left) > 5 else ""
        raise UserError(
            "import.tensors_left_over",
            f"the file has tensors that {architecture} does not use: {', '.join(left[:5])}{more}",
        )


def check_filter(name: str, found: Tensor, taps: Sequence[float], gain: float = 1.0) -> None:
    """Refuse a resampling filter that is not the separable filter with these taps."""
    row = torch.tensor(taps, dtype=torch.float32) / sum(taps)
    expected = torch.outer(row, row) * gain
    if found.shape[-2:] != expected.shape or not torch.allclose(found.float(), expected.expand_as(found), atol=1e-3):
        raise UserError(
            "import.unknown_filter",
            f"{name} is not the filter {', '.join(f'{tap:g}' for tap in taps)}, which is the only supported one",
        )
