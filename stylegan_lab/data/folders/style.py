"""Content images with a single style image, or with a folder of style images."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, Files, FolderDataModule
from stylegan_lab.data.folders.image_list import ImageList, PixelBlocks
from stylegan_lab.data.folders.layout import CONTENTS, STYLES
from stylegan_lab.data.folders.tree import FolderTree
from stylegan_lab.data.folders.unpaired import HeldOutUnpairedDataset, unpaired_samples
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.errors import UserError
from stylegan_lab.images.batch import StyleBatch, UnpairedBatch
from stylegan_lab.images.transforms.augment import apply_augmentations


def _single_style_sample(
    contents: PixelBlocks, style: PixelBlocks, augment: Augmentations, seed: int, key: SampleKey
) -> StyleBatch:
    """The style image is not augmented: models may keep statistics of it."""
    content = apply_augmentations(contents[key[1]], augment, sample_rng(seed, *key))
    return {"a": content[0], "b": style[0][0]}


@dataclass(eq=False, repr=False)
class StyleFoldersDataModule(FolderDataModule):
    """Content and style images. Batches are StyleBatch if there is one style image, and UnpairedBatch if there are several. Only
    contents are split; all styles are used for training."""

    _: KW_ONLY
    contents: str | None = None
    styles: str | None = None

    batch_type = StyleBatch

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.files["train"][1]) > 1:
            self.batch_type = UnpairedBatch

    @cached_property
    def tree(self) -> FolderTree:
        if self.contents is None and self.styles is None:
            return super().tree
        if self.contents is None or self.styles is None:
            raise UserError(
                "data.folder_not_set",
                "data=style needs two folders; set data.contents=FOLDER and data.styles=FOLDER (or IMAGE)",
            )
        given = {"contents": self.contents, "styles": self.styles}
        return FolderTree(None, {name: Path(path).expanduser() for name, path in given.items()})

    def find_files(self) -> Files:
        named = {domain.lower(): domain for domain in self.tree.domains}
        contents, styles = (next((named[name] for name in names & named.keys()), None) for names in (CONTENTS, STYLES))
        if contents is None or styles is None:
            wanted = "folders contents and styles in data.root, or data.contents=FOLDER data.styles=IMAGE or FOLDER"
            raise self.tree.layout_error("style", wanted)
        parts = self.tree.layout.parts
        splits = self.actual_paths(self.split([part for part in parts if part.domain == contents], contents))
        style_paths = [self.tree.files[path] for part in parts if part.domain == styles for path in part.files]
        use = "the only style" if len(style_paths) == 1 else "one drawn for each sample"
        self.add_plan_note(f"{styles}: {len(style_paths):,}, {use}")
        return {split: [paths, style_paths] for split, paths in splits.items()}

    def train_samples(self) -> Dataset[Any]:
        contents, styles = self.training_blocks()
        if len(styles) > 1:
            return unpaired_samples(contents, styles, self.augment, self.seed)
        style = ImageList(self.training_images[1].paths, self.held_out_reading)
        return LambdaDataset(len(contents), partial(_single_style_sample, contents, style, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutUnpairedDataset(*self.held_out_blocks(split))
