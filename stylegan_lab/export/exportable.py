"""Makes a model exportable: a module whose outputs depend only on its inputs, and example inputs."""

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.runs.reader import read_evaluations
from stylegan_lab.runs.run import Run
from stylegan_lab.training.image_translator import ModelTranslator
from stylegan_lab.training.loaded_model import LoadedModel
from stylegan_lab.training.translation_network import TranslationNetwork

Inputs = tuple[Tensor, ...]
DynamicShapes = Mapping[str, Mapping[int, Any]]
MAX_SIDE = 65_536


@dataclass(frozen=True)
class Exportable:
    """A model to export. `module` computes the same outputs as `reference`, the trained model, in a form that can be traced. It is
    None if a single graph cannot compute them.

    Attributes:
        input_names: The names of the inputs. Images and latents are batches.
        examples: Inputs of different sizes. The first is traced, and parity is checked with all.
        smallest: An image of the smallest size that the model accepts, which may be below what torch.export can trace.
        notes: Sentences on what the export leaves out.
    """

    model: LoadedModel
    module: nn.Module | None
    reference: Callable[..., Tensor]
    input_names: Sequence[str]
    examples: Sequence[Inputs]
    dynamic_shapes: DynamicShapes
    metadata: Mapping[str, str]
    notes: Sequence[str] = ()
    smallest: Inputs | None = None

    @property
    def output_name(self) -> str:
        return "output"


def exportable(model: LoadedModel, direction: str, license_id: str) -> Exportable:
    if isinstance(model.module, GenerativeModel):
        return _generation(model, license_id)
    return _translation(model, direction, license_id)


