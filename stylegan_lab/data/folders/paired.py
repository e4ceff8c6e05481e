"""True pairs: side by side in one picture, or in two folders by the same name; shuffled, they are two unpaired domains."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_data import Augmentations, Files, FolderData
from stylegan_lab.data.folders.layout import MOSTLY, mates
from stylegan_lab.data.folders.listing import shown
from stylegan_lab.data.folders.pictures import Blocks, Mates, Pictures
from stylegan_lab.data.folders.reading import Reading
from stylegan_lab.data.folders.tree import Tree
from stylegan_lab.data.folders.unpaired import tree_of_two
from stylegan_lab.data.sampler import Draw, dice
from stylegan_lab.images.augment import augmented
from stylegan_lab.images.batch import Pair, Unpaired
from stylegan_lab.mistake import Mistake

REFERENCES = 64  # training pairs that references are fitted on
TOLD = 5
ALIKE = 0.02  # by how much the aspects of two pictures of a pair may differ: a pixel or two


class PairedPictures(Dataset[Pair]):
    """Both pictures of a pair are augmented alike."""

    def __init__(self, pairs: Blocks, augment: Augmentations, seed: int) -> None:
        self.pairs, self.augment, self.seed = pairs, augment, seed

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, draw: Draw) -> Pair:
        epoch, index = draw
        a, b = augmented(self.pairs[index], self.augment, dice(self.seed, epoch, index))
        return {"a": a, "b": b}


class ShuffledPictures(PairedPictures):
    """With each `a` the `b` of another pair, drawn by (seed, epoch, index)."""

    def __getitem__(self, draw: Draw) -> Pair:
        epoch, index = draw
        chance = dice(self.seed, epoch, index)
        step = int(torch.randint(1, len(self), (), generator=chance))
        a = augmented(self.pairs[index][:1], self.augment, chance)[0]
        b = augmented(self.pairs[(index + step) % len(self)][1:], self.augment, chance)[0]
        return {"a": a, "b": b}


class HeldOutPairs(Dataset[Pair]):
    def __init__(self, pairs: Blocks, most: int | None = None) -> None:
        self.pairs, self.most = pairs, most

    def __len__(self) -> int:
        return min(len(self.pairs), self.most or len(self.pairs))

    def __getitem__(self, index: int) -> Pair:
        a, b = self.pairs[index]
        return {"a": a, "b": b}


@dataclass(eq=False, repr=False)
class PairedFolders(FolderData):
    _: KW_ONLY
    a: str | None = None
    b: str | None = None
    sides: Literal["AB", "BA"] = "AB"
    shuffled: bool = False

    gives = Pair
    true_pairs = True
    aligned = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shuffled:
            self.gives = Unpaired
            if len(self.files["train"][0]) < 2:
                raise Mistake(
                    "data.shuffled=true takes the other picture from another pair, and there is one pair to train on"
                )

    @cached_property
    def tree(self) -> Tree:
        return tree_of_two(self.root, self.a, self.b)

    @cached_property
    def reading(self) -> Reading:
        halves = 0 if len(self.tree.domains) == 2 else 1 if self.sides == "AB" else -1
        return Reading(self.fit, self.channels, self.depth, self.background, halves)

    def find(self) -> Files:
        if len(self.tree.domains) == 2:
            return self._matched()
        if len(self.tree.domains) > 2 or not self.tree.side_by_side():
            wanted = "pictures that show a and b side by side, or two folders with pictures of the same names"
            raise self.tree.wrong("paired", wanted)
        splits = self.real(self.split(self.tree.layout.parts, self.tree.name))
        return {split: [paths] for split, paths in splits.items()}

    def _matched(self) -> Files:
        """The first domain is split; the second goes with it."""
        first, second = self.tree.domains
        mate_of: dict[Path, Path] = {}
        alone: list[Path] = []
        for _, (in_a, in_b) in mates(self.tree.layout.parts):
            if in_a is not None and in_b is not None:
                mate_of[in_a] = in_b
            else:
                alone += [path for path in (in_a, in_b) if path is not None]
        if alone:
            raise self._alone(alone)
        parts = [part for part in self.tree.layout.parts if part.domain == first]
        splits = self.split(
            [part._replace(files=tuple(path for path in part.files if path in mate_of)) for part in parts],
            f"{first} and {second}",
        )
        a = self.real(splits)
        b = self.real({split: [mate_of[path] for path in paths] for split, paths in splits.items()})
        return {split: [a[split], b[split]] for split in a}

    def _alone(self, alone: list[Path]) -> Mistake:
        told = ", ".join(shown(self.tree.files[path]) for path in alone[:TOLD])
        more = f" and {len(alone) - TOLD:,} more" if len(alone) > TOLD else ""
        names = [path.stem for path in alone]
        by_case = len({name.lower() for name in names}) < len(set(names))
        hint = "; some names differ only by upper and lower case" if by_case else ""
        return Mistake(
            f"{len(alone):,} picture{'s have' if len(alone) > 1 else ' has'} no mate of the same name in the other folder: "
            f"{told}{more}{hint}. Add the mates, or remove these (or take data=unpaired)"
        )

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """A fit would hide that two pictures do not show the same."""
        self._check_halves(sizes)
        odd = []
        for domains in self.files.values():
            for a, b in zip(*domains, strict=True) if len(domains) == 2 else ():
                if a in sizes and b in sizes and not _alike(sizes[a], sizes[b]):
                    (width, height), (other_width, other_height) = sizes[a], sizes[b]
                    odd.append(f"{shown(a)} is {width}x{height} and {shown(b)} {other_width}x{other_height}")
        if odd:
            more = f", and {len(odd) - 3:,} more pairs" if len(odd) > 3 else ""
            raise Mistake(
                f"{len(odd):,} pair{'s' * (len(odd) > 1)} of another aspect: {'; '.join(odd[:3])}{more}. "
                "The two pictures of a pair show the same part of the same thing; crop them alike"
            )

    def _check_halves(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """Among pictures twice as wide as high, one that is not holds no pair, and would be cut in two all the same."""
        whole = {
            path: sizes[path] for (paths, *mate) in self.files.values() if not mate for path in paths if path in sizes
        }
        odd = {path: size for path, size in whole.items() if not _alike(size, (2, 1))}
        if odd and len(odd) < (1 - MOSTLY) * len(whole):
            told = ", ".join(f"{shown(path)} is {width}x{height}" for path, (width, height) in list(odd.items())[:TOLD])
            more = f", and {len(odd) - TOLD:,} more" if len(odd) > TOLD else ""
            raise Mistake(
                f"{len(odd):,} of {len(whole):,} pictures {'is' if len(odd) == 1 else 'are'} not twice as wide as high, as "
                f"the others are that hold two side by side: {told}{more}. Remove them, or scale what is a pair to that shape"
            )

    def pairs(self, domains: list[Pictures]) -> Blocks:
        return self.lenient(Mates(*domains) if len(domains) == 2 else domains[0])

    def train_samples(self) -> Dataset[Any]:
        kind = ShuffledPictures if self.shuffled else PairedPictures
        return kind(self.pairs(self.training), self.augment, self.seed)

    def held_out(self, split: str) -> Dataset[Any]:
        return HeldOutPairs(self.pairs(self.held_out_pictures(split)))

    def reference_pairs(self) -> Dataset[Any]:
        return HeldOutPairs(self.pairs(self.held_out_pictures("train")), REFERENCES)


def _alike(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return abs(one[0] / one[1] * other[1] / other[0] - 1) <= ALIKE
