"""Data modules of the procedural scenes: unpaired, paired, multi-domain, labelled, style and super-resolution."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.datamodule import check_classes
from stylegan_lab.data.folders.domains import domain_sample
from stylegan_lab.data.folders.unpaired import unpaired_samples
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_index
from stylegan_lab.data.synthetic.generated import GeneratedDataModule
from stylegan_lab.data.synthetic.scenes.styles import STYLES, render
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import DomainBatch, LabelledBatch, PairedBatch, StyleBatch, UnpairedBatch
from stylegan_lab.suggestions import lookup

FIRST_INDEX = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # splits are disjoint ranges of an endless sequence


class SceneImages:
    """`count` scenes in one style, starting at index `first`, as blocks (1, 3, H, W). Each scene is rendered once, when it is first
    read."""

    def __init__(self, style: str, size: int, seed: int, first: int, count: int) -> None:
        self.style, self.size, self.seed, self.first, self.count = style, size, seed, first, count
        self._rendered: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._rendered:
            image = render(self.seed, self.first + index, self.style, self.size)
            self._rendered[index] = torch.from_numpy(image).permute(2, 0, 1).contiguous()[None]
        return self._rendered[index]


def _pair(a: SceneImages, b: SceneImages, key: SampleKey | int) -> PairedBatch:
    return {"a": a[sample_index(key)][0], "b": b[sample_index(key)][0]}


def _domain_sample(domains: Sequence[SceneImages], seed: int, key: SampleKey) -> DomainBatch:
    """The first scene of each domain, then the second of each."""
    position, source = divmod(key[1], len(domains))
    return domain_sample(domains, source, position, {}, seed, key)


def _labelled(domains: Sequence[SceneImages], key: SampleKey | int) -> LabelledBatch:
    """The first scene of each domain, then the second of each. A label is the index of the domain."""
    position, label = divmod(sample_index(key), len(domains))
    return {"image": domains[label][position][0], "label": torch.tensor(label)}


@dataclass(eq=False, repr=False)
class ProceduralScenesDataModule(GeneratedDataModule):
    _: KW_ONLY
    dataset_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 16 <= self.size <= 512:
            raise UserError(
                "data.size_unsupported",
                f"data.size={self.size}: scenes have 16 to 512 pixels; set a size in this range",
            )
        if self.channels != 3:
            raise UserError(
                "data.channels_unsupported",
                f"data.channels={self.channels}: scenes have 3 channels; set data.channels=3",
            )
        self._domains: dict[tuple[str, int, int], SceneImages] = {}

    def _domain(self, style: str, first: int, count: int) -> SceneImages:
        key = (style, first, count)
        if key not in self._domains:
            self._domains[key] = SceneImages(style, self.size, self.dataset_seed, first, count)
        return self._domains[key]

    def _disjoint_domains(self, styles: Sequence[str], split: str) -> list[SceneImages]:
        """A domain for each style. No scene occurs twice."""
        first, count = FIRST_INDEX[split], self.counts[split]
        return [self._domain(style, first + position * count, count) for position, style in enumerate(styles)]


@dataclass(eq=False, repr=False)
class ScenesDataModule(ProceduralScenesDataModule):
    """Scenes in two styles: `train_images` images per domain for training, and `val_images` and `test_images` true pairs that
    training never uses."""

    source: str = "photo"
    target: str = "ukiyoe"

    has_true_pairs = True

    def __post_init__(self) -> None:
        super().__post_init__()
        lookup("data.source", self.source, STYLES), lookup("data.target", self.target, STYLES)

    def held_out(self, split: str) -> Dataset[Any]:
        return self._pairs(split, self.counts[split])

    def reference_pairs(self) -> Dataset[Any]:
        return self._pairs("train", min(64, self.counts["train"]))

    def _pairs(self, split: str, count: int) -> LambdaDataset:
        first = FIRST_INDEX[split]
        a, b = self._domain(self.source, first, count), self._domain(self.target, first, count)
        return LambdaDataset(count, partial(_pair, a, b))


@dataclass(eq=False, repr=False)
class UnpairedScenesDataModule(ScenesDataModule):
    """Unpaired scenes in two styles. The scenes of domain `b` are not those of domain `a`, so training never uses a true pair."""

    batch_type = UnpairedBatch

    def train_samples(self) -> Dataset[Any]:
        a, b = self._disjoint_domains((self.source, self.target), "train")
        return unpaired_samples(a, b, {}, self.seed)


@dataclass(eq=False, repr=False)
class StyleScenesDataModule(ScenesDataModule):
    """Scenes as contents, with a single image of the target style as domain `b`."""

    batch_type = StyleBatch

    def train_samples(self) -> Dataset[Any]:
        count = self.counts["train"]
        contents, style = self._domain(self.source, 0, count), self._domain(self.target, count, 1)
        return unpaired_samples(contents, style, {}, self.seed)


@dataclass(eq=False, repr=False)
class DomainScenesDataModule(ScenesDataModule):
    """Scenes in several styles, different scenes in each style. The held-out pairs are in the styles `source` and `target`."""

    _: KW_ONLY
    domains: Sequence[str] = ("photo", "ukiyoe", "ink", "sketch")

    batch_type = DomainBatch

    def __post_init__(self) -> None:
        super().__post_init__()
        for domain in self.domains:
            lookup("data.domains", domain, STYLES)
        self.domains = list(self.domains)
        if missing := [name for name in (self.source, self.target) if name not in self.domains]:
            raise UserError(
                "data.domain_missing",
                f"data.domains={self.domains} must contain data.source and data.target; add {missing[0]}",
            )

    def train_samples(self) -> Dataset[Any]:
        domains = self._disjoint_domains(self.domains, "train")
        return LambdaDataset(sum(map(len, domains)), partial(_domain_sample, domains, self.seed))


@dataclass(eq=False, repr=False)
class PairedScenesDataModule(ScenesDataModule):
    batch_type = PairedBatch

    def train_samples(self) -> Dataset[Any]:
        return self._pairs("train", self.counts["train"])


@dataclass(eq=False, repr=False)
class SuperResolutionScenesDataModule(PairedScenesDataModule):
    """Scenes for super-resolution. `a` is `b` downsampled by `factor` with average pooling."""

    source: str = field(init=False)
    target: str = field(init=False)
    style: str = "photo"
    factor: int = 2

    def __post_init__(self) -> None:
        lookup("data.style", self.style, STYLES)
        self.source = self.target = self.style
        super().__post_init__()
        check_at_least("data.factor", self.factor, 2)
        if self.size % self.factor:
            raise UserError(
                "data.size_not_divisible",
                f"data.size={self.size} is not a multiple of data.factor={self.factor}; change one of them",
            )

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        images = super().on_after_batch_transfer(batch, dataloader_idx)
        return images | {"a": F.avg_pool2d(images["a"], self.factor)}


@dataclass(eq=False, repr=False)
class LabelledScenesDataModule(ProceduralScenesDataModule):
    """Scenes with their style as the class. Each split has the same number of images of each class, and no scene occurs twice."""

    classes: Sequence[str] = ("photo", "ukiyoe", "ink", "sketch")
    _: KW_ONLY
    size: int = 32
    batch_size: int = 16
    val_images: int = 32

    batch_type = LabelledBatch

    def __post_init__(self) -> None:
        super().__post_init__()
        self.classes = check_classes(self.classes, list(STYLES))

    def class_counts(self) -> Tensor:
        """The number of training images of each class."""
        return torch.full((len(self.classes),), self.counts["train"]).double()

    def train_samples(self) -> Dataset[Any]:
        return self.held_out("train")

    def held_out(self, split: str) -> Dataset[Any]:
        domains = self._disjoint_domains(self.classes, split)
        return LambdaDataset(sum(map(len, domains)), partial(_labelled, domains))
