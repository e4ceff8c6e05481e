"""Several domains with one folder of images each, optionally inside the folders train, val and test."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import partial
from itertools import accumulate
from typing import Any

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, Files, FolderDataModule
from stylegan_lab.data.folders.image_list import PixelBlocks
from stylegan_lab.data.folders.unpaired import HeldOutUnpairedDataset
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import DomainBatch
from stylegan_lab.images.transforms.augment import apply_augmentations
from stylegan_lab.suggestions import lookup


def domain_sample(
    domains: Sequence[PixelBlocks], source: int, position: int, augment: Augmentations, seed: int, key: SampleKey
) -> DomainBatch:
    """Return the image at `position` of domain `source`, a random target domain, and two random images of the target domain."""
    rng = sample_rng(seed, *key)
    target = (source + int(torch.randint(1, len(domains), (), generator=rng))) % len(domains)
    partner, other = torch.randint(len(domains[target]), (2,), generator=rng).tolist()
    return {
        "a": apply_augmentations(domains[source][position], augment, rng)[0],
        "b": apply_augmentations(domains[target][partner], augment, rng)[0],
        "other": apply_augmentations(domains[target][other], augment, rng)[0],
        "source": torch.tensor(source),
        "target": torch.tensor(target),
    }


def _domain_sample(
    domains: Sequence[PixelBlocks], ends: Sequence[int], augment: Augmentations, seed: int, key: SampleKey
) -> DomainBatch:
    """All images of the first domain, then all of the second. `ends` are the indices at which the domains end."""
    source = bisect_right(ends, key[1])
    position = key[1] - ends[source] + len(domains[source])
    return domain_sample(domains, source, position, augment, seed, key)


@dataclass(eq=False, repr=False)
class DomainFoldersDataModule(FolderDataModule):
    """Trains on several domains. Held-out images come only from the domains `source` and `target`."""

    _: KW_ONLY
    domains: list[str]
    source: str | None = None
    target: str | None = None

    batch_type = DomainBatch

    def find_files(self) -> Files:
        found = self.tree.domains
        if len(found) < 2:
            wanted = "a folder for each domain, in data.root or in train, val and test below it"
            raise self.tree.layout_error("domains", wanted)
        if len(self.domains) < 2 or len(set(self.domains)) < len(self.domains):
            raise UserError(
                "data.domains_invalid",
                f"data.domains={self.domains}: give two or more different domains of {', '.join(found)}",
            )
        for name in self.domains:
            lookup("data.domains", name, dict.fromkeys(found))
        for key, domain in (("source", self.source), ("target", self.target)):
            lookup(f"data.{key}", str(domain), dict.fromkeys(self.domains))
        files = self.split_domains(self.domains)
        self.note_imbalance(self.domains, files)
        return files

    def train_samples(self) -> Dataset[Any]:
        domains = self.training_blocks()
        ends = list(accumulate(map(len, domains)))
        return LambdaDataset(ends[-1], partial(_domain_sample, domains, ends, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        domains = self.held_out_blocks(split)
        return HeldOutUnpairedDataset(*(domains[self.domains.index(str(name))] for name in (self.source, self.target)))
