"""Batch types: what a data module yields and a model expects. Images are (N, C, H, W) floats in [-1, 1]."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import numpy as np
from torch import Tensor
from torch.utils.data import default_collate


class UnpairedBatch(TypedDict):
    """Independent images of the source domain `a` and the target domain `b`."""

    a: Tensor
    b: Tensor


class PairedBatch(UnpairedBatch):
    """Images in pairs: `b` is the ground truth for `a`."""


class StyleBatch(UnpairedBatch):
    """`a` is a content image; `b` is the style image, which is the same in every batch."""


class DomainBatch(UnpairedBatch):
    """Images of several domains: `a` is from the domain with index `source`, and both `b` and `other` are from the domain with
    index `target`. The indices vary within a batch."""

    other: Tensor
    source: Tensor
    target: Tensor


class ImageBatch(TypedDict):
    image: Tensor


class LabelledBatch(ImageBatch):
    label: Tensor  # the class index


BatchType = type  # a TypedDict: one of the classes above, or one of your own

DESCRIPTIONS: dict[BatchType, str] = {  # for messages
    UnpairedBatch: "two unpaired domains",
    PairedBatch: "true pairs",
    StyleBatch: "content images and one style image",
    DomainBatch: "several domains",
    ImageBatch: "images",
    LabelledBatch: "labelled images",
}

# A DomainBatch is missing: its `a` and `b` change domains.
_PARENTS: dict[BatchType, BatchType] = {
    PairedBatch: UnpairedBatch,
    StyleBatch: UnpairedBatch,
    LabelledBatch: ImageBatch,
}


def batch_type_keys(batch_type: BatchType) -> tuple[str, ...]:
    return tuple(getattr(batch_type, "__annotations__", {}))


def describe_batch_type(batch_type: BatchType) -> str:
    return DESCRIPTIONS.get(batch_type) or f"batches with the keys {', '.join(batch_type_keys(batch_type))}"


def is_compatible(available: BatchType | None, required: BatchType) -> bool:
    """Whether batches of type `available` can be used where `required` is expected. `None` means that the type is not known.

    Two of the types above can have the same keys and still be incompatible, because the keys mean different things. Your own
    types are compared by their keys only.
    """
    if available is None or available is required:
        return available is required
    if available in DESCRIPTIONS and required in DESCRIPTIONS:
        return _PARENTS.get(available) is required
    return set(batch_type_keys(required)) <= set(batch_type_keys(available))


def num_samples(batch: Mapping[str, Any]) -> int:
    """The number of samples in a batch: the length of its first tensor. Other values may be lists, texts or numbers."""
    return next((len(value) for value in batch.values() if isinstance(value, Tensor) and value.dim() > 0), 0)


def collate(samples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Combine samples into a batch. Tensors, arrays and numbers are stacked, mappings are collated, and all other values are put
    in a list."""
    return {key: _collate_values([sample[key] for sample in samples]) for key in samples[0]}


def _collate_values(values: Sequence[Any]) -> Any:
    if isinstance(values[0], Mapping):
        return collate(values)
    stackable = isinstance(values[0], Tensor | np.ndarray | np.generic | int | float)
    return default_collate(list(values)) if stackable else list(values)
