"""The data module of data=auto, which detects the layout of the root folder from its contents."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from torch.utils.data import Dataset

from stylegan_lab.data.folders.domains import DomainFoldersDataModule
from stylegan_lab.data.folders.flat import FlatFolderDataModule
from stylegan_lab.data.folders.folder_datamodule import Files, FolderDataModule
from stylegan_lab.data.folders.paired import PairedFoldersDataModule, SinglePairDataModule
from stylegan_lab.data.folders.style import StyleFoldersDataModule
from stylegan_lab.data.folders.unpaired import UnpairedFoldersDataModule
from stylegan_lab.images.open_image import display_name

LAYOUTS: Mapping[str, type[FolderDataModule]] = {
    "unpaired": UnpairedFoldersDataModule,
    "paired": PairedFoldersDataModule,
    "domains": DomainFoldersDataModule,
    "flat": FlatFolderDataModule,
    "style": StyleFoldersDataModule,
    "single_pair": SinglePairDataModule,
}


@dataclass(eq=False, repr=False)
class AutoFoldersDataModule(FolderDataModule):
    """Delegates to the data module of the detected layout."""

    _: KW_ONLY
    sides: Literal["AB", "BA"] = "AB"
    domains: list[str]
    source: str | None = None
    target: str | None = None

    def find_files(self) -> Files:
        detected = self.tree.layout
        kind = LAYOUTS[detected.data]
        shared = {field.name for field in fields(kind)} & {field.name for field in fields(self)}
        self.layout = kind(**{name: getattr(self, name) for name in shared})
        self.batch_type, self.factor = self.layout.batch_type, self.layout.factor
        self.has_true_pairs = self.layout.has_true_pairs
        also = f" (or data={' or '.join(detected.also)})" if detected.also else ""
        looks = f"{display_name(self.tree.base)} looks like data={detected.data}{also}"
        self.plan_notes = self.layout.plan_notes = [f"{looks}: {'; '.join(detected.evidence)}", *self.layout.plan_notes]
        return self.layout.files

    def prepare(self) -> Path:
        return self.layout.prepare()

    def train_samples(self) -> Dataset[Any]:
        self.layout.seed = self.seed
        return self.layout.train_samples()

    def unaugmented_samples(self) -> Dataset[Any]:
        self.layout.seed = self.seed
        return self.layout.unaugmented_samples()

    def held_out(self, split: str) -> Dataset[Any]:
        return self.layout.held_out(split)

    def reference_pairs(self) -> Dataset[Any] | None:
        return self.layout.reference_pairs()
