"""StyleGAN2 generators of stylegan2-ada-pytorch: a mapping network, and a synthesis network with a block per resolution."""

import re
from collections.abc import Sequence

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.importing.imported import (
    ImportedGenerator,
    ImportOptions,
    Tensors,
    check_all_used,
    check_filter,
    take,
)

ARCHITECTURE = "a StyleGAN2 generator"
BLOCK = re.compile(r"synthesis\.b(\d+)\..*")
SCENES = (
    "photo",
    "ukiyoe",
    "ink",
    "sketch",
    "miniature",
    "vintage",
    "mosaic",
    "oil",
)  # classes of data=scenes_labelled
CONV_CLAMP = 256  # of the authors' training code; the weights do not tell


def matches(tensors: Tensors) -> bool:
    return "synthesis.b4.const" in tensors and "mapping.fc0.weight" in tensors


def read(tensors: Tensors, options: ImportOptions) -> ImportedGenerator:
    options.check_unused()
    resolutions = sorted({int(match[1]) for name in tensors if (match := BLOCK.fullmatch(name))})
    if resolutions != [4 * 2**level for level in range(len(resolutions))] or len(resolutions) < 2:
        raise UserError(
            "import.unsupported_layers",
            f"synthesis has blocks of {', '.join(map(str, resolutions))} px; they must be 4, 8, 16, ... px",
        )
    size = resolutions[-1]
    mover = _Mover(tensors)
    widths = [take(tensors, f"synthesis.b{each}.conv1.weight").shape[0] for each in resolutions]
    channels, max_channels = widths[-1], max(widths)
    doubled = [min(channels * 2**level, max_channels) for level in reversed(range(len(widths)))]
    if widths != doubled:
        found, expected = (", ".join(map(str, each)) for each in (widths, doubled))
        raise UserError(
            "import.unsupported_layers", f"synthesis has {found} channels from 4 to {size} px; {expected} are expected"
        )
    w_dim = take(tensors, "synthesis.b4.conv1.affine.weight").shape[1]
    z_dim, classes, mapping_layers = mover.mapping(w_dim)
    image_channels = take(tensors, f"synthesis.b{size}.torgb.weight").shape[0]
    mover.synthesis(resolutions, widths, w_dim, image_channels)
    check_all_used(tensors, mover.used, ARCHITECTURE)
    settings = {
        "size": size,
        "channels": channels,
        "max_channels": max_channels,
        "w_dim": w_dim,
        "mapping_layers": mapping_layers,
        "architecture": mover.architecture,
        "conv_clamp": CONV_CLAMP,
        "zero_padding": True,
    }
    facts = {
        "image size": f"{size} px",
        "image channels": image_channels,
        "channels": ", ".join(map(str, widths)),
        "latents": z_dim,
        "w": w_dim,
        "mapping layers": mapping_layers,
        "classes": classes or "none",
        "architecture": mover.architecture,
    }
    overrides = [
        *generative_overrides(size, image_channels, z_dim, classes),
        f"discriminator.channels={channels}",
        f"discriminator.max_channels={max_channels}",
    ]
    return ImportedGenerator(
        f"StyleGAN2 {size} px", "stylegan2", "stylegan2", settings, mover.weights, facts, mover.notes, overrides
    )


def generative_overrides(size: int, image_channels: int, latent_dim: int, classes: int) -> list[str]:
    """Return overrides for the data, the latents and the classes of a run that generates images. The classes are named by their
    numbers."""
    names = ",".join(f"'{label}'" for label in range(classes))
    return [
        "data=scenes_labelled",
        f"data.size={size}",
        f"data.channels={image_channels}",
        f"latents.size={latent_dim}",
        f"model.classes=[{names}]",
        *([f"data.classes=[{','.join(SCENES[: max(1, classes)])}]"] if classes <= len(SCENES) else []),
    ]