def _translation(model: LoadedModel, direction: str, license_id: str) -> Exportable:
    translator = ModelTranslator(model.module, direction)
    found, notes = translator.network, []
    if found is not None and model.module.translates_at_random:
        notes.append(f"the style of seed {model.module.style_seed} is part of the export; other styles need the run")
    module: nn.Module | None = None  # None if random numbers are drawn in several steps: there is no single graph then
    if found is not None:
        module = NetworkWithCondition(found)
    elif not model.module.translates_at_random:
        module = _WholeTranslation(translator)
    if found is not None and found.dropouts:
        notes.append("dropout, which this model applies after training too, is left out")

    def reference(images: Tensor) -> Tensor:
        if module is not None and found is not None and found.dropouts:
            output: Tensor = module(images)
            return output
        return torch.cat([translator.translate(image) for image in images.split(1)])

    multiple, smallest = translator.multiple, max(translator.smallest, translator.multiple)
    traced = max(smallest, 2 * multiple)  # torch.export takes a side of one multiple for a constant
    short = max(traced, multiple * -(-33 // multiple))
    long = max(short + multiple, multiple * -(-48 // multiple))
    rng = torch.Generator().manual_seed(0)
    *examples, smallest_image = [
        (torch.rand(count, 3, height, width, generator=rng) * 2 - 1,)
        for count, height, width in ((2, short, long), (1, long, short), (1, smallest, smallest))
    ]
    with torch.no_grad():
        factor = reference(smallest_image[0]).shape[-1] // smallest
    described = {
        "direction": direction,
        "inputs": "image: RGB (N, 3, H, W), float32 in [-1, 1]",
        "multiple_of": str(multiple),
        "min_size": str(smallest),
        "upscale_factor": str(factor),
    }
    shapes = {
        "image": {
            0: torch.export.Dim("batch"),
            2: _side("height", multiple, traced),
            3: _side("width", multiple, traced),
        }
    }
    return Exportable(
        model, module, reference, ["image"], examples, shapes, described | _described(model, license_id), notes,
        smallest_image,
    )  # fmt: skip


def _generation(model: LoadedModel, license_id: str) -> Exportable:
    module = model.module
    assert isinstance(module, GenerativeModel)
    batch = {0: torch.export.Dim("batch")}
    examples: list[Inputs] = []
    for count in (3, 1):
        latents = module.numbered_latents(0, count, count)
        labels = (torch.arange(count) % len(module.classes),) if module.classes else ()
        examples.append((latents, *labels))
    names = ["latents", "labels"][: len(examples[0])]
    drawn = str(type(module.latent_distribution).__name__)
    described = {"inputs": f"latents: (N, {examples[0][0].shape[1]}) of {drawn}"}
    if module.classes:
        described["classes"] = json.dumps(module.classes)
    return Exportable(
        model, _Generation(module), module.generate, names, examples, dict.fromkeys(names, batch),
        described | _described(model, license_id),
    )  # fmt: skip


def _side(name: str, multiple: int, smallest: int) -> Any:
    side = torch.export.Dim(name, min=max(2, smallest // multiple), max=MAX_SIDE // multiple)
    return multiple * side if multiple > 1 else side


class NetworkWithCondition(nn.Module):
    """A copy of a network in evaluation mode, without dropout. If the network has a condition, the condition is appended to each
    image as channels. Batch norms that use the statistics of each image become group norms."""

    condition: Tensor | None

    def __init__(self, found: TranslationNetwork) -> None:
        super().__init__()
        copies: dict[int, Any] = {}
        self.network = copy.deepcopy(found.network, copies).eval()
        self._replace_norms({copies[id(each)] for each in found.batch_statistics})
        self.register_buffer("condition", found.condition)

    def forward(self, image: Tensor) -> Tensor:
        conditioned = image
        if self.condition is not None:
            maps = self.condition[:, :, None, None].expand(image.shape[0], -1, image.shape[2], image.shape[3])
            conditioned = torch.cat([image, maps], dim=1)
        output: Tensor = self.network(conditioned)
        return output

    def _replace_norms(self, norms: set[nn.Module]) -> None:
        for parent in list(self.network.modules()):
            for name, child in parent.named_children():
                if child in norms:
                    assert isinstance(child, nn.BatchNorm2d)
                    norm = nn.GroupNorm(child.num_features, child.num_features, child.eps, child.affine)
                    norm.load_state_dict(
                        {key: value for key, value in child.state_dict().items() if key in ("weight", "bias")}
                    )
                    setattr(parent, name, norm.requires_grad_(False).to(next(self.network.parameters()).device))


class _WholeTranslation(nn.Module):
    def __init__(self, translator: ModelTranslator) -> None:
        super().__init__()
        self.model, self.direction = translator.module, translator.direction

    def forward(self, image: Tensor) -> Tensor:
        return self.model.translate(image, self.direction)


class _Generation(nn.Module):
    def __init__(self, model: GenerativeModel) -> None:
        super().__init__()
        self.model = copy.deepcopy(model)
        for name, _ in list(self.model.named_children()):
            if name not in model.ema_networks:  # discriminators, whose weights would be in the file
                delattr(self.model, name)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.model.generate(latents, labels)


def _described(model: LoadedModel, license_id: str) -> dict[str, str]:
    """What is written into every exported file."""
    return {
        "format": "stylegan_lab",
        "version": metadata.version("stylegan_lab"),
        "model": type(model.module).__name__,
        "output": "float32 in [-1, 1], to be clipped",
        "iteration": str(model.module.iteration),
        "license": license_id,
        "config": json.dumps(shareable_config(model)),
        "scores": json.dumps(latest_evaluations(model)),
    }


def shareable_config(model: LoadedModel) -> Any:
    """Return the config of the training. Absolute paths are reduced to their last part, because they reveal details of the
    machine."""

    def share(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: share(each) for key, each in value.items()}
        if isinstance(value, list):
            return [share(each) for each in value]
        return Path(value).name if isinstance(value, str) and Path(value).is_absolute() else value

    return share(OmegaConf.to_container(model.config))


def latest_evaluations(model: LoadedModel) -> list[dict[str, Any]]:
    """Return the latest evaluation of each split, with scores and protocol, if it evaluated this checkpoint."""
    if model.run is None:
        return []
    by_split = {str(each.get("split", "test")): each for each in read_evaluations(Run(model.run))}
    return [each for each in by_split.values() if each.get("iteration") == model.module.iteration]
