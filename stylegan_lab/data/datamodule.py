"""The base class of all data modules. It provides training batches in a reproducible order, held-out batches, and the batch
type."""

import multiprocessing
import os
import shutil
import signal
import sys
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from stylegan_lab.cores import num_cores
from stylegan_lab.data.sampler import EpochSampler, WithExtraDraws, shuffled
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import BatchType, PairedBatch, collate, describe_batch_type, is_compatible
from stylegan_lab.images.value_range import from_bytes
from stylegan_lab.suggestions import lookup

SHARED_MEMORY = Path("/dev/shm")
PREFETCH_BATCHES = 2  # per loader worker
MAX_DECODING_WORKERS, MAX_COPYING_WORKERS = 8, 2


def check_classes(classes: Sequence[str], known: Sequence[str]) -> list[str]:
    """Return the chosen class names as texts. Each must be one of `known`, and none may occur twice."""
    names = [str(name) for name in classes]
    for name in names:
        lookup("data.classes", name, dict.fromkeys(known))
    if not names or len(set(names)) < len(names):
        raise UserError(
            "data.classes_invalid",
            f"data.classes={names}: give one or more different classes of {', '.join(known)}",
        )
    return names


class ImageDataModule(L.LightningDataModule):
    """The base class of data modules. Their data sets return uint8 images, which are converted to floats in [-1, 1] on the
    device."""

    batch_type: BatchType
    collate_samples: Callable[[Sequence[Any]], Any] = staticmethod(collate)  # makes a batch of samples
    factor = 1  # how many times larger `b` is than `a`
    has_true_pairs = False  # whether `b` of a held-out batch is the true translation of `a`

    def __init__(self, size: int, channels: int, batch_size: int, num_workers: int) -> None:
        super().__init__()
        check_at_least("data.batch_size", batch_size, 1)
        check_at_least("data.num_workers", num_workers, 0)
        self.size, self.channels, self.batch_size, self.num_workers = size, channels, batch_size, num_workers
        self.seed = 0  # of the sample order; set to the seed of the experiment
        self.overfit_batches = 0  # train on this many batches only; 0: on all
        self.plan_notes: list[str] = []  # sentences about the data, printed before training

    @abstractmethod
    def train_samples(self) -> Dataset[Any]:
        """Return the training samples, a data set indexed by keys (epoch, index)."""

    def unaugmented_samples(self) -> Dataset[Any]:
        """Return the training samples without augmentation. They are resized like held-out images, and not cropped."""
        return self.train_samples()

    @abstractmethod
    def held_out(self, split: str) -> Dataset[Any]:
        """Return the samples of `split`, "val" or "test", as a data set indexed by integers.

        If the domains differ in size, the data set may repeat images of the smaller one. It then has an attribute `num_distinct`
        with the numbers of different images in `a` and `b`.
        """

    def reference_pairs(self) -> Dataset[Any] | None:
        """Return true pairs of the training domains, or None if there are none. They are used to fit baselines; models never train
        on them."""
        return None

    def source_files(self) -> Mapping[str, Path]:
        """Return the files that the samples are read from, by name. The names stay the same when the folder is moved."""
        return {}

    def serves(self, required: BatchType) -> bool:
        """Return whether a model that trains on batches of this type can train on this data. A custom batch type cannot say in its
        keys that `b` is the true translation of `a`, so `has_true_pairs` is checked too."""
        has_pairs = self.has_true_pairs or self.batch_type is PairedBatch
        return self.has_keys_of(required) and (required is not PairedBatch or has_pairs)

    def has_keys_of(self, required: BatchType) -> bool:
        return is_compatible(self.batch_type, required)

    @property
    def batch_description(self) -> str:
        """A description of the batches, for messages."""
        return describe_batch_type(self.batch_type)

    @property
    def num_samples(self) -> int:
        return len(self.train_samples())  # type: ignore[arg-type]

    def batches_per_epoch(self, ranks: int = 1) -> int:
        samples = self.num_samples
        if (batches := samples // (self.batch_size * ranks)) == 0:
            raise UserError(
                "data.batch_too_large",
                f"data.batch_size={self.batch_size}{f' on {ranks} devices' if ranks > 1 else ''} is larger than the "
                f"training set of {samples} samples; give data.batch_size={max(1, samples // ranks)} or less",
            )
        return self.overfit_batches or batches

    @property
    def batch_bytes(self) -> int:
        """The approximate size of a batch in bytes, for two images per sample."""
        return 2 * self.batch_size * self.channels * self.size**2

    def train_dataloader(self) -> DataLoader[Any]:
        rank, ranks, iteration = 0, 1, 0
        draws: Mapping[str, str] = {}
        if self.trainer is not None:
            rank, ranks = self.trainer.global_rank, self.trainer.world_size
            iteration = getattr(self.trainer.lightning_module, "iteration", 0)  # batches already trained
            draws = getattr(self.trainer.lightning_module, "extra_draws", {})
        epoch, done = divmod(iteration, self.batches_per_epoch(ranks))
        sampler = EpochSampler(
            self.num_samples,
            self.seed,
            epoch=epoch,
            start=done * self.batch_size * ranks,
            rank=rank,
            ranks=ranks,
            repeat=self.overfit_batches * self.batch_size * ranks or None,
        )
        samples = self.train_samples()
        return DataLoader(
            WithExtraDraws(samples, draws, self.seed) if draws else samples,
            batch_size=self.batch_size,
            sampler=sampler,
            collate_fn=self.collate_samples,
            drop_last=True,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            multiprocessing_context=self._worker_context() if self.num_workers else None,
            worker_init_fn=_init_worker if self.num_workers else None,
            # otherwise each iterator draws from the global generator
            generator=torch.Generator().manual_seed(self.seed),
        )

    def val_dataloader(self) -> DataLoader[Any]:
        """Return batches for Lightning's own validation loop. `stylegan-lab train` does not use them: the Validation callback
        scores models."""
        return self._held_out_loader("val")

    def test_dataloader(self) -> DataLoader[Any]:
        return self._held_out_loader("test")

    def predict_dataloader(self) -> DataLoader[Any]:
        return self._held_out_loader("test")

    def _held_out_loader(self, split: str) -> DataLoader[Any]:
        return DataLoader(
            self.held_out(split),
            batch_size=self.batch_size,
            collate_fn=self.collate_samples,
            num_workers=self.num_workers,
            multiprocessing_context=self._worker_context() if self.num_workers else None,
            worker_init_fn=_init_worker if self.num_workers else None,
            generator=torch.Generator(),
        )

    def batches(self, dataset: Dataset[Any]) -> Iterator[dict[str, Any]]:
        """Yield held-out samples or reference pairs as batches for a model, in their order. This draws no random numbers."""
        count = len(dataset)  # type: ignore[arg-type]
        for start in range(0, count, self.batch_size):
            yield self.collate(dataset, range(start, min(start + self.batch_size, count)))

    def first_batch(self, split: str, count: int) -> dict[str, Any]:
        """Return the first `count` samples of a held-out split as one batch, which is the same in every call."""
        dataset = self.held_out(split)
        return self.collate(dataset, range(min(count, len(dataset))))  # type: ignore[arg-type]

    def num_distinct(self, split: str) -> tuple[int, int]:
        """Return the numbers of different held-out images in `a` and in `b`."""
        dataset = self.held_out(split)
        count = len(dataset)  # type: ignore[arg-type]
        return getattr(dataset, "num_distinct", (count, count))

    def training_batches(self, count: int, seed: int = 0) -> Iterator[dict[str, Any]]:
        """Yield up to `count` training samples without augmentation, as batches. Their order depends on `seed`, not on the seed of
        the training."""
        dataset = self.unaugmented_samples()
        keys = [(0, index) for index in shuffled(self.num_samples, seed, 0)[:count]]
        for start in range(0, len(keys), self.batch_size):
            yield self.collate(dataset, keys[start : start + self.batch_size])

    def collate(self, dataset: Dataset[Any], keys: Iterable[Any]) -> dict[str, Any]:
        """Return the samples of these keys as one batch for a model."""
        return self.on_after_batch_transfer(self.collate_samples([dataset[key] for key in keys]), 0)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        return {name: images_to_floats(value) for name, value in batch.items()}

    def _worker_context(self) -> str | None:
        """The start method of workers. A plain fork inherits the locks of background threads (loggers) and may deadlock."""
        if sys.platform == "win32":
            return None
        multiprocessing.set_forkserver_preload([type(self).__module__])  # imported once for all workers
        return "forkserver"


def images_to_floats(value: Any) -> Any:
    """Convert the uint8 images (N, C, H, W) of a batch, also nested ones, to floats in [-1, 1]. Other values stay as they are."""
    if isinstance(value, Mapping):
        return {name: images_to_floats(each) for name, each in value.items()}
    is_image = isinstance(value, Tensor) and value.dtype == torch.uint8 and value.dim() == 4
    return from_bytes(value) if is_image else value


def _init_worker(_: int) -> None:
    """Ignore signals in a loader worker, and end it with the training process.

    Ctrl-C and the signals of a job scheduler reach all processes; the training process finishes its step and saves first. The
    thread is needed because torch watches a worker's parent, which here is the fork server."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if (parent := multiprocessing.parent_process()) is not None:

        def exit_with_parent() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=exit_with_parent, daemon=True).start()


def default_num_workers(decoding: bool, batch_bytes: int) -> int:
    """Return the default number of loader workers of each training process. `batch_bytes` is the size of one batch.

    On a CPU the model needs the cores itself, and copying from a cache is fast; a GPU has to be kept busy. The number is
    limited by the free cores and by the shared memory that the prefetched batches take."""
    gpus = torch.cuda.device_count()
    limit = (MAX_DECODING_WORKERS if decoding else MAX_COPYING_WORKERS) if gpus else int(decoding)
    free = num_cores() // max(1, gpus, int(os.environ.get("LOCAL_WORLD_SIZE") or 1)) - 1
    if SHARED_MEMORY.is_dir():
        free = min(free, shutil.disk_usage(SHARED_MEMORY).free // (PREFETCH_BATCHES * max(1, gpus) * batch_bytes))
    return max(0, min(limit, free))
