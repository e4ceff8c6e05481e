"""A loaded model for the web page: the settings that the page offers, and the code that makes an image with them."""

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError
from stylegan_lab.images.decode import decode
from stylegan_lab.images.image_io import to_pil
from stylegan_lab.images.open_image import open_image
from stylegan_lab.images.photograph import Photograph, encode_photograph, read_photograph
from stylegan_lab.images.value_range import from_bytes, to_bytes
from stylegan_lab.models.base import BaseModel
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.models.stylization.adain import AdaIN
from stylegan_lab.models.translation.domain_conditioned import DomainConditionedModel
from stylegan_lab.serving.limits import Limits
from stylegan_lab.serving.model_queue import Job
from stylegan_lab.serving.upload import Form
from stylegan_lab.suggestions import lookup
from stylegan_lab.training.loaded_model import LoadedModel, resize_shorter_side, translate_at_size
from stylegan_lab.training.translation_network import required_size

MAX_SEED = 2**32 - 1
MAX_SIDE = 4096  # to which the shorter side can be resized
RUN_FOLDER = re.compile(r"\d{8}-\d{6}-(\w+)")  # a folder that `train` has named
Work = Callable[[Job], tuple[bytes, Sequence[str]]]  # makes a PNG, and notes on how it was made


class ServedModel:
    """Checks requests and makes images. The PNG bytes are the same as in the files that `translate` and `generate` write."""

    def __init__(self, model: LoadedModel, limits: Limits) -> None:
        if not isinstance(model.module, BaseModel):
            raise UserError(
                "run.plain_module",
                f"{model.path} is a run of a plain LightningModule, which cannot be served; give a run of a model of this package",
            )
        self.model, self.module, self.limits = model, model.module, limits
        self.name = model_name(model)
        self.generates = isinstance(self.module, GenerativeModel)
        self.directions = {} if self.generates else direction_names(model)
        self.direction = next(iter(self.directions), "")
        if isinstance(self.module, DomainConditionedModel):
            self.direction = self.module.direction_domains["a2b"]
        self.takes_references = type(self.module).translate_like is not BaseModel.translate_like
        self.truncates = self.generates and hasattr(self.module.generator, "truncate")
        self.factor = 1 if self.generates else upscaling(model)
        self._job = Job()
        for layer in self.module.modules():
            layer.register_forward_pre_hook(self._check_job)

    def _check_job(self, layer: nn.Module, inputs: Any) -> None:
        self._job.check()

    def describe(self) -> dict[str, Any]:
        """Return what the page shows about the model, and which inputs it offers."""
        module = self.module
        return {
            "name": self.name,
            "kind": type(module).__name__,
            "generates": self.generates,
            "directions": self.directions,
            "direction": self.direction,
            "references": self.takes_references,
            "strength": "" if self.generates else ("style" if isinstance(module, AdaIN) else "blend"),
            "seed": self.generates or module.translates_at_random,
            "truncation": self.truncates,
            "classes": list(self.model.classes),
        }

    def prepare(self, form: Form) -> Work:
        """Check a form, and return a function that the model's thread calls later to make the image."""
        work = self._generation(form) if self.generates else self._translation(form)

        @torch.no_grad()
        def run(job: Job) -> tuple[bytes, Sequence[str]]:
            self._job = job
            return work(job)

        return run

    def _translation(self, form: Form) -> Work:
        _check_names(form, ("direction", "strength", "size", "seed"), ("image", "reference"))
        direction = form.texts.get("direction") or self.direction
        lookup("direction", direction, {name: name for name in self.directions}, "serve.unknown_direction")
        strength = _number(form, "strength", 1.0, 0.0, 1.0)
        size = _integer(form, "size", 0, 1, MAX_SIDE) or None
        if "seed" in form.texts and not self.module.translates_at_random:
            raise UserError("serve.field_unsupported", f"seed: {self.name} does not use random numbers; leave it out")
        seed = _integer(form, "seed", 0, 0, MAX_SEED)
        if not form.files.get("image"):
            raise UserError("serve.no_image", "choose an image first")
        if form.files.get("reference") and not self.takes_references:
            raise UserError(
                "serve.field_unsupported", f"reference: {self.name} does not use a style image; leave it out"
            )

        def translate(job: Job) -> tuple[bytes, Sequence[str]]:
            photograph = read_photograph(Path("the image"), form.files["image"], self.limits.pixels)
            height, width = photograph.colors.shape[-2:]
            self._check_sizes(height, width, size)
            reference = self._read_reference(form.files.get("reference"))
            self.module.style_seed = seed
            if isinstance(self.module, AdaIN):
                self.module.strength = strength
            translator = self.model.translator(direction, reference)
            (colors,) = translate_at_size(translator, photograph.colors[None], size, job.count_strip)
            if strength < 1 and not isinstance(self.module, AdaIN):
                colors = blend(photograph.colors, colors, strength)
            return _png(photograph.with_colors(colors)), translator.notes

        return translate

    def _generation(self, form: Form) -> Work:
        _check_names(form, ("seed", "truncation", "label"), ())
        if "truncation" in form.texts and not self.truncates:
            raise UserError("serve.field_unsupported", f"truncation: {self.name} has no mapping network; leave it out")
        truncation = _number(form, "truncation", 1.0, -2.0, 2.0) if "truncation" in form.texts else None
        seed, label = _integer(form, "seed", 0, 0, MAX_SEED), form.texts.get("label") or None
        generator = self.model.image_generator(label, seed, truncation)

        def generate(_: Job) -> tuple[bytes, Sequence[str]]:
            (image,) = generator.images(1)
            out = io.BytesIO()
            to_pil(image).save(out, "PNG")
            return out.getvalue(), ()

        return generate

    def _check_sizes(self, height: int, width: int, size: int | None) -> None:
        """Refuse an image that would be too large after it is resized, padded to a size that the networks accept, or translated."""
        scale = 1.0 if size is None else size / min(height, width)
        rows, columns = round(height * scale), round(width * scale)
        multiple, smallest = required_size(self.module)
        padded = max(rows + multiple, smallest) * max(columns + multiple, smallest)
        if padded > 2 * self.limits.pixels or rows * columns * self.factor**2 > self.limits.pixels:
            made = f"{columns * self.factor}x{rows * self.factor}"
            raise UserError(
                "serve.result_too_large",
                f"the result would have {made} pixels; at most {self.limits.pixels:,} are allowed. Choose a smaller "
                "size or image",
            )

    def _read_reference(self, contents: bytes | None) -> Tensor | None:
        """Read a style image as `translate --reference` does, and shrink it if it is too large for the model."""
        if not contents:
            return None
        with open_image(Path("the style image"), contents, self.limits.pixels) as image:
            reference = from_bytes(torch.from_numpy(decode(image).transpose(2, 0, 1).copy()))
        limit = self.model.translator(self.direction).whole_pixels
        height, width = reference.shape[-2:]
        if height * width <= limit:
            return reference
        return resize_shorter_side(reference[None], int(min(height, width) * (limit / (height * width)) ** 0.5))[0]


