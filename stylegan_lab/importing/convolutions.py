"""Copies the weights of convolutions and the norms after them from another program's network into ours. Layers are matched by
their order."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.importing.imported import ImportOptions, Tensors, shape_text
from stylegan_lab.networks.layers.norms import AffineInstanceNorm

IGNORED = ("num_batches_tracked",)
NORM_NAMES = {"scale": "weight", "shift": "bias"}  # of hand-written instance norms


@dataclass
class ConvolutionWeights:
    """A convolution from the imported file, and the tensors of the norm after it: `weight`, `bias`, `running_mean`,
    `running_var`."""

    name: str
    weight: Tensor
    bias: Tensor | None = None
    norm: dict[str, Tensor] = field(default_factory=dict)


def read_convolution(tensors: Tensors, name: str, norm: str | None, used: set[str]) -> ConvolutionWeights:
    """Read the convolution `name`, and the tensors of the norm layer called `norm`, if the file has any. The names of these
    tensors are added to `used`."""
    weight = tensors.get(f"{name}.weight")
    if weight is None:
        raise UserError("import.tensor_missing", f"{name}.weight is missing from the file")
    if weight.ndim != 4:
        raise UserError("import.shape_mismatch", f"{name}.weight has {weight.ndim} dimensions; a convolution has 4")
    used |= {f"{name}.weight", f"{name}.bias"}
    norm_tensors = {}
    for each, tensor in () if norm is None else tensors.items():
        parent, _, kind = each.rpartition(".")
        if parent == norm and tensor.ndim <= 1:
            used.add(each)
            if kind not in IGNORED:
                norm_tensors[NORM_NAMES.get(kind, kind)] = tensor
    return ConvolutionWeights(name, weight, tensors.get(f"{name}.bias"), norm_tensors)


def decide_norm(layers: Sequence[ConvolutionWeights], options: ImportOptions) -> tuple[str, list[str]]:
    """Return the norm that follows these convolutions, and sentences for the user on what the weights do not determine."""
    kinds = {tuple(sorted(layer.norm)) for layer in layers}
    if len(kinds) > 1:
        names = {kind: next(each.name for each in layers if tuple(sorted(each.norm)) == kind) for kind in sorted(kinds)}
        described = "; ".join(f"{name}: {', '.join(kind) or 'nothing'}" for kind, name in names.items())
        raise UserError(
            "import.norms_differ", f"the norms differ from layer to layer ({described}), which is not supported"
        )
    (kind,) = kinds or {()}
    affine, tracked = {"weight", "bias"} <= set(kind), {"running_mean", "running_var"} <= set(kind)
    if set(kind) - {"weight", "bias", "running_mean", "running_var"} or ("weight" in kind) != ("bias" in kind):
        raise UserError(
            "import.unknown_norm",
            f"the norms have {', '.join(kind)}; only weight with bias, and running_mean with running_var, are supported",
        )
    biased = any(layer.bias is not None for layer in layers)
    if options.norm is not None:
        if options.norm == "batch" and not tracked:
            raise UserError(
                "import.norm_mismatch",
                "--norm batch: the file has no running_mean and running_var; leave --norm out, or choose another norm",
            )
        if options.norm == "instance_affine" and not affine:
            raise UserError(
                "import.norm_mismatch",
                "--norm instance_affine: the norms of the file have no weight and bias; leave --norm out, or choose "
                "another norm",
            )
        if affine and options.norm not in ("batch", "instance_affine"):
            raise UserError(
                "import.norm_mismatch",
                f"--norm {options.norm}: the norms of the file have weight and bias; leave --norm out",
            )
        return options.norm, []
    if affine:
        return ("batch" if tracked else "instance_affine"), []
    if tracked:
        if not biased:
            return "batch", []
        return "instance", [
            "the running statistics of its instance norms are left out, as the reference code does (--norm batch uses them)"
        ]
    note = "its convolutions have no biases; if it was trained without norms, give --norm none"
    return "instance", [] if biased else [note]


def move_weights(layers: Sequence[ConvolutionWeights], network: nn.Module) -> dict[str, Tensor]:
    """Return the file's weights under the parameter names of `network`, which must have the same layers in the same order."""
    own = list(_own_layers(network))
    if len(own) != len(layers):
        raise UserError(
            "import.unsupported_layers",
            f"the file has {len(layers)} convolutions, but this architecture has {len(own)}",
        )
    weights: dict[str, Tensor] = {}
    for layer, (name, convolution, norm_name, norm) in zip(layers, own, strict=True):
        if layer.weight.shape != convolution.weight.shape:
            found, expected = shape_text(layer.weight), shape_text(convolution.weight)
            raise UserError("import.shape_mismatch", f"{layer.name}.weight is {found} instead of {expected}")
        weights[f"{name}.weight"] = layer.weight
        if convolution.bias is not None:
            weights[f"{name}.bias"] = torch.zeros(len(convolution.bias)) if layer.bias is None else layer.bias
        elif norm is None and layer.bias is not None and layer.bias.any():
            raise UserError(
                "import.unexpected_bias",
                f"the file has {layer.name}.bias, but a convolution before batch norm cannot have a bias here; such files are not "
                "supported",
            )
        if norm is not None:
            moved = _norm_weights(layer, norm, folded_bias=layer.bias if convolution.bias is None else None)
            weights |= {f"{norm_name}.{kind}": tensor for kind, tensor in moved.items()}
    return weights


def _norm_weights(layer: ConvolutionWeights, norm: nn.Module, folded_bias: Tensor | None) -> dict[str, Tensor]:
    """Batch norm removes a bias in front of it: ours has none, so the running mean takes it."""
    channels = sum(norm.weight.shape)  # type: ignore[arg-type]
    moved = {"weight": torch.ones(channels), "bias": torch.zeros(channels)} | layer.norm
    if isinstance(norm, AffineInstanceNorm):
        return {kind: moved[kind] for kind in ("weight", "bias")}
    if folded_bias is not None:
        moved["running_mean"] = moved["running_mean"] - folded_bias
    return moved | {"num_batches_tracked": torch.zeros((), dtype=torch.long)}


def _own_layers(network: nn.Module) -> Iterable[tuple[str, nn.Conv2d | nn.ConvTranspose2d, str, nn.Module | None]]:
    current: tuple[str, nn.Conv2d | nn.ConvTranspose2d] | None = None
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if current is not None:
                yield *current, "", None
            current = name, module
        elif isinstance(module, AffineInstanceNorm | nn.BatchNorm2d):
            assert current is not None, "a norm follows a convolution"
            yield *current, name, module
            current = None
    if current is not None:
        yield *current, "", None
