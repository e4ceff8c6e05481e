"""Paired data: pairs side by side in one image, pairs in two folders under the same names, or one single pair of images."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.folder_datamodule import Augmentations, Files, FolderDataModule, raise_together
from stylegan_lab.data.folders.image_list import ImageList, ImagePairs, PixelBlocks
from stylegan_lab.data.folders.layout import (
    SIDE_BY_SIDE_SHARE,
    ambiguous_names,
    matched_pairs,
    pairs_by_word,
    same_aspect,
)
from stylegan_lab.data.folders.reading import ImageReading
from stylegan_lab.data.folders.tree import FolderTree
from stylegan_lab.data.folders.unpaired import two_folder_tree
from stylegan_lab.data.sampler import LambdaDataset, SampleKey, sample_rng
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import PairedBatch, UnpairedBatch
from stylegan_lab.images.open_image import display_name
from stylegan_lab.images.transforms.augment import apply_augmentations

MAX_REFERENCE_PAIRS = 64  # training pairs that baselines are fitted on
MAX_LISTED = 5


def _pair_sample(pairs: PixelBlocks, augment: Augmentations, seed: int, key: SampleKey) -> PairedBatch:
    """Both images of a pair receive the same augmentation. Pairs are repeated if there are fewer than samples."""
    a, b = apply_augmentations(pairs[key[1] % len(pairs)], augment, sample_rng(seed, *key))
    return {"a": a, "b": b}


def _shuffled_sample(pairs: PixelBlocks, augment: Augmentations, seed: int, key: SampleKey) -> PairedBatch:
    """Each `a` with the `b` of another pair, drawn by (seed, epoch, index): two unpaired domains."""
    index, rng = key[1], sample_rng(seed, *key)
    step = int(torch.randint(1, len(pairs), (), generator=rng))
    a = apply_augmentations(pairs[index][:1], augment, rng)[0]
    b = apply_augmentations(pairs[(index + step) % len(pairs)][1:], augment, rng)[0]
    return {"a": a, "b": b}


def _held_out_pair(pairs: PixelBlocks, index: int) -> PairedBatch:
    a, b = pairs[index]
    return {"a": a, "b": b}


@dataclass(eq=False, repr=False)
class PairedFoldersDataModule(FolderDataModule):
    _: KW_ONLY
    a: str | None = None
    b: str | None = None
    sides: Literal["AB", "BA"] = "AB"
    shuffled: bool = False

    batch_type = PairedBatch
    has_true_pairs = True
    paired = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shuffled:
            self.batch_type = UnpairedBatch
            if len(self.files["train"][0]) < 2:
                raise UserError(
                    "data.too_few_pairs",
                    "data.shuffled=true needs at least two training pairs, but there is only one; add pairs",
                )

    @cached_property
    def tree(self) -> FolderTree:
        return two_folder_tree(self.root, self.a, self.b)

    @cached_property
    def image_reading(self) -> ImageReading:
        halves = 0 if len(self.tree.domains) == 2 else 1 if self.sides == "AB" else -1
        return ImageReading(self.resize, self.channels, self.bit_depth, self.background, halves)

    def find_files(self) -> Files:
        if len(self.tree.domains) == 2:
            return self._matched()
        if len(self.tree.domains) > 2 or not self.tree.side_by_side():
            wanted = "images that show a and b side by side, or two folders with images of the same names"
            raise self.tree.layout_error("paired", wanted)
        return super().find_files()

    def _matched(self) -> Files:
        """The first domain is split, and the second follows it."""
        first, second = self.tree.domains
        counterpart_of: dict[Path, Path] = {}
        missing: list[Path] = []
        for _, (in_a, in_b) in matched_pairs(self.tree.layout.parts):
            if in_a is not None and in_b is not None:
                counterpart_of[in_a] = in_b
            else:
                missing += [path for path in (in_a, in_b) if path is not None]
        ambiguous = ambiguous_names(self.tree.layout.parts)
        if ambiguous or missing:
            self._raise_all_faults(ambiguous, missing, counterpart_of)
        parts = [
            part._replace(files=tuple(filter(counterpart_of.__contains__, part.files)))
            for part in self.tree.layout.parts
            if part.domain == first
        ]
        splits = self.split(parts, f"{first} and {second}")
        a = self.actual_paths(splits)
        b = self.actual_paths({split: [counterpart_of[path] for path in paths] for split, paths in splits.items()})
        return {split: [a[split], b[split]] for split in a}

    def _raise_all_faults(
        self, ambiguous: list[list[Path]], missing: list[Path], counterpart_of: Mapping[Path, Path]
    ) -> None:
        """Raise an error that lists names without a counterpart, and the problems of the images that have one."""
        faults = [self._ambiguous(ambiguous)] if ambiguous else []
        faults += [self._missing_pairs(missing)] if missing else []
        a, b = ([self.tree.files[path] for path in paths] for paths in (counterpart_of, counterpart_of.values()))
        self.files = {"train": [a, b]}
        sizes = {path: size for path, size in self._headers.items() if not isinstance(size, str)}
        bad = self._bad_headers() if self.bad_files == "refuse" else {}
        raise_together(lambda: self._report_bad_files(bad), lambda: self.check_sizes(sizes), faults=faults)

    def _ambiguous(self, groups: list[list[Path]]) -> UserError:
        names = [", ".join(display_name(self.tree.files[path]) for path in group) for group in groups[:MAX_LISTED]]
        more = f" and {len(groups) - MAX_LISTED:,} more" if len(groups) > MAX_LISTED else ""
        return UserError(
            "data.counterpart_ambiguous",
            f"{len(groups):,} name{'s have' if len(groups) > 1 else ' has'} several suffixes in one folder, so the counterpart is "
            f"ambiguous: {'; '.join(names)}{more}. Keep one file of each name",
        )

    def _missing_pairs(self, missing: list[Path]) -> UserError:
        listed = ", ".join(display_name(self.tree.files[path]) for path in missing[:MAX_LISTED])
        more = f" and {len(missing) - MAX_LISTED:,} more" if len(missing) > MAX_LISTED else ""
        names = [path.stem for path in missing]
        by_case = len({name.lower() for name in names}) < len(set(names))
        hint = "; some names differ only by upper and lower case" if by_case else ""
        hint += "".join(f"; {sentence}" for sentence in pairs_by_word(list(self.tree.files)))
        return UserError(
            "data.counterpart_missing",
            f"{len(missing):,} image{'s have' if len(missing) > 1 else ' has'} no counterpart of the same name in the "
            f"other folder: {listed}{more}{hint}. Add the counterparts, or remove these images (or use data=unpaired)",
        )

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """Refuse pairs whose images differ in aspect ratio: resizing would hide that the images show different parts of a scene."""
        self._check_halves(sizes)
        odd = []
        for domains in self.files.values():
            for a, b in zip(*domains, strict=True) if len(domains) == 2 else ():
                if a in sizes and b in sizes and not same_aspect(sizes[a], sizes[b]):
                    (width, height), (other_width, other_height) = sizes[a], sizes[b]
                    sides = f"{display_name(a)} is {width}x{height} and {display_name(b)} {other_width}x{other_height}"
                    odd.append(sides)
        if odd:
            more = f", and {len(odd) - 3:,} more pairs" if len(odd) > 3 else ""
            raise UserError(
                "data.pair_aspects_differ",
                f"{len(odd):,} pair{'s have' if len(odd) > 1 else ' has'} images of different aspect ratios: "
                f"{'; '.join(odd[:3])}{more}. "
                "The two images of a pair must show the same part of the same scene; crop them in the same way",
            )

    def _check_halves(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """Refuse images that are not twice as wide as high if most are: they probably do not show pairs, but would be cut in
        two."""
        side_by_side_files = [path for (paths, *other) in self.files.values() if not other for path in paths]
        side_by_side = {path: sizes[path] for path in side_by_side_files if path in sizes}
        odd = {path: size for path, size in side_by_side.items() if not same_aspect(size, (2, 1))}
        if odd and len(odd) < (1 - SIDE_BY_SIDE_SHARE) * len(side_by_side):
            first = list(odd.items())[:MAX_LISTED]
            listed = ", ".join(f"{display_name(path)} is {width}x{height}" for path, (width, height) in first)
            more = f", and {len(odd) - MAX_LISTED:,} more" if len(odd) > MAX_LISTED else ""
            raise UserError(
                "data.not_side_by_side",
                f"{len(odd):,} of {len(side_by_side):,} images {'is' if len(odd) == 1 else 'are'} not twice as wide as high, but "
                f"the others hold two images side by side: {listed}{more}. Remove these images, or scale each pair to that shape",
            )

    def pairs(self, domains: list[ImageList]) -> PixelBlocks:
        return self.skipping_bad_files(ImagePairs(*domains) if len(domains) == 2 else domains[0])

    def train_samples(self) -> Dataset[Any]:
        pairs, make = self.pairs(self.training_images), _shuffled_sample if self.shuffled else _pair_sample
        return LambdaDataset(len(pairs), partial(make, pairs, self.augment, self.seed))

    def held_out(self, split: str) -> Dataset[Any]:
        pairs = self.pairs(self.held_out_images(split))
        return LambdaDataset(len(pairs), partial(_held_out_pair, pairs))

    def reference_pairs(self) -> Dataset[Any]:
        pairs = self.pairs(self.held_out_images("train"))
        return LambdaDataset(min(len(pairs), MAX_REFERENCE_PAIRS), partial(_held_out_pair, pairs))


@dataclass(eq=False, repr=False)
class SinglePairDataModule(PairedFoldersDataModule):
    """A single pair of images, cropped anew for each sample: to overfit a model, or to learn from a single image.

    The pair is given as data.a and data.b, or as data.root: an image that shows the pair side by side, or a folder of two images.
    The same pair is used as held-out data.
    """

    _: KW_ONLY
    crops: int = 100

    def __post_init__(self) -> None:
        check_at_least("data.crops", self.crops, 1)
        super().__post_init__()

    def find_files(self) -> Files:
        paths = [[path] for path in self.tree.files.values()]
        if len(paths) > 2 or (len(paths) == 1 and not self.tree.side_by_side()):
            wanted = "data.a=IMAGE data.b=IMAGE, or data.root=IMAGE that shows both side by side"
            raise self.tree.layout_error("single_pair", wanted)
        self.add_plan_note("one pair; val and test show it uncropped")
        return dict.fromkeys(("train", "val", "test"), paths)

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        if len({sizes[path] for (path,) in self.files["train"] if path in sizes}) > 1:
            (a,), (b,) = self.files["train"]
            raise UserError(
                "data.pair_sizes_differ",
                f"{a.name} is {sizes[a][0]}x{sizes[a][1]} and {b.name} {sizes[b][0]}x{sizes[b][1]}; "
                "scale them to the same size",
            )

    def train_samples(self) -> Dataset[Any]:
        return LambdaDataset(
            self.crops, partial(_pair_sample, self.pairs(self.training_images), self.augment, self.seed)
        )