def model_name(model: LoadedModel) -> str:
    """The name of the model: the name of its run folder or file. If `train` chose the name of the folder, the name of the
    experiment is added."""
    path = Path(model.path if model.run is None else model.run)
    if found := RUN_FOLDER.fullmatch(path.name):
        return f"{model.config.name} {found[1]}"
    return path.stem if model.run is None else path.resolve().name


def direction_names(model: LoadedModel) -> dict[str, str]:
    """Return the name that the page shows for each direction, which contains the names of the domains if the config has them."""
    if model.domains:
        return {name: f"to {name}" for name in model.domains}
    data = model.config.data
    a, b = (str(data[key]) if key in data else None for key in ("source", "target"))
    if a is None and "root" in data:
        a, _, b = Path(str(data.root)).name.partition("2")
    names = {"a2b": f"{a} → {b}", "b2a": f"{b} → {a}"} if a and b else {"a2b": "A → B", "b2a": "B → A"}
    return {direction: names.get(direction, direction) for direction in model.directions}


def upscaling(model: LoadedModel) -> int:
    """Return the factor by which a translation is larger than its input, measured with a small image."""
    multiple, smallest = required_size(model.module)
    side = max(smallest, -(-32 // multiple) * multiple)
    translated = model.translator(next(iter(model.directions)))(torch.zeros(1, 3, side, side, dtype=torch.uint8))
    return translated.shape[-1] // side


def blend(original: Tensor, translated: Tensor, strength: float) -> Tensor:
    """Mix a translation (C, H, W) with its input. The input is resized to the size of the translation."""
    is_bytes = translated.dtype == torch.uint8
    one, other = (from_bytes(each) if is_bytes else each for each in (original, translated))
    if one.shape != other.shape:
        one = F.interpolate(one[None], tuple(other.shape[-2:]), mode="bicubic", antialias=True)[0].clamp(-1, 1)
    mixed = torch.lerp(one, other, strength)
    return to_bytes(mixed) if is_bytes else mixed


def _png(photograph: Photograph) -> bytes:
    out = io.BytesIO()
    encode_photograph(photograph, out)
    return out.getvalue()


def _check_names(form: Form, texts: Sequence[str], files: Sequence[str]) -> None:
    for given, known in ((form.texts, ("model", *texts)), (form.files, files)):
        for name in given:
            if name not in known:
                raise UserError(
                    "serve.unknown_field",
                    f"{name[:40]!r} is not a field of this form; its fields are: {', '.join(known)}",
                )


def _number(form: Form, name: str, default: float, low: float, high: float) -> float:
    if not form.texts.get(name):
        return default
    try:
        value = float(form.texts[name])
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise UserError(
            "serve.out_of_range", f"{name}={form.texts[name][:40]} must be a number from {low:g} to {high:g}"
        )
    return value


def _integer(form: Form, name: str, default: int, low: int, high: int) -> int:
    value = float(_number(form, name, default, low, high))
    if not value.is_integer():
        raise UserError("serve.not_an_integer", f"{name}={form.texts[name][:40]} must be a whole number")
    return int(value)
