"""What all modules over a user's folders share: where pictures are, how they are read, split, kept and augmented."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch.utils.data import Dataset

from stylegan_lab.data.folders.cache import Cache, Kept, Record, room
from stylegan_lab.data.folders.layout import Part
from stylegan_lab.data.folders.listing import shown
from stylegan_lab.data.folders.many_hands import cores
from stylegan_lab.data.folders.pictures import Blocks, Pictures, Replacing
from stylegan_lab.data.folders.reading import Reading, size_of
from stylegan_lab.data.folders.tree import Splitting, Tree
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.data.sampler import dice
from stylegan_lab.data.workers import fitting_workers
from stylegan_lab.fetch import cache_folder
from stylegan_lab.images.augment import Augmentation, augmented
from stylegan_lab.images.fit import Fit
from stylegan_lab.images.unreadable import Unreadable
from stylegan_lab.mistake import Mistake, at_least

Augmentations = Mapping[str, Augmentation | None]
Files = dict[str, list[list[Path]]]  # split -> domain -> pictures
TOLD = 5  # bad files by name; the others are counted
SPARE = 0.5  # of the free disk is left by data.cache=auto
MOST = 100e9  # bytes that data.cache=auto takes
UNEVEN = 10  # times as many pictures in one domain as in another are worth a word


@dataclass(eq=False, repr=False)
class FolderData(ImageData):
    """A layout says in `find` which pictures are in which split and domain, and makes datasets of them.

    `aligned`: pictures of the same number in all domains belong together."""

    _: KW_ONLY
    fit: Fit
    augment: Augmentations
    root: str | None = None
    size: int = 256
    load_size: int = 256
    channels: int = 3
    depth: Literal[8, 16] = 8
    background: str = "white"
    batch_size: int = 1
    workers: int | Literal["auto"] = "auto"  # type: ignore[assignment]
    bad_files: Literal["refuse", "skip"] = "refuse"
    cache: Literal["auto"] | bool = "auto"
    cache_dir: str | None = None
    val_share: float = 0.05
    test_share: float = 0.1
    split_seed: int = 0
    train_list: str | None = None
    val_list: str | None = None
    test_list: str | None = None

    aligned = False

    def __post_init__(self) -> None:
        at_least("data.size", self.size, 1)
        at_least("data.load_size", self.load_size, self.size)
        at_least("data.channels", self.channels, 1)
        asked = self.workers
        super().__init__(self.size, self.channels, self.batch_size, 0 if asked == "auto" else asked)
        if asked == "auto":
            self.workers = fitting_workers(decoding=self.cache is False, batch=self.batch_bytes)
        self.shape = self._shape()
        self._check_shape()
        self.files = self.find()

    def find(self) -> Files:
        raise NotImplementedError

    @cached_property
    def reading(self) -> Reading:
        return Reading(self.fit, self.channels, self.depth, self.background)

    @property
    def whole(self) -> Reading:
        """Of held-out pictures."""
        return self.reading.whole(*self.shape, self.size / self.load_size)

    @cached_property
    def splitting(self) -> Splitting:
        lists = {"train": self.train_list, "val": self.val_list, "test": self.test_list}
        given = {split: Path(file).expanduser() for split, file in lists.items() if file is not None}
        return Splitting({"val": self.val_share, "test": self.test_share}, self.split_seed, given)

    @cached_property
    def tree(self) -> Tree:
        return Tree(folder(self.root))

    @cached_property
    def training(self) -> list[Pictures]:
        """The domains, once everything that is to be read was found readable, or left out."""
        bad = dict(self._bad_headers())
        train = self.files["train"]
        each = list(dict.fromkeys(path for domain in train for path in domain if path not in bad))
        records = self._kept(each) if self._caches(each) else {}
        bad |= {path: record.bad for path, record in records.items() if record.bad is not None}
        self._judge(bad)
        sizes = {path: size for path, size in self._headers.items() if not isinstance(size, str)}
        self.check_sizes(sizes)
        self._note_enlarged([min(sizes[path]) for path in each])
        return [
            Pictures(domain, self.reading, Kept(self._cache(), [records[path] for path in domain]) if records else None)
            for domain in self._without(train, bad)
        ]

    def prepare(self) -> Path:
        """Write the cache; says where."""
        self.cache = True
        _ = self.training
        return self._cache().folder

    def check_sizes(self, sizes: Mapping[Path, tuple[int, int]]) -> None:
        """Whether pictures that belong together can."""

    def held_out_pictures(self, split: str) -> list[Pictures]:
        bad = dict(self._bad_headers()) if self.bad_files == "skip" else {}
        return [Pictures(domain, self.whole) for domain in self._without(self.files[split], bad)]

    def plain_samples(self) -> Dataset[Any]:
        if not any(self.augment.values()):
            return self.train_samples()
        plain = copy(self)
        plain.augment = {}
        plain.training = [Pictures(pictures.paths, self.whole) for pictures in self.training]
        return plain.train_samples()

    def lenient(self, blocks: Blocks) -> Blocks:
        return Replacing(blocks) if self.bad_files == "skip" else blocks

    def split(self, parts: Sequence[Part], name: str) -> dict[str, list[Path]]:
        """The parts of one domain; how they were split is noted."""
        splits, how = self.splitting.of(parts, name, self.tree.files)
        counted = ", ".join(f"{len(paths):,} {split}" for split, paths in splits.items())
        self.note(f"{name}: {counted} ({how})")
        return splits

    def real(self, splits: Mapping[str, Sequence[Path]]) -> dict[str, list[Path]]:
        return {split: [self.tree.files[path] for path in paths] for split, paths in splits.items()}

    def note(self, sentence: str) -> None:
        if sentence not in self.notes:
            self.notes.append(sentence)

    def note_balance(self, names: Sequence[str], files: Files) -> None:
        """Of domains that do not belong together, picture by picture."""
        counts = dict(zip(names, (len(domain) for domain in files["train"]), strict=True))
        few, many = min(counts, key=lambda name: counts[name]), max(counts, key=lambda name: counts[name])
        if counts[many] >= UNEVEN * counts[few]:
            times = counts[many] / counts[few]
            self.note(
                f"warning: {few} has {counts[few]:,} training picture{'s' * (counts[few] > 1)}, {many} {counts[many]:,}; "
                f"each of {few} is seen {times:.0f} times as often, and may be learnt by heart"
            )

    def _note_enlarged(self, sides: Sequence[int]) -> None:
        """`sides` are the smaller ones of the training pictures."""
        few = [side for side in sides if side < self.size]
        if 2 * len(few) > len(sides):
            step = 64 if (middle := sorted(sides)[len(sides) // 2]) >= 64 else 16
            fitting = f"; data.size={middle // step * step} needs no enlarging" if middle >= step else ""
            self.note(
                f"warning: {len(few):,} of {len(sides):,} training pictures are smaller than data.size={self.size} (half of all "
                f"have at most {middle} px on their smaller side), so that enlarged, blurred ones are what is learnt{fitting}"
            )

    @property
    def batch_bytes(self) -> int:
        return ImageData.batch_bytes.fget(self) * (1 if self.depth == 8 else 4)  # type: ignore[attr-defined]

    def _check_shape(self) -> None:
        height, width = self.shape
        if self.batch_size > 1 and not self.uniform:
            raise Mistake(
                f"data.batch_size={self.batch_size}: after this fit pictures differ in size; crop them (augment=paper), use "
                "fit=resize, shortest_crop or pad, or give data.batch_size=1"
            )
        if self.uniform and self.size not in (height, width):
            raise Mistake(
                f"pictures come out at {width}x{height}, and data.size={self.size}; crop them (augment=paper) "
                f"or give data.load_size={self.size}"
            )

    def _shape(self) -> tuple[int, int]:
        """Height and width of what the net sees, found out on pictures of two aspects; a square where they differ."""
        shapes = set()
        for height, width in ((3, 4), (4, 3)):
            empty = torch.zeros((self.channels, height * self.load_size, width * self.load_size), dtype=torch.uint8)
            shapes.add(tuple(augmented(self.fit(empty)[None], self.augment, dice(0)).shape[-2:]))
        self.uniform = len(shapes) == 1
        height, width = shapes.pop() if self.uniform else (self.size, self.size)
        return height, width

    def _cache(self) -> Cache:
        place = Path(self.cache_dir).expanduser() if self.cache_dir else cache_folder() / "pictures"
        return Cache(place, self.tree.base, self.reading)

    def _kept(self, paths: Sequence[Path]) -> dict[Path, Record]:
        cache = self._cache()
        try:
            return cache.ready(paths)
        except OSError as error:
            why = f"data.cache_dir={shown(cache.folder.parent)} cannot be written: {error.strerror or error}"
            if self.cache == "auto":
                self.note(f"no cache: {why}; pictures are decoded each time")
                return {}
            raise Mistake(f"{why}; give data.cache_dir=FOLDER, or data.cache=false") from None

    def _caches(self, paths: Sequence[Path]) -> bool:
        if self.cache != "auto":
            return bool(self.cache)
        cache = self._cache()
        need = cache.bytes_for(missing) if (missing := cache.missing(paths)) else 0
        if fits := need <= min(MOST, SPARE * room(cache.folder)):
            return fits
        self.note(
            f"no cache: {need / 1e9:.0f} GB would be too much for {cache.folder.parent}; pictures are decoded each time"
        )
        return False

    @cached_property
    def _headers(self) -> dict[Path, tuple[int, int] | str]:
        """Size, or what is wrong, of every picture in any split."""
        each = list(dict.fromkeys(path for domains in self.files.values() for domain in domains for path in domain))
        with ThreadPoolExecutor(4 * cores()) as threads:
            return dict(zip(each, threads.map(_header, each), strict=True))

    def _bad_headers(self) -> Iterator[tuple[Path, str]]:
        for path, found in self._headers.items():
            if isinstance(found, str):
                yield path, found

    def _judge(self, bad: Mapping[Path, str]) -> None:
        if not bad:
            return
        told = "\n".join(f"  {shown(path)} {reason}" for path, reason in list(bad.items())[:TOLD])
        more = f"\n  and {len(bad) - TOLD:,} more" if len(bad) > TOLD else ""
        count = f"{len(bad):,} file{'s' * (len(bad) > 1)} of {len(self._headers):,}"
        if self.bad_files == "refuse":
            raise Mistake(
                f"{count} cannot be used:\n{told}{more}\nMend or remove them (stylegan-lab data check "
                f"{shown(self.tree.base)} lists all), or leave them out with data.bad_files=skip"
            )
        self.note(f"skipped {count}, which cannot be used:\n{told}{more}")

    def _without(self, domains: Sequence[Sequence[Path]], bad: Mapping[Path, str]) -> list[list[Path]]:
        if self.aligned:
            rows = [row for row in zip(*domains, strict=True) if not any(path in bad for path in row)]
            left = [list(column) for column in zip(*rows, strict=True)] or [[] for _ in domains]
        else:
            left = [[path for path in domain if path not in bad] for domain in domains]
        if not all(left):
            raise Mistake(f"{self.tree.name} has no picture that can be read left in one of its domains")
        return left


def folder(path: str | None) -> Path | None:
    return None if path is None else Path(path).expanduser()


def _header(path: Path) -> tuple[int, int] | str:
    try:
        return size_of(path)
    except Unreadable as error:
        return error.reason
