"""Any of the layouts, recognised from what the root holds; what was seen is said before a training."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset

from stylegan_lab.data.folders.domains import DomainFolders
from stylegan_lab.data.folders.flat import FlatFolder
from stylegan_lab.data.folders.folder_data import Files, FolderData
from stylegan_lab.data.folders.listing import shown
from stylegan_lab.data.folders.paired import PairedFolders
from stylegan_lab.data.folders.single_pair import SinglePair
from stylegan_lab.data.folders.style import StyleFolders
from stylegan_lab.data.folders.unpaired import UnpairedFolders

LAYOUTS: Mapping[str, type[FolderData]] = {
    "unpaired": UnpairedFolders,
    "paired": PairedFolders,
    "domains": DomainFolders,
    "flat": FlatFolder,
    "style": StyleFolders,
    "single_pair": SinglePair,
}


@dataclass(eq=False, repr=False)
class RecognisedFolders(FolderData):
    """Gives what the layout gives that was recognised, and does as it does."""

    _: KW_ONLY
    sides: Literal["AB", "BA"] = "AB"
    domains: list[str]
    source: str | None = None
    target: str | None = None

    def find(self) -> Files:
        """As the layout finds them."""
        seen = self.tree.layout
        kind = LAYOUTS[seen.data]
        told = {field.name for field in fields(kind)} & {field.name for field in fields(self)}
        self.layout = kind(**{name: getattr(self, name) for name in told})
        self.gives, self.factor, self.true_pairs = self.layout.gives, self.layout.factor, self.layout.true_pairs
        also = f" (or data={' or '.join(seen.also)})" if seen.also else ""
        says = f"{shown(self.tree.base)} looks like data={seen.data}{also}: {'; '.join(seen.evidence)}"
        self.notes = self.layout.notes = [says, *self.layout.notes]
        return self.layout.files

    def prepare(self) -> Path:
        return self.layout.prepare()

    def train_samples(self) -> Dataset[Any]:
        self.layout.seed = self.seed
        return self.layout.train_samples()

    def plain_samples(self) -> Dataset[Any]:
        self.layout.seed = self.seed
        return self.layout.plain_samples()

    def held_out(self, split: str) -> Dataset[Any]:
        return self.layout.held_out(split)

    def reference_pairs(self) -> Dataset[Any] | None:
        return self.layout.reference_pairs()
