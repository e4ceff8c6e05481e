"""One pair of pictures, cropped anew again and again: to overfit on, or to learn from a single image."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Files
from stylegan_lab.data.folders.paired import PairedFolders, PairedPictures
from stylegan_lab.data.folders.pictures import Blocks
from stylegan_lab.mistake import Mistake, at_least


class Again:
    """So many times the same."""

    def __init__(self, blocks: Blocks, times: int) -> None:
        self.blocks, self.times = blocks, times

    def __len__(self) -> int:
        return self.times

    def __getitem__(self, index: int) -> Tensor:
        return self.blocks[index % len(self.blocks)]


@dataclass(eq=False, repr=False)
class SinglePair(PairedFolders):
    """`data.a` and `data.b`, or `data.root`: a picture that shows both side by side, or a folder of two. Held out is the pair
    itself."""

    _: KW_ONLY
    crops: int = 100

    def __post_init__(self) -> None:
        at_least("data.crops", self.crops, 1)
        super().__post_init__()

    def find(self) -> Files:
        paths = [[path] for path in self.tree.files.values()]
        if len(paths) > 2 or (len(paths) == 1 and not self.tree.side_by_side()):
            wanted = "data.a=PICTURE data.b=PICTURE, or as data.root a picture that shows both side by side"
            raise self.tree.wrong("single_pair", wanted)
        self.note("one pair; val and test show it whole")
        return dict.fromkeys(("train", "val", "test"), paths)

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        if len({sizes[path] for (path,) in self.files["train"] if path in sizes}) > 1:
            (a,), (b,) = self.files["train"]
            raise Mistake(
                f"{a.name} is {sizes[a][0]}x{sizes[a][1]} and {b.name} {sizes[b][0]}x{sizes[b][1]}; "
                "the two pictures of a pair show the same at the same size"
            )

    def train_samples(self) -> Dataset[Any]:
        return PairedPictures(Again(self.pairs(self.training), self.crops), self.augment, self.seed)
