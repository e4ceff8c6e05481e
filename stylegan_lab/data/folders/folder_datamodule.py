"""The base class of data modules over image folders. It finds, reads, splits, caches and augments images."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from stylegan_lab.cores import num_cores
from stylegan_lab.data.datamodule import ImageDataModule, default_num_workers
from stylegan_lab.data.folders.cache import CachedImages, CacheRecord, DecodedCache, free_bytes
from stylegan_lab.data.folders.image_list import BadFileReplacingImages, ImageList, PixelBlocks
from stylegan_lab.data.folders.layout import LayoutPart
from stylegan_lab.data.folders.reading import ImageReading, image_size
from stylegan_lab.data.folders.splitting import DEFAULT_FRACTIONS, SplitSettings
from stylegan_lab.data.folders.tree import FolderTree
from stylegan_lab.data.sampler import sample_rng
from stylegan_lab.errors import UserError, check_at_least, join_errors
from stylegan_lab.files.download import cache_dir
from stylegan_lab.images.open_image import UnreadableImageError, display_name, has_end, open_image
from stylegan_lab.images.transforms.augment import Augmentation, apply_augmentations
from stylegan_lab.images.transforms.resize import ResizePolicy

Augmentations = Mapping[str, Augmentation | None]
Files = dict[str, list[list[Path]]]  # split -> domain -> images
MAX_LISTED = 5  # bad files named in a message; the others are counted
FREE_SPACE_FRACTION = 0.5  # of the disk that data.cache=auto may fill
MAX_CACHE_BYTES = 100e9  # data.cache=auto writes no larger cache
MAX_LOAD_RATIO = 1.5  # warn if data.load_size is more than this many times data.size
IMBALANCE_RATIO = 10  # warn if one domain has this many times the images of another


@dataclass(eq=False, repr=False)
class FolderDataModule(ImageDataModule):
    """The base class of data modules over image folders. A subclass lists its images by split and domain in `find_files`, and makes
    data sets of them.

    If `paired`, the images at the same index of all domains belong together. If one of them is unreadable, all of them are left
    out.
    """

    _: KW_ONLY
    resize: ResizePolicy
    augment: Augmentations
    root: str | None = None
    size: int = 256
    load_size: int = 256
    channels: int = 3
    bit_depth: Literal[8, 16] = 8
    background: str = "white"
    batch_size: int = 1
    num_workers: int | Literal["auto"] = "auto"  # type: ignore[assignment]
    bad_files: Literal["refuse", "skip"] = "refuse"
    cache: Literal["auto"] | bool = "auto"
    cache_dir: str | None = None
    val_fraction: float = DEFAULT_FRACTIONS["val"]
    test_fraction: float = DEFAULT_FRACTIONS["test"]
    split_seed: int = 0
    train_list: str | None = None
    val_list: str | None = None
    test_list: str | None = None

    paired = False

    def __post_init__(self) -> None:
        check_at_least("data.size", self.size, 1)
        check_at_least("data.load_size", self.load_size, self.size)
        check_at_least("data.channels", self.channels, 1)
        requested = self.num_workers
        super().__init__(self.size, self.channels, self.batch_size, 0 if requested == "auto" else requested)
        if requested == "auto":
            self.num_workers = default_num_workers(decoding=self.cache is False, batch_bytes=self.batch_bytes)
        self.shape = self._output_shape()
        self._check_shape()
        self.files = self.find_files()
        self._note_small_crops()

    def find_files(self) -> Files:
        """Return the images by split and domain. Unless a subclass overrides this method, all images form one domain."""
        splits = self.actual_paths(self.split(self.tree.layout.parts, self.tree.name))
        return {split: [paths] for split, paths in splits.items()}

    @cached_property
    def image_reading(self) -> ImageReading:
        return ImageReading(self.resize, self.channels, self.bit_depth, self.background)

    @property
    def held_out_reading(self) -> ImageReading:
        return self.image_reading.held_out(*self.shape, self.size / self.load_size)

    @cached_property
    def split_settings(self) -> SplitSettings:
        list_files = {"train": self.train_list, "val": self.val_list, "test": self.test_list}
        lists = {split: Path(file).expanduser() for split, file in list_files.items() if file is not None}
        return SplitSettings({"val": self.val_fraction, "test": self.test_fraction}, self.split_seed, lists)

    @cached_property
    def tree(self) -> FolderTree:
        return FolderTree(expand_path(self.root))

    @cached_property
    def training_images(self) -> list[ImageList]:
        """The training images of each domain. Unreadable files raise an error, or are left out if data.bad_files=skip."""
        bad = self._bad_headers()
        train = self.files["train"]
        paths = list(dict.fromkeys(path for domain in train for path in domain if path not in bad))
        records = self._cache_records(paths) if self._should_cache(paths) else {}
        bad |= {path: record.bad for path, record in records.items() if record.bad is not None}
        sizes = {path: size for path, size in self._headers.items() if not isinstance(size, str)}
        raise_together(lambda: self._report_bad_files(bad), lambda: self.check_sizes(sizes))
        self._note_upscaled([min(sizes[path]) for path in paths])
        images = [ImageList(domain, self.image_reading) for domain in self._remove_bad(train, bad)]
        for each in images if records else ():
            each.cached = CachedImages(self._cache(), [records[path] for path in each.paths])
        return images

    def prepare(self) -> Path:
        """Decode all training images into the cache, and return its folder."""
        self.cache = True
        _ = self.training_images
        return self._cache().folder

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """Raise an error if the sizes of the two images of a pair do not match. Subclasses with pairs override this method."""

    def held_out_images(self, split: str) -> list[ImageList]:
        bad = self._bad_headers() if self.bad_files == "skip" else {}
        return [ImageList(domain, self.held_out_reading) for domain in self._remove_bad(self.files[split], bad)]

    def unaugmented_samples(self) -> Dataset[Any]:
        if not any(self.augment.values()):
            return self.train_samples()
        plain = copy(self)
        plain.augment = {}
        plain.training_images = [ImageList(images.paths, self.held_out_reading) for images in self.training_images]
        return plain.train_samples()

    def training_blocks(self) -> list[PixelBlocks]:
        return list(map(self.skipping_bad_files, self.training_images))

    def held_out_blocks(self, split: str) -> list[PixelBlocks]:
        return list(map(self.skipping_bad_files, self.held_out_images(split)))

    def skipping_bad_files(self, blocks: PixelBlocks) -> PixelBlocks:
        return BadFileReplacingImages(blocks) if self.bad_files == "skip" else blocks

    def split(self, parts: Sequence[LayoutPart], name: str) -> dict[str, list[Path]]:
        """Split the images of one domain, and add a note that says how many images each split has and how they were split."""
        splits, how = self.split_settings.split(parts, name, self.tree.files)
        counted = ", ".join(f"{len(paths):,} {split}" for split, paths in splits.items())
        self.add_plan_note(f"{name}: {counted} ({how})")
        return splits

    def split_domains(self, names: Sequence[str]) -> Files:
        parts = self.tree.layout.parts
        splits = [
            self.actual_paths(self.split([part for part in parts if part.domain == name], name)) for name in names
        ]
        return {split: [domain[split] for domain in splits] for split in splits[0]}

    def source_files(self) -> dict[str, Path]:
        images = {path for domains in self.files.values() for domain in domains for path in domain}
        named = {name.as_posix(): path for name, path in self.tree.files.items() if path in images}
        return named | {f"data.{split}_list": path for split, path in self.split_settings.lists.items()}

    def actual_paths(self, splits: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
        return {split: [self.tree.files[path] for path in paths] for split, paths in splits.items()}

    def add_plan_note(self, sentence: str) -> None:
        if sentence not in self.plan_notes:
            self.plan_notes.append(sentence)

    def note_imbalance(self, names: Sequence[str], files: Files) -> None:
        """Add a warning if one unpaired domain has many more training images than another."""
        counts = dict(zip(names, (len(domain) for domain in files["train"]), strict=True))
        smaller, larger = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        if counts[larger] >= IMBALANCE_RATIO * counts[smaller]:
            times = counts[larger] / counts[smaller]
            self.add_plan_note(
                f"warning: {smaller} has {counts[smaller]:,} training image{'s' * (counts[smaller] > 1)}, {larger} has "
                f"{counts[larger]:,}; each image of {smaller} is used {times:.0f} times as often and may be memorized"
            )

    def _note_small_crops(self) -> None:
        """Warn if training crops show much less than held-out images, which are whole."""
        if self.load_size > MAX_LOAD_RATIO * self.size:
            share = (self.size / self.load_size) ** 2
            published = round(self.size * 286 / 256)
            self.add_plan_note(
                f"warning: training images are crops of data.size={self.size} px from data.load_size={self.load_size}, "
                f"{share:.0%} of their area, but held-out images are shown whole; as in the papers: data.load_size={published}"
            )

    def _note_upscaled(self, sides: Sequence[int]) -> None:
        """Warn if most training images are smaller than data.size. `sides` are their shorter sides."""
        small = [side for side in sides if side < self.size]
        if 2 * len(small) > len(sides):
            step = 64 if (middle := sorted(sides)[len(sides) // 2]) >= 64 else 16
            hint = f"; use data.size={middle // step * step} to avoid upscaling" if middle >= step else ""
            self.add_plan_note(
                f"warning: {len(small):,} of {len(sides):,} training images are smaller than data.size={self.size} (half of them "
                f"have at most {middle} px on the shorter side), so the model learns from upscaled, blurred images{hint}"
            )

    @property
    def batch_bytes(self) -> int:
        return ImageDataModule.batch_bytes.fget(self) * (1 if self.bit_depth == 8 else 4)  # type: ignore[attr-defined]

    def _check_shape(self) -> None:
        height, width = self.shape
        if self.batch_size > 1 and not self.uniform:
            raise UserError(
                "data.image_sizes_differ",
                f"data.batch_size={self.batch_size}: the images of a batch would differ in size; crop them (augment=paper), use "
                "resize=resize, shortest_crop or pad, or set data.batch_size=1",
            )
        if self.uniform and self.size not in (height, width):
            raise UserError(
                "data.size_mismatch",
                f"images are {width}x{height} after augmentation, but data.size={self.size}; crop them (augment=paper) "
                f"or set data.load_size={self.size}",
            )

    def _output_shape(self) -> tuple[int, int]:
        """Height and width of training images, found by processing blank images of two aspect ratios; a square if they differ."""
        shapes = set()
        for height, width in ((3, 4), (4, 3)):
            empty = torch.zeros((self.channels, height * self.load_size, width * self.load_size), dtype=torch.uint8)
            shapes.add(tuple(apply_augmentations(self.resize(empty)[None], self.augment, sample_rng(0)).shape[-2:]))
        self.uniform = len(shapes) == 1
        height, width = shapes.pop() if self.uniform else (self.size, self.size)
        return height, width

    def _cache(self) -> DecodedCache:
        parent = Path(self.cache_dir).expanduser() if self.cache_dir else cache_dir() / "images"
        return DecodedCache(parent, self.tree.base, self.image_reading)

    def _cache_records(self, paths: Sequence[Path]) -> dict[Path, CacheRecord]:
        cache = self._cache()
        try:
            return cache.ensure_decoded(paths)
        except OSError as error:
            reason = f"data.cache_dir={display_name(cache.folder.parent)} cannot be written: {error.strerror or error}"
            if self.cache == "auto":
                self.add_plan_note(f"no cache: {reason}; images are decoded in every epoch")
                return {}
            raise UserError(
                "data.cache_not_writable", f"{reason}; set data.cache_dir=FOLDER, or data.cache=false"
            ) from None

    def _should_cache(self, paths: Sequence[Path]) -> bool:
        if self.cache != "auto":
            return bool(self.cache)
        cache = self._cache()
        need = cache.bytes_for(missing) if (missing := cache.undecoded(paths)) else 0
        if fits := need <= min(MAX_CACHE_BYTES, FREE_SPACE_FRACTION * free_bytes(cache.folder)):
            return fits
        size = f"{need / 1e9:.0f} GB"
        self.add_plan_note(f"no cache: {size} do not fit in {cache.folder.parent}; images are decoded in every epoch")
        return False

    @cached_property
    def _headers(self) -> dict[Path, tuple[int, int] | str]:
        """The size of every image of all splits, or the reason why it cannot be read, as far as its header and end tell."""
        paths = list(dict.fromkeys(path for domains in self.files.values() for domain in domains for path in domain))
        with ThreadPoolExecutor(4 * num_cores()) as threads:
            return dict(zip(paths, threads.map(_header, paths), strict=True))

    def _bad_headers(self) -> dict[Path, str]:
        return {path: header for path, header in self._headers.items() if isinstance(header, str)}

    def _report_bad_files(self, bad: Mapping[Path, str]) -> None:
        if not bad:
            return
        listed = "\n".join(f"  {display_name(path)} {reason}" for path, reason in list(bad.items())[:MAX_LISTED])
        more = f"\n  and {len(bad) - MAX_LISTED:,} more" if len(bad) > MAX_LISTED else ""
        count = f"{len(bad):,} file{'s' * (len(bad) > 1)} of {len(self._headers):,}"
        if self.bad_files == "refuse":
            raise UserError(
                "data.unreadable_images",
                f"{count} cannot be used:\n{listed}{more}\nRepair or remove them (stylegan-lab data check "
                f"{display_name(self.tree.base)} lists all), or set data.bad_files=skip to leave them out",
            )
        self.add_plan_note(f"skipped {count}, which cannot be used:\n{listed}{more}")

    def _remove_bad(self, domains: Sequence[Sequence[Path]], bad: Mapping[Path, str]) -> list[list[Path]]:
        if self.paired:
            rows = [row for row in zip(*domains, strict=True) if not any(path in bad for path in row)]
            left = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in domains]
        else:
            left = [[path for path in domain if path not in bad] for domain in domains]
        if not all(left):
            raise UserError(
                "data.no_readable_images",
                f"{self.tree.name} has no readable image left in one of its domains; repair some of its images, or add others",
            )
        return left


def raise_together(*checks: Callable[[], None], faults: Sequence[UserError] = ()) -> None:
    """Run all checks and raise one error that lists all problems. `faults` are problems that were found before."""
    found = list(faults)
    for check in checks:
        try:
            check()
        except UserError as error:
            found.append(error)
    if found:
        raise join_errors(found, "data.several_problems")


def expand_path(path: str | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _header(path: Path) -> tuple[int, int] | str:
    """Width and height, or why the image cannot be read. It is decoded only if its end is missing."""
    try:
        size = image_size(path)
        if not has_end(path):
            with open_image(path) as image:
                image.load()
        return size
    except UnreadableImageError as error:
        return error.reason
