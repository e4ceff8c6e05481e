"""A trained model, for use from Python and by the commands. It translates or generates images of any common type."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from omegaconf import DictConfig
from PIL import Image
from safetensors import SafetensorError, safe_open
from torch import Tensor

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.decode import decode
from stylegan_lab.images.image_io import to_pil
from stylegan_lab.images.value_range import from_bytes, to_bytes
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.reader import find_run
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import build_module, config_from_checkpoint, default_device, restore_module
from stylegan_lab.training.image_generator import ImageGenerator
from stylegan_lab.training.image_translator import ModelTranslator

ImageType = TypeVar("ImageType")


def load(
    run: Run | str | Path, checkpoint: str | None = None, *, use_ema: bool = True, trust: Sequence[str] = ()
) -> "LoadedModel":
    """Load a trained model: in evaluation mode, on the GPU if there is one.

    Args:
        run: A run, its folder, a checkpoint file, or exported weights (.safetensors).
        checkpoint: `last`, `best` or an iteration such as `001000`. None: `run` if it is a checkpoint file, or else
            `last`.
        use_ema: Use the EMA weights if the run has them, or else the trained weights.
        trust: Packages of your own whose classes the checkpoint may name.
    """
    path = str(run.folder if isinstance(run, Run) else run)
    if path.endswith(".safetensors"):
        return LoadedModel(*_read_exported_weights(Path(path), trust), path)
    found, name = find_run(path)
    contents = read_checkpoint(found.checkpoint(checkpoint or name))
    module = restore_module(contents, use_ema, trust).to(default_device())
    return LoadedModel(module, config_from_checkpoint(contents, trust), path, found.folder)


def _read_exported_weights(path: Path, trust: Sequence[str]) -> tuple[BaseModel, DictConfig]:
    """Read the module and the config from a file that `stylegan-lab export` wrote."""
    try:
        with safe_open(path, framework="pt") as file:
            about, weights = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        contents = {"config": json.loads(about["config"]), "iteration": int(about["iteration"])}
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        if not path.exists():
            raise UserError(
                "export.not_found", f"{path} does not exist; give a file that stylegan-lab export wrote"
            ) from error
        reason = "was not written by stylegan-lab export, or is damaged; export the run again"
        raise UserError("export.unreadable", f"{path} {reason}") from error
    config = config_from_checkpoint(contents, trust)
    module = build_module(config)
    if not isinstance(module, BaseModel):
        raise UserError(
            "export.not_an_export",
            f"{path} is an export of a plain LightningModule; give an export of a model of this package",
        )
    model = LoadedModel(module, config, str(path))
    try:
        rest = {name: value for name, value in module.state_dict().items() if name not in model.used_weights()}
        module.load_state_dict(rest | weights)
    except RuntimeError as error:
        raise UserError(
            "export.weights_mismatch",
            f"{path}: its weights do not fit the networks that its config describes; export the run again",
        ) from error
    module.iteration = contents["iteration"]
    return module.eval().requires_grad_(False).to(default_device()), config


class LoadedModel:
    """A trained model. `module` is the LightningModule, `config` is the config of its training, and `run` is the run
    folder, or None if the model was loaded from exported weights."""

    def __init__(self, module: BaseModel, config: DictConfig, path: str, run: Path | None = None) -> None:
        self.module, self.config, self.path, self.run = module, config, path, run

    def __repr__(self) -> str:
        return f"LoadedModel({type(self.module).__name__}, iteration {self.module.iteration}, {self.path})"

    @property
    def description(self) -> str:
        return f"{self.path} is a {type(self.module).__name__}"

    def used_weights(self) -> dict[str, Tensor]:
        """The weights and buffers that are used after training. Discriminators and feature networks of losses are left out."""
        used = self.module.ema_networks
        return {
            name: value
            for name, value in self.module.state_dict().items()
            if "." not in name or name.split(".")[0] in used
        }

    @property
    def directions(self) -> tuple[str, ...]:
        """The directions in which the model translates, such as a2b. Empty for a model that generates images from noise."""
        return tuple(self.module.directions)

    @property
    def domains(self) -> tuple[str, ...]:
        """The names of the domains of a multi-domain model. `translate` accepts them as directions too."""
        return tuple(getattr(self.module, "domains", ()))

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes of a class-conditional model."""
        return tuple(getattr(self.module, "classes", ()))

    def translate(
        self,
        image: ImageType,
        direction: str = "a2b",
        *,
        reference: Any = None,
        size: int | None = None,
        seed: int | None = None,
    ) -> ImageType:
        """Translate an image, or a batch of images in a tensor, to the same type and size as the input.

        Args:
            image: A PIL image, a uint8 array (H, W, 3), or a float tensor (3, H, W) or (N, 3, H, W) in [0, 1].
            direction: `a2b`, `b2a`, or the name of the target domain for a model between several domains.
            reference: An image of the target domain whose style the result takes (stargan2). It may have any of the
                types of `image`.
            size: Resize the shorter side of the image to this before translation. The result then has the resized
                size.
            seed: The seed of random styles if no reference is given (stargan2), or of the noise (unsb).
        """
        self.check_translates()
        choices = (*self.directions, *self.domains)
        if direction not in choices:
            raise UserError(
                "translate.unknown_direction",
                f"direction={direction} is unknown; this run translates {', '.join(choices)}",
            )
        if seed is not None and not self.module.translates_at_random:
            raise UserError(
                "translate.seed_unsupported",
                f"seed={seed} has no effect: only stargan2 and unsb draw random numbers, and {self.description}; leave seed out",
            )
        self.module.style_seed = seed or 0
        style = None if reference is None else _to_tensor(reference, "reference")[0]
        translator = self.translator(direction, style)
        results = [translator(resize_shorter_side(each[None], size)) for each in _to_tensor(image, "image")]
        return _like(image, torch.cat(results))

    def translate_tensor(
        self, image: Tensor, direction: str = "a2b", size: int | None = None, reference: Tensor | None = None
    ) -> Tensor:
        """Translate one image (C, H, W) in [-1, 1], of any size. Its shorter side is resized to `size` before translation."""
        batch = resize_shorter_side(image[None], size)
        return self.translator(direction, reference)(batch)[0]

    def translator(self, direction: str = "a2b", reference: Tensor | None = None) -> ModelTranslator:
        """Return an object that translates batches of images in one direction."""
        return ModelTranslator(self.module, direction, reference)

    def generate(
        self, n: int = 1, *, seed: int = 0, label: str | None = None, truncation: float | None = None
    ) -> list[Image.Image]:
        """Generate `n` images from noise. Image k of a seed is the same for every `n`.

        Args:
            label: The name or number of a class. With None, successive images cycle through all classes.
            truncation: Values below 1 give more typical and less diverse images (StyleGAN).
        """
        check_at_least("n", n, 1)
        return [to_pil(image) for image in self.image_generator(label, seed, truncation).images(n)]

    def image_generator(
        self,
        label: str | None = None,
        seed: int = 0,
        truncation: float | None = None,
        style_mixing: bool = False,
        label_setting: str = "label",
    ) -> ImageGenerator:
        if not isinstance(self.module, GenerativeModel):
            raise UserError(
                "generate.translation_model",
                f"{self.description}, which needs an input image; use stylegan-lab translate",
            )
        return ImageGenerator(self.module, label, seed, truncation, style_mixing, label_setting)

    def check_references(self) -> None:
        if type(self.module).translate_like is BaseModel.translate_like:
            self.module.translate_like(torch.empty(0), torch.empty(0))  # which says what can be done

    def check_translates(self) -> None:
        if isinstance(self.module, GenerativeModel):
            raise UserError(
                "translate.generation_model",
                f"{self.description}, which generates images from noise; use stylegan-lab generate",
            )


