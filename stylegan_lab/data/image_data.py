"""What all data modules share: loaders whose order follows the module's own counter, and what kind of batch they give."""

import multiprocessing
import os
import signal
import sys
import threading
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from stylegan_lab.data.sampler import EpochSampler, shuffled
from stylegan_lab.images.batch import Kind
from stylegan_lab.images.convert import from_bytes
from stylegan_lab.mistake import Mistake, at_least


class ImageData(L.LightningDataModule):
    """Datasets give uint8 pictures; batches become floats in [-1, 1] once they are on the device."""

    gives: Kind
    factor = 1  # how many times larger `b` is than `a`
    true_pairs = False  # whether validation and test batches hold the true translation of `a` as `b`

    def __init__(self, size: int, channels: int, batch_size: int, workers: int) -> None:
        super().__init__()
        at_least("data.batch_size", batch_size, 1)
        at_least("data.workers", workers, 0)
        self.size, self.channels, self.batch_size, self.workers = size, channels, batch_size, workers
        self.seed = 0  # of the order; set with the experiment's seed
        self.overfit = 0  # batches to repeat, or 0
        self.notes: list[str] = []  # sentences about the data, said before a training

    @abstractmethod
    def train_samples(self) -> Dataset[Any]:
        """A dataset indexed by draws (epoch, index)."""

    def plain_samples(self) -> Dataset[Any]:
        """The training's as they are held out: whole, and changed by no chance."""
        return self.train_samples()

    @abstractmethod
    def held_out(self, split: str) -> Dataset[Any]:
        """A dataset indexed by integers; `split` is val or test. One that shows pictures of the domain with fewer of them again
        has an attribute `distinct`: how many different ones it shows of `a`, and of `b`."""

    def reference_pairs(self) -> Dataset[Any] | None:
        """True pairs of the training domains, for references to be fitted on; no model sees them. None: there are none."""
        return None

    @property
    def samples(self) -> int:
        return len(self.train_samples())  # type: ignore[arg-type]

    def batches_per_epoch(self, ranks: int = 1) -> int:
        samples = self.samples
        if (batches := samples // (self.batch_size * ranks)) == 0:
            raise Mistake(
                f"data.batch_size={self.batch_size}{f' on {ranks} devices' if ranks > 1 else ''} is larger than the "
                f"training set of {samples}; give data.batch_size={max(1, samples // ranks)} or less"
            )
        return self.overfit or batches

    @property
    def batch_bytes(self) -> int:
        """About what a batch of two pictures a sample takes."""
        return 2 * self.batch_size * self.channels * self.size**2

    def train_dataloader(self) -> DataLoader[Any]:
        rank, ranks, played = self._place()
        epoch, done = divmod(played, self.batches_per_epoch(ranks))
        sampler = EpochSampler(
            self.samples,
            self.seed,
            epoch=epoch,
            start=done * self.batch_size * ranks,
            rank=rank,
            ranks=ranks,
            repeat=self.overfit * self.batch_size * ranks or None,
        )
        return DataLoader(
            self.train_samples(),
            batch_size=self.batch_size,
            sampler=sampler,
            drop_last=True,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
            multiprocessing_context=self._processes() if self.workers else None,
            worker_init_fn=_serve_the_first if self.workers else None,
            generator=torch.Generator().manual_seed(self.seed),  # else each iterator draws from the global stream
        )

    def batches(self, dataset: Dataset[Any]) -> Iterator[dict[str, Tensor]]:
        """Held-out samples or reference pairs in their order, ready for a module. No random number is drawn."""
        count = len(dataset)  # type: ignore[arg-type]
        for start in range(0, count, self.batch_size):
            yield self.collated(dataset, range(start, min(start + self.batch_size, count)))

    def first(self, split: str, count: int) -> dict[str, Tensor]:
        """The first pictures of a held-out split as one batch, the same each time."""
        dataset = self.held_out(split)
        return self.collated(dataset, range(min(count, len(dataset))))  # type: ignore[arg-type]

    def distinct(self, split: str) -> tuple[int, int]:
        """How many different pictures are held out of either domain."""
        dataset = self.held_out(split)
        count = len(dataset)  # type: ignore[arg-type]
        return getattr(dataset, "distinct", (count, count))

    def training_batches(self, count: int, seed: int = 0) -> Iterator[dict[str, Tensor]]:
        """So many samples, or all there are, plain and in the order of a seed, that of the data notwithstanding."""
        dataset, draws = self.plain_samples(), [(0, index) for index in shuffled(self.samples, seed, 0)[:count]]
        for start in range(0, len(draws), self.batch_size):
            yield self.collated(dataset, draws[start : start + self.batch_size])

    def collated(self, dataset: Dataset[Any], keys: Iterable[Any]) -> dict[str, Tensor]:
        """The samples of these keys as one batch, ready for a module."""
        return self.on_after_batch_transfer(default_collate([dataset[key] for key in keys]), 0)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        return {name: from_bytes(value) if value.dtype == torch.uint8 else value for name, value in batch.items()}

    def _processes(self) -> str | None:
        """How workers are started: a plain fork would inherit the locks of background threads (loggers), and may hang on one."""
        if sys.platform == "win32":
            return None
        multiprocessing.set_forkserver_preload([type(self).__module__])  # imported once, for all workers
        return "forkserver"

    def _place(self) -> tuple[int, int, int]:
        """Rank, number of ranks, and batches already played, as the trainer knows them."""
        if self.trainer is None:
            return 0, 1, 0
        played = getattr(self.trainer.lightning_module, "iteration", 0)
        return self.trainer.global_rank, self.trainer.world_size, played


def _serve_the_first(_: int) -> None:
    """Ctrl-C and a queue's signals reach all processes: workers go on until the training has ended its step and saved. But
    they end with it however it ends: torch looks at a worker's parent, which is the server it was forked from."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if (training := multiprocessing.parent_process()) is not None:

        def end_with_it() -> None:
            training.join()
            os._exit(1)

        threading.Thread(target=end_with_it, daemon=True).start()
