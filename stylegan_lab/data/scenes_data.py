"""The embedded domains as data: an invented world painted in two styles or more, unpaired, paired or labelled; no download."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.choice import choose
from stylegan_lab.data.classes import distinct
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.data.scenes.render import render
from stylegan_lab.data.scenes.styles import STYLES
from stylegan_lab.images.batch import Domains, Labelled, Pair, Stylized, Unpaired
from stylegan_lab.mistake import Mistake, at_least

FIRST = {"train": 0, "val": 1_000_000, "test": 2_000_000}  # splits are disjoint stretches of an endless world


class Domain:
    """`count` scenes in one style, from scene `first` on; each is painted once, when first asked for."""

    def __init__(self, style: str, size: int, world: int, first: int, count: int) -> None:
        self.style, self.size, self.world, self.first, self.count = style, size, world, first, count
        self._painted: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Tensor:
        if index not in self._painted:
            picture = render(self.world, self.first + index, self.style, self.size)
            self._painted[index] = torch.from_numpy(picture).permute(2, 0, 1).contiguous()
        return self._painted[index]


class UnpairedDomains(Dataset[Unpaired]):
    """Every `a` once an epoch; with each a `b` drawn by (seed, epoch, index)."""

    def __init__(self, a: Domain, b: Domain, seed: int) -> None:
        self.a, self.b, self.seed = a, b, seed

    def __len__(self) -> int:
        return max(len(self.a), len(self.b))

    def __getitem__(self, draw: Draw) -> Unpaired:
        epoch, index = draw
        partner = int(torch.randint(len(self.b), (), generator=dice(self.seed, epoch, index)))
        return {"a": self.a[index % len(self.a)], "b": self.b[partner]}


class PairedDomains(Dataset[Pair]):
    def __init__(self, a: Domain, b: Domain) -> None:
        self.a, self.b = a, b

    def __len__(self) -> int:
        return len(self.a)

    def __getitem__(self, draw: Draw | int) -> Pair:
        index = draw if isinstance(draw, int) else draw[1]
        return {"a": self.a[index], "b": self.b[index]}


class ManyDomains(Dataset[Domains]):
    """Every picture of every domain once an epoch; another domain to go to, and two pictures of that, are drawn."""

    def __init__(self, domains: Sequence[Domain], seed: int) -> None:
        self.domains, self.seed = domains, seed

    def __len__(self) -> int:
        return sum(len(domain) for domain in self.domains)

    def __getitem__(self, draw: Draw) -> Domains:
        epoch, index = draw
        chance = dice(self.seed, epoch, index)
        place, source = divmod(index, len(self.domains))
        step = int(torch.randint(1, len(self.domains), (), generator=chance))
        target = (source + step) % len(self.domains)
        partner, other = torch.randint(len(self.domains[target]), (2,), generator=chance).tolist()
        return {
            "a": self.domains[source][place],
            "b": self.domains[target][partner],
            "other": self.domains[target][other],
            "source": torch.tensor(source),
            "target": torch.tensor(target),
        }


class LabelledDomains(Dataset[Labelled]):
    """The first scene of each domain, then the second of each; a label is the place of the domain."""

    def __init__(self, domains: Sequence[Domain]) -> None:
        self.domains = domains

    def __len__(self) -> int:
        return sum(len(domain) for domain in self.domains)

    def __getitem__(self, draw: Draw | int) -> Labelled:
        place, label = divmod(draw if isinstance(draw, int) else draw[1], len(self.domains))
        return {"image": self.domains[label][place], "label": torch.tensor(label)}


class ScenesData(ImageData):
    """`train_scenes` a domain for training; `val_scenes` and `test_scenes` true pairs that training never sees."""

    true_pairs = True

    def __init__(
        self,
        source: str = "photo",
        target: str = "ukiyoe",
        size: int = 64,
        channels: int = 3,
        batch_size: int = 1,
        workers: int = 0,
        train_scenes: int = 400,
        val_scenes: int = 16,
        test_scenes: int = 64,
        world: int = 0,
    ) -> None:
        super().__init__(size, channels, batch_size, workers)
        choose("data.source", source, STYLES), choose("data.target", target, STYLES)
        self.source, self.target, self.world = source, target, world
        self.counts = {"train": train_scenes, "val": val_scenes, "test": test_scenes}
        _check_paintable(size, channels, self.counts)
        self._domains: dict[tuple[str, int, int], Domain] = {}

    def held_out(self, split: str) -> PairedDomains:
        return self._pairs(split, self.counts[split])

    def reference_pairs(self) -> PairedDomains:
        return self._pairs("train", min(64, self.counts["train"]))

    def _pairs(self, split: str, count: int) -> PairedDomains:
        first = FIRST[split]
        return PairedDomains(self._domain(self.source, first, count), self._domain(self.target, first, count))

    def _domain(self, style: str, first: int, count: int) -> Domain:
        key = (style, first, count)
        if key not in self._domains:
            self._domains[key] = Domain(style, self.size, self.world, first, count)
        return self._domains[key]


class UnpairedScenes(ScenesData):
    """Domain `b` shows other scenes than domain `a`, so that no true pair is ever seen in training."""

    gives = Unpaired

    def train_samples(self) -> Dataset[Any]:
        count = self.counts["train"]
        return UnpairedDomains(self._domain(self.source, 0, count), self._domain(self.target, count, count), self.seed)


class StyledScenes(ScenesData):
    """Domain `b` is a single picture of the target style."""

    gives = Stylized

    def train_samples(self) -> Dataset[Any]:
        count = self.counts["train"]
        style = self._domain(self.target, count, 1)
        return UnpairedDomains(self._domain(self.source, 0, count), style, self.seed)


class DomainsOfScenes(ScenesData):
    """Several styles at once, each with scenes of its own. Held-out pairs are of `source` and `target`."""

    gives = Domains

    def __init__(
        self,
        source: str = "photo",
        target: str = "ukiyoe",
        size: int = 64,
        channels: int = 3,
        batch_size: int = 1,
        workers: int = 0,
        train_scenes: int = 400,
        val_scenes: int = 16,
        test_scenes: int = 64,
        world: int = 0,
        domains: Sequence[str] = ("photo", "ukiyoe", "ink", "sketch"),
    ) -> None:
        super().__init__(
            source, target, size, channels, batch_size, workers, train_scenes, val_scenes, test_scenes, world
        )
        for domain in domains:
            choose("data.domains", domain, STYLES)
        if missing := [name for name in (source, target) if name not in domains]:
            raise Mistake(
                f"data.domains={list(domains)} must hold data.source and data.target; {missing[0]} is missing"
            )
        self.domains = list(domains)

    def train_samples(self) -> Dataset[Any]:
        count = self.counts["train"]
        domains = [self._domain(style, place * count, count) for place, style in enumerate(self.domains)]
        return ManyDomains(domains, self.seed)


class PairedScenes(ScenesData):
    gives = Pair

    def train_samples(self) -> Dataset[Any]:
        return self._pairs("train", self.counts["train"])


class ShrunkenScenes(PairedScenes):
    """`a` is `b` at a `factor` of its size, each of its places the mean of those it stands for."""

    def __init__(
        self,
        style: str = "photo",
        factor: int = 2,
        size: int = 64,
        channels: int = 3,
        batch_size: int = 1,
        workers: int = 0,
        train_scenes: int = 400,
        val_scenes: int = 16,
        test_scenes: int = 64,
        world: int = 0,
    ) -> None:
        choose("data.style", style, STYLES)
        super().__init__(
            style, style, size, channels, batch_size, workers, train_scenes, val_scenes, test_scenes, world
        )
        at_least("data.factor", factor, 2)
        if size % factor:
            raise Mistake(f"data.size={size} is no multiple of data.factor={factor}")
        self.factor = factor

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        images = super().on_after_batch_transfer(batch, dataloader_idx)
        return images | {"a": F.avg_pool2d(images["a"], self.factor)}


class LabelledScenes(ImageData):
    """Styles as classes; each split has as many scenes of each, and no scene is painted twice."""

    gives = Labelled

    def __init__(
        self,
        classes: Sequence[str] = ("photo", "ukiyoe", "ink", "sketch"),
        size: int = 32,
        channels: int = 3,
        batch_size: int = 16,
        workers: int = 0,
        train_scenes: int = 400,
        val_scenes: int = 32,
        test_scenes: int = 64,
        world: int = 0,
    ) -> None:
        super().__init__(size, channels, batch_size, workers)
        self.classes, self.world = distinct(classes, list(STYLES)), world
        self.counts = {"train": train_scenes, "val": val_scenes, "test": test_scenes}
        _check_paintable(size, channels, self.counts)
        self._splits = {split: self._painted(FIRST[split], count) for split, count in self.counts.items()}

    def class_counts(self) -> Tensor:
        """Of the training's pictures."""
        return torch.full((len(self.classes),), self.counts["train"]).double()

    def train_samples(self) -> Dataset[Any]:
        return self._splits["train"]

    def held_out(self, split: str) -> Dataset[Any]:
        return self._splits[split]

    def _painted(self, first: int, count: int) -> LabelledDomains:
        return LabelledDomains(
            [
                Domain(style, self.size, self.world, first + place * count, count)
                for place, style in enumerate(self.classes)
            ]
        )


def _check_paintable(size: int, channels: int, counts: Mapping[str, int]) -> None:
    if not 16 <= size <= 512:
        raise Mistake(f"data.size={size}: scenes are painted from 16 to 512 pixels")
    if channels != 3:
        raise Mistake(f"data.channels={channels}: scenes are painted in 3 channels")
    for split, count in counts.items():
        at_least(f"data.{split}_scenes", count, 1)
