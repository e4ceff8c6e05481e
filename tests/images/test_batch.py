"""Batches: which types can be used in place of others, and values that are no images."""

from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from torch.utils.data import default_collate

from stylegan_lab.images.batch import (
    DESCRIPTIONS,
    DomainBatch,
    ImageBatch,
    LabelledBatch,
    PairedBatch,
    UnpairedBatch,
    collate,
    describe_batch_type,
    is_compatible,
    num_samples,
)


class MaskedPairs(PairedBatch):
    mask: Tensor


class Depth(TypedDict):
    rgb: Tensor
    depth: Tensor


def sample(number: int) -> dict[str, Any]:
    return {
        "path": f"{number}.png",
        "file": Path(f"{number}.png"),
        "a": torch.full((3, 4, 4), float(number)),
        "label": number,
        "weight": 0.5 * number,
        "boxes": [number] * number,  # of another length in each sample
        "meta": {"size": torch.tensor([number, number]), "class": {"name": "cat"}},
        "nothing": None,
    }


def test_a_pair_can_be_used_as_unpaired_but_not_the_reverse() -> None:
    assert is_compatible(PairedBatch, UnpairedBatch) and is_compatible(PairedBatch, PairedBatch)
    assert is_compatible(LabelledBatch, ImageBatch)
    assert not is_compatible(UnpairedBatch, PairedBatch) and not is_compatible(ImageBatch, UnpairedBatch)
    assert not is_compatible(DomainBatch, UnpairedBatch) and not is_compatible(None, UnpairedBatch)


def test_a_type_of_one_s_own_is_compared_by_its_keys() -> None:
    assert (
        is_compatible(Depth, Depth)
        and is_compatible(MaskedPairs, PairedBatch)
        and is_compatible(MaskedPairs, UnpairedBatch)
    )
    assert not is_compatible(PairedBatch, MaskedPairs) and not is_compatible(Depth, ImageBatch)
    assert describe_batch_type(Depth) == "batches with the keys rgb, depth"
    assert all(describe_batch_type(known) == words for known, words in DESCRIPTIONS.items())


def test_values_that_cannot_be_stacked_are_collated_to_lists() -> None:
    batch = collate([sample(1), sample(2)])
    assert batch["path"] == ["1.png", "2.png"] and batch["file"] == [Path("1.png"), Path("2.png")]
    assert (
        batch["a"].shape == (2, 3, 4, 4) and batch["label"].tolist() == [1, 2] and batch["weight"].tolist() == [0.5, 1]
    )
    assert batch["boxes"] == [[1], [2, 2]] and batch["nothing"] == [None, None]
    assert batch["meta"]["size"].tolist() == [[1, 1], [2, 2]] and batch["meta"]["class"]["name"] == ["cat", "cat"]
    assert num_samples(batch) == 2


def test_what_torch_can_collate_is_collated_like_there() -> None:
    samples = [{"a": torch.rand(3, 4, 4), "label": torch.tensor(number), "x": 0.1 * number} for number in range(3)]
    ours, theirs = collate(samples), default_collate(samples)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) and ours[key].dtype == theirs[key].dtype for key in ours)
