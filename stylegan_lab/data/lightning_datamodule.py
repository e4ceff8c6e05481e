"""Trains on any LightningDataModule whose samples are dicts. Its datasets are used in the sample order of this framework."""

from collections.abc import Sequence
from typing import Any

import lightning as L
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SequentialSampler, default_collate

from stylegan_lab.data.dataset_datamodule import DatasetDataModule
from stylegan_lab.errors import UserError


class WrappedDataModule(DatasetDataModule):
    """Uses the datasets of a LightningDataModule's loaders. The `collate_fn` of the training loader and the batch hooks are kept.

    `data.batch_size`, `data.num_workers` and the sample order of this framework replace the settings of the loaders. A resumed
    training can continue exactly only if the order depends on nothing but the seed and the epoch.
    """

    setting_names = ("train_dataloader's dataset", "val_dataloader's dataset", "test_dataloader's dataset")

    def __init__(
        self,
        datamodule: L.LightningDataModule,
        size: int = 64,
        channels: int = 3,
        batch_size: int = 1,
        num_workers: int = 0,
        paired: bool = False,
        classes: Sequence[str] = (),
    ) -> None:
        self.name = f"data.datamodule ({type(datamodule).__name__})"
        if not isinstance(datamodule, L.LightningDataModule):
            raise UserError(
                "data.not_a_datamodule",
                f"{self.name} is not a LightningDataModule; set data.datamodule._target_ to a class that is one",
            )
        datamodule.prepare_data()
        for stage in ("fit", "test"):
            datamodule.setup(stage)
        train = self._loader(datamodule, "train")
        if train is None:
            raise UserError(
                "data.no_train_dataloader", f"{self.name} has no train_dataloader; give a class that defines it"
            )
        self._check_order(train)
        val, test = (self._loader(datamodule, split) for split in ("val", "test"))
        super().__init__(
            train.dataset,
            None if val is None else val.dataset,
            None if test is None else test.dataset,
            size,
            channels,
            batch_size,
            num_workers,
            paired,
            classes,
        )
        self.datamodule = datamodule
        if train.collate_fn is not default_collate:
            self.collate_samples = train.collate_fn  # type: ignore[assignment]

    def _loader(self, datamodule: L.LightningDataModule, split: str) -> "DataLoader[Any] | None":
        method = f"{split}_dataloader"
        if getattr(type(datamodule), method) is getattr(L.LightningDataModule, method):
            return None
        loader: Any = getattr(datamodule, method)()
        if loader is not None and not isinstance(loader, DataLoader):
            raise UserError(
                "data.not_a_dataloader",
                f"{self.name}: {method} returns a {type(loader).__name__}; return one DataLoader",
            )
        return loader

    def _check_order(self, loader: "DataLoader[Any]") -> None:
        """Refuse an order of samples that could not be continued after an interruption."""
        sampler: Any = loader.sampler if loader.batch_size is not None else loader.batch_sampler
        plain = isinstance(sampler, SequentialSampler) or (
            isinstance(sampler, RandomSampler) and not sampler.replacement
        )
        if not plain and not isinstance(loader.dataset, IterableDataset):  # that is refused as such
            raise UserError(
                "data.custom_sampler",
                f"{self.name}: train_dataloader has a custom sampler ({type(sampler).__name__}), whose order "
                "cannot be resumed exactly. Use shuffle=True; to show some samples more often, repeat them in the Dataset",
            )

    def train_dataloader(self) -> "DataLoader[Any]":
        self.datamodule.trainer = self.trainer
        return super().train_dataloader()

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return self.datamodule.on_before_batch_transfer(batch, dataloader_idx)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> dict[str, Any]:
        return super().on_after_batch_transfer(
            self.datamodule.on_after_batch_transfer(batch, dataloader_idx), dataloader_idx
        )
