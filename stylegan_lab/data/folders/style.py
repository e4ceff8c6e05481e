"""Contents, and one picture of a style, the same each time, or a folder of styles to draw from."""

from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData
from stylegan_lab.data.folders.layout import CONTENTS, STYLES
from stylegan_lab.data.folders.pictures import Blocks, Pictures
from stylegan_lab.data.folders.tree import Tree
from stylegan_lab.data.folders.unpaired import HeldOutPictures, UnpairedPictures
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Stylized, Unpaired
from stylegan_lab.mistake import Mistake


class OneStyle(Dataset[Stylized]):
    """The style is not augmented: nets remember what they saw of it."""

    def __init__(self, contents: Blocks, style: Blocks, augment: Augmentations, seed: int) -> None:
        self.contents, self.style, self.augment, self.seed = contents, style, augment, seed

    def __len__(self) -> int:
        return len(self.contents)

    def __getitem__(self, draw: Draw) -> Stylized:
        epoch, index = draw
        content = augmented(self.contents[index], self.augment, dice(self.seed, epoch, index))
        return {"a": content[0], "b": self.style[0][0]}


@dataclass(eq=False, repr=False)
class StyleFolders(FolderData):
    """Gives Stylized for one style, Unpaired for many. Contents are split; every style is trained on."""

    _: KW_ONLY
    contents: str | None = None
    styles: str | None = None

    gives = Stylized

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.files["train"][1]) > 1:
            self.gives = Unpaired

    @cached_property
    def tree(self) -> Tree:
        if self.contents is None and self.styles is None:
            return super().tree
        if self.contents is None or self.styles is None:
            raise Mistake("data=style needs both: data.contents=FOLDER and data.styles=PICTURE or FOLDER")
        return Tree(None, {"contents": Path(self.contents).expanduser(), "styles": Path(self.styles).expanduser()})

    def find(self) -> Files:
        named = {domain.lower(): domain for domain in self.tree.domains}
        contents, styles = (
            next((named[name] for name in names if name in named), None) for names in (CONTENTS, STYLES)
        )
        if contents is None or styles is None:
            wanted = "folders contents and styles in data.root, or data.contents=FOLDER data.styles=PICTURE or FOLDER"
            raise self.tree.wrong("style", wanted)
        parts = self.tree.layout.parts
        splits = self.real(self.split([part for part in parts if part.domain == contents], contents))
        of_style = [self.tree.files[path] for part in parts if part.domain == styles for path in part.files]
        self.note(f"{styles}: {len(of_style):,}, " + ("the one style" if len(of_style) == 1 else "one drawn each time"))
        return {split: [paths, of_style] for split, paths in splits.items()}

    def train_samples(self) -> Dataset[Any]:
        contents, styles = self.training
        if len(styles) > 1:
            return UnpairedPictures(self.lenient(contents), self.lenient(styles), self.augment, self.seed)
        style = Pictures(styles.paths, self.whole)
        return OneStyle(self.lenient(contents), style, self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutPictures(*map(self.lenient, self.held_out_pictures(split)))