def resize_shorter_side(images: Tensor, size: int | None) -> Tensor:
    """Resize images (N, C, H, W) in [-1, 1] so that their shorter side has `size` pixels. With None, images are not resized."""
    if size is None:
        return images
    scale = size / min(images.shape[-2:])
    return F.interpolate(images, scale_factor=scale, mode="bicubic", antialias=True).clamp(-1, 1)


def translate_at_size(
    translator: Callable[..., Tensor], images: Tensor, size: int | None, on_strip: Callable[[int], None] | None = None
) -> Tensor:
    """Resize the shorter side of images (N, C, H, W), uint8 or floats in [-1, 1], to `size`, and translate them. With None,
    images are not resized."""
    if size is None:
        return translator(images, on_strip)
    is_bytes = images.dtype == torch.uint8
    resized = resize_shorter_side(from_bytes(images) if is_bytes else images, size)
    translated = translator(resized, on_strip)
    return to_bytes(translated) if is_bytes else translated


def _to_tensor(image: Any, name: str) -> Tensor:
    """Convert an image or a batch of images to a tensor (N, 3, H, W) in [-1, 1]."""
    if isinstance(image, Image.Image):
        return from_bytes(torch.from_numpy(decode(image).transpose(2, 0, 1).copy()))[None]
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise UserError(
                "translate.wrong_image_layout",
                f"{name} must be an array of uint8 with the shape (height, width, 3), not {_described(image)}",
            )
        return from_bytes(torch.from_numpy(image.transpose(2, 0, 1).copy()))[None]
    if isinstance(image, Tensor):
        batch = image[None] if image.ndim == 3 else image
        if batch.ndim != 4 or batch.shape[1] != 3 or not batch.is_floating_point() or len(batch) == 0:
            raise UserError(
                "translate.wrong_image_layout",
                f"{name} must be a tensor of floats with the shape (3, H, W) or (N, 3, H, W), not {_described(image)}",
            )
        if not (batch.min() >= 0 and batch.max() <= 1):
            raise UserError(
                "translate.wrong_image_range",
                f"{name} has values from {float(batch.min()):.3g} to {float(batch.max()):.3g}; scale them to the range from 0 to 1",
            )
        return batch.float() * 2 - 1
    raise UserError(
        "translate.wrong_image_type",
        f"{name} must be a PIL image, a numpy array or a tensor, not {type(image).__name__}",
    )


def _like(image: ImageType, results: Tensor) -> ImageType:
    """Convert results (N, C, H, W) in [-1, 1] to the type of the input."""
    converted: Any
    if isinstance(image, Tensor):
        unit = ((results + 1) / 2).clamp(0, 1).to(image.device, image.dtype)
        converted = unit if image.ndim == 4 else unit[0]
    elif isinstance(image, np.ndarray):
        converted = to_bytes(results[0]).permute(1, 2, 0).cpu().numpy()
    else:
        converted = to_pil(results[0])
    return converted


def _described(image: Any) -> str:
    return f"{str(image.dtype).removeprefix('torch.')} in {tuple(image.shape)}"
