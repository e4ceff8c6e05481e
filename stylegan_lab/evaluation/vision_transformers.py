"""CLIP and DINOv2 as embeddings, of the transformers library, where that is installed."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.features.feature_net import DEVIATION, MEAN
from stylegan_lab.nets.features.weights import sha256_of_parameters

CLIP_MEAN, CLIP_DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@cache
def clip(weights: str = "openai/clip-vit-large-patch14", size: int = 224, resize: str = "clean") -> Embedding:
    """`weights`: a folder, or a name on the Hugging Face hub. The projected embedding (Radford et al., 2021)."""
    return _embedding(
        "clip",
        "CLIPVisionModelWithProjection",
        weights,
        size,
        resize,
        CLIP_MEAN,
        CLIP_DEVIATION,
        lambda out: out.image_embeds,
    )


@cache
def dinov2(weights: str = "facebook/dinov2-large", size: int = 224, resize: str = "clean") -> Embedding:
    """The class token after its norm (Oquab et al., 2023), which Stein et al. (2023) find nearer to people's judgement."""
    return _embedding(
        "dinov2", "Dinov2Model", weights, size, resize, MEAN, DEVIATION, lambda out: out.last_hidden_state[:, 0]
    )


def _embedding(
    name: str,
    kind: str,
    weights: str,
    size: int,
    resize: str,
    mean: tuple[float, ...],
    deviation: tuple[float, ...],
    token: Callable[[Any], Tensor],
) -> Embedding:
    model = _loaded(name, kind, weights)
    centre, scale = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, deviation))

    def net(images: Tensor) -> Tensor:
        seen = (images - centre.to(images)) / scale.to(images)
        return token(model.to(images.device)(pixel_values=seen))

    return Embedding(name, f"{weights}, class token", net, sha256_of_parameters(model), size, resize)


def _loaded(name: str, kind: str, weights: str) -> Any:
    try:
        library = import_module("transformers")
    except ImportError:
        raise Mistake(f"features={name} needs the transformers library: pip install 'stylegan_lab[metrics]'") from None
    try:
        return getattr(library, kind).from_pretrained(weights).float().eval().requires_grad_(False)
    except (OSError, ValueError) as error:
        raise Mistake(f"{weights} cannot be read as weights of {name}: {str(error).splitlines()[0]}") from error