class _Mover:
    """Copies tensors of the file to `weights` under the names of our network, and records the names in the file in `used`."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = tensors
        self.weights: dict[str, Tensor] = {}
        self.used: set[str] = set()
        self.notes: list[str] = []
        self.architecture = "plain"

    def mapping(self, w_dim: int) -> tuple[int, int, int]:
        """Moves the mapping network. Returns the sizes of the latents and classes, and the number of layers."""
        layers = 0
        while f"mapping.fc{layers}.weight" in self.tensors:
            layers += 1
        in_features = self.tensors["mapping.fc0.weight"].shape[1]
        classes = self.tensors["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in self.tensors else 0
        z_dim = in_features - (w_dim if classes else 0)
        if z_dim < 1:
            raise UserError(
                "import.shape_mismatch",
                f"mapping.fc0.weight has {in_features} inputs; it must have more than the {w_dim} of the class embedding",
            )
        if classes:
            self._linear("mapping.embedding", "mapping.embed", (w_dim, classes))
        for index in range(layers):
            shape = (w_dim, in_features if index == 0 else w_dim)
            self._linear(f"mapping.layers.{index}", f"mapping.fc{index}", shape)
        if "mapping.w_avg" in self.tensors:
            self._move("w_avg", "mapping.w_avg", (w_dim,))
        else:
            self.weights["w_avg"] = torch.zeros(w_dim)
            self.notes.append("mapping.w_avg is missing: --truncation moves toward 0 instead of the average style")
        return z_dim, classes, layers

    def synthesis(self, resolutions: Sequence[int], widths: Sequence[int], w_dim: int, image_channels: int) -> None:
        self._move("const", "synthesis.b4.const", (widths[0], 4, 4))
        noises = []
        for number, (resolution, width) in enumerate(zip(resolutions, widths, strict=True)):
            source, own = f"synthesis.b{resolution}", f"blocks.{number}"
            previous = widths[max(0, number - 1)]
            for index, layer in enumerate(("conv1",) if number == 0 else ("conv0", "conv1")):
                in_channels = previous if layer == "conv0" else width
                self._modulated(f"{own}.layers.{index}.conv", f"{source}.{layer}", (width, in_channels, 3, 3), w_dim)
                self._move(f"{own}.layers.{index}.bias", f"{source}.{layer}.bias", (width,))
                noises.append(self._noise(f"{own}.layers.{index}", f"{source}.{layer}", resolution))
            if f"{source}.torgb.weight" in self.tensors:
                self._modulated(f"{own}.to_rgb.conv", f"{source}.torgb", (image_channels, width, 1, 1), w_dim)
                self._move(f"{own}.to_rgb.bias", f"{source}.torgb.bias", (image_channels,))
            if f"{source}.skip.weight" in self.tensors:
                self._move(f"{own}.shortcut.0.weight", f"{source}.skip.weight", (width, previous, 1, 1))
        self.weights["noise"] = torch.cat(noises)
        if f"synthesis.b{resolutions[0]}.torgb.weight" in self.tensors:
            self.architecture = "skip"
        elif f"synthesis.b{resolutions[-1]}.skip.weight" in self.tensors:
            self.architecture = "residual"
        for name, tensor in self.tensors.items():
            if name.startswith("synthesis.") and name.endswith(".resample_filter"):
                check_filter(name, tensor, (1, 3, 3, 1))
                self.used.add(name)

    def _noise(self, own: str, source: str, resolution: int) -> Tensor:
        """The layer's fixed noise. A network without noise inputs has a noise of strength 0."""
        name = f"{source}.noise_const"
        if f"{source}.noise_strength" not in self.tensors:
            self.weights[f"{own}.noise_strength"] = torch.zeros(())
            return torch.zeros(resolution**2)
        strength = take(self.tensors, f"{source}.noise_strength")
        self.used |= {f"{source}.noise_strength", name}
        self.weights[f"{own}.noise_strength"] = strength.reshape(())
        return take(self.tensors, name, (resolution, resolution)).flatten()

    def _modulated(self, own: str, source: str, shape: Sequence[int], w_dim: int) -> None:
        self._move(f"{own}.weight", f"{source}.weight", shape)
        self._linear(f"{own}.affine", f"{source}.affine", (shape[1], w_dim))

    def _linear(self, own: str, source: str, shape: Sequence[int]) -> None:
        self._move(f"{own}.weight", f"{source}.weight", shape)
        self._move(f"{own}.bias", f"{source}.bias", shape[:1])

    def _move(self, own: str, source: str, shape: Sequence[int]) -> None:
        self.weights[own] = take(self.tensors, source, shape)
        self.used.add(source)
