"""Several domains, a folder each, with or without train, val and test above them."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import accumulate
from typing import Any

import torch
from torch.utils.data import Dataset

from stylegan_lab.choice import choose
from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.data.folders.unpaired import HeldOutPictures
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Domains
from stylegan_lab.mistake import Mistake


class PicturesOfDomains(Dataset[Domains]):
    """Every picture of every domain once an epoch; another domain to go to, and two pictures of that, are drawn."""

    def __init__(self, domains: Sequence[Blocks], augment: Augmentations, seed: int) -> None:
        self.domains, self.augment, self.seed = list(domains), augment, seed
        self.ends = list(accumulate(map(len, self.domains)))

    def __len__(self) -> int:
        return self.ends[-1]

    def __getitem__(self, draw: Draw) -> Domains:
        epoch, index = draw
        chance = dice(self.seed, epoch, index)
        source = bisect_right(self.ends, index)
        place = index - self.ends[source] + len(self.domains[source])
        step = int(torch.randint(1, len(self.domains), (), generator=chance))
        target = (source + step) % len(self.domains)
        partner, other = torch.randint(len(self.domains[target]), (2,), generator=chance).tolist()
        return {
            "a": augmented(self.domains[source][place], self.augment, chance)[0],
            "b": augmented(self.domains[target][partner], self.augment, chance)[0],
            "other": augmented(self.domains[target][other], self.augment, chance)[0],
            "source": torch.tensor(source),
            "target": torch.tensor(target),
        }


@dataclass(eq=False, repr=False)
class DomainFolders(FolderData):
    """Held-out pictures are of `source` and `target`."""

    _: KW_ONLY
    domains: list[str]
    source: str | None = None
    target: str | None = None

    gives = Domains

    def find(self) -> Files:
        found = self.tree.domains
        if len(found) < 2:
            raise self.tree.wrong(
                "domains", "a folder for each domain, in data.root or in train, val and test below it"
            )
        if len(self.domains) < 2 or len(set(self.domains)) < len(self.domains):
            raise Mistake(f"data.domains={self.domains}: two or more that differ are expected, of {', '.join(found)}")
        for name in self.domains:
            choose("data.domains", name, dict.fromkeys(found))
        for end, one in (("source", self.source), ("target", self.target)):
            choose(f"data.{end}", str(one), dict.fromkeys(self.domains))
        splits = [
            self.real(self.split([part for part in self.tree.layout.parts if part.domain == name], name))
            for name in self.domains
        ]
        files = {split: [domain[split] for domain in splits] for split in splits[0]}
        self.note_balance(self.domains, files)
        return files

    def train_samples(self) -> Dataset[Any]:
        return PicturesOfDomains([self.lenient(domain) for domain in self.training], self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        domains = self.held_out_pictures(split)
        source, target = (domains[self.domains.index(str(name))] for name in (self.source, self.target))
        return HeldOutPictures(self.lenient(source), self.lenient(target))
