"""A Dataset of dicts, or a LightningDataModule, of one's own is training data like any other."""

import random
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from torch.utils.data import DataLoader, Dataset, IterableDataset, WeightedRandomSampler

from stylegan_lab.cli.main import run
from stylegan_lab.data.dataset_datamodule import DatasetDataModule
from stylegan_lab.data.lightning_datamodule import WrappedDataModule
from stylegan_lab.images.batch import DomainBatch, ImageBatch, LabelledBatch, PairedBatch, UnpairedBatch
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.training.experiment import build_data
from tests.refusals import assert_refused, refused

SETTINGS: dict[str, Any] = {"size": 32, "batch_size": 2}


class Noisy(Dataset[Any]):
    """Two images, a path and nested values; the augmentation draws from torch, numpy and Python's `random`."""

    def __init__(self, count: int = 12, first: int = 0) -> None:
        self.count, self.first = count, first

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, Any]:
        assert isinstance(index, int) and index < self.count
        image = torch.full((3, 32, 32), 10 * index + self.first, dtype=torch.uint8)
        noise = random.randrange(10) + int(np.random.randint(10)) + int(torch.randint(10, ()))
        return {
            "path": f"{index}.png",
            "a": image,
            "b": image + noise,
            "draws": [float(torch.rand(())), random.random(), float(np.random.rand())],
            "meta": {"index": index, "box": [noise] * index},
        }


class Images(Dataset[Any]):
    def __init__(self, image: Any = None, **other: Any) -> None:
        self.sample = {"image": torch.zeros(3, 32, 32) - 0.5 if image is None else image, **other}

    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.sample


class Tuples(Dataset[Any]):
    def __len__(self) -> int:
        return 8

    def __getitem__(self, index: int) -> Any:
        return torch.zeros(3, 32, 32), 0


class Empty(Tuples):
    def __len__(self) -> int:
        return 0


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield {"image": torch.zeros(3, 32, 32)}


class NoisyDataModule(L.LightningDataModule):
    def __init__(self, batch_size: int = 7) -> None:
        super().__init__()
        self.batch_size, self.calls = batch_size, []

    def prepare_data(self) -> None:
        self.calls.append("prepare")

    def setup(self, stage: str) -> None:
        self.calls.append(stage)
        self.train, self.val = Noisy(), Noisy(4, first=100)

    def train_dataloader(self) -> Any:
        return DataLoader(self.train, self.batch_size, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(self.val, self.batch_size)

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return {**batch, "seen": True}


class Weighted(NoisyDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(self.train, 2, sampler=WeightedRandomSampler([1.0] * 12, 12))


class Several(NoisyDataModule):
    def train_dataloader(self) -> Any:
        return [super().train_dataloader()]


def first_batch(data: DatasetDataModule) -> dict[str, Any]:
    batch: dict[str, Any] = data.on_after_batch_transfer(next(iter(data.train_dataloader())), 0)
    return batch


@pytest.mark.parametrize(
    "data", [DatasetDataModule(Noisy(), **SETTINGS), WrappedDataModule(NoisyDataModule(), **SETTINGS)], ids=["dataset", "module"]
)  # fmt: skip
def test_batches_hold_all_that_the_samples_hold(data: DatasetDataModule) -> None:
    batch = first_batch(data)
    assert batch["a"].shape == (2, 3, 32, 32) and batch["a"].dtype == torch.float32 and batch["a"].abs().max() <= 1
    assert batch["path"] == [f"{index}.png" for index in batch["meta"]["index"].tolist()]
    assert [len(box) for box in batch["meta"]["box"]] == batch["meta"]["index"].tolist()
    assert data.num_samples == 12 and data.batches_per_epoch() == 6
    assert next(iter(data.val_dataloader()))["path"] == ["0.png", "1.png"]


def test_the_random_numbers_of_a_dataset_depend_on_seed_epoch_and_index_only() -> None:
    """So they are the same in any worker, at any rank, and after a resume; and nothing else's numbers change."""
    samples = DatasetDataModule(Noisy(), **SETTINGS).train_samples()

    def seed_all(seed: int) -> None:
        torch.manual_seed(seed), random.seed(seed), np.random.seed(seed)

    def draws(epoch: int) -> list[list[float]]:
        return [samples[epoch, index]["draws"] for index in range(12)]

    seed_all(3)
    first = draws(epoch=0)
    following = torch.rand(()), random.random(), np.random.rand()
    seed_all(4)
    assert draws(epoch=0) == first, "whatever the state of the three generators is"
    for generator in range(3):
        drawn = {draw[generator] for epoch in range(2) for draw in draws(epoch)}
        assert len(drawn) == 24, "another number for each sample and each epoch"
    seed_all(3)
    assert following == (torch.rand(()), random.random(), np.random.rand())


def test_keys_say_which_models_can_be_trained() -> None:
    unpaired, paired = DatasetDataModule(Noisy(), **SETTINGS), DatasetDataModule(Noisy(), paired=True, **SETTINGS)
    assert unpaired.serves(UnpairedBatch) and not unpaired.serves(PairedBatch) and not unpaired.serves(DomainBatch)
    assert paired.serves(PairedBatch) and paired.serves(UnpairedBatch) and paired.has_true_pairs
    images = DatasetDataModule(Images(label=1), classes=["x", "y"], **SETTINGS)
    assert images.serves(LabelledBatch) and images.serves(ImageBatch) and not images.serves(UnpairedBatch)
    assert images.batch_type is LabelledBatch and images.class_counts().tolist() == [0, 8]


def test_held_out_datasets_are_used_and_their_absence_is_said() -> None:
    data = DatasetDataModule(Noisy(), test_dataset=Noisy(3, first=100), **SETTINGS)
    assert len(data.held_out("val")) == len(data.held_out("test")) == 3 and not data.plan_notes  # type: ignore[arg-type]
    assert "nothing is held out" in DatasetDataModule(Noisy(), **SETTINGS).plan_notes[0]
    wrapped = WrappedDataModule(NoisyDataModule(), **SETTINGS)
    assert len(wrapped.held_out("test")) == 4 and wrapped.collate(wrapped.held_out("val"), [0])["seen"]  # type: ignore[arg-type]
    assert wrapped.datamodule.calls == ["prepare", "fit", "test"]  # type: ignore[attr-defined]


def test_floats_without_negative_values_are_noted() -> None:
    assert "[-1, 1], not [0, 1]" in DatasetDataModule(Images(torch.rand(3, 32, 32)), **SETTINGS).plan_notes[-1]


@pytest.mark.parametrize(
    ("dataset", "code", "named"),
    [
        (Stream(), "data.iterable_dataset", "IterableDataset"),
        (Tuples(), "data.sample_not_a_dict", "tuple"),
        (Empty(), "data.dataset_empty", "Empty"),
        (object(), "data.not_a_dataset", "object"),
        (Images(np.zeros((32, 32, 3))), "data.not_an_image", "ndarray"),
        (Images(torch.zeros(32, 32)), "data.not_an_image", "2 dimensions"),
        (Images(torch.zeros(1, 64, 64)), "data.size_mismatch", "data.channels=1 data.size=64"),
        (Images(torch.full((3, 32, 32), 255.0)), "data.values_out_of_range", "255 to 255"),
    ],
)
def test_samples_that_cannot_be_trained_on_are_refused(dataset: Any, code: str, named: str) -> None:
    with refused(code, "data.dataset", named):
        DatasetDataModule(dataset, **SETTINGS)


@pytest.mark.parametrize(
    ("datamodule", "code", "named"),
    [
        (Weighted(), "data.custom_sampler", "WeightedRandomSampler"),
        (Several(), "data.not_a_dataloader", "list"),
        (L.LightningDataModule(), "data.no_train_dataloader", "train_dataloader"),
    ],
)
def test_data_modules_that_could_not_be_resumed_are_refused(
    datamodule: L.LightningDataModule, code: str, named: str
) -> None:
    with refused(code, "data.datamodule", named):
        WrappedDataModule(datamodule, **SETTINGS)


@pytest.mark.parametrize(
    "data",
    [
        ["data=dataset", "data.dataset._target_=datalab.Noisy", "+data.val_dataset._target_=datalab.Noisy",
         "+data.val_dataset.count=4"],
        ["data=dataset", "data.dataset._target_=datalab.Noisy", "data.num_workers=2", "micro_batches=2"],
        ["data=datamodule", "data.datamodule._target_=datalab.NoisyDataModule", "+data.datamodule.batch_size=3"],
    ],
)  # fmt: skip
def test_a_training_on_one_s_own_data_resumes_exactly(data: list[str]) -> None:
    Path("datalab.py").write_text(Path(__file__).read_text())
    command = [
        "train",
        "logger=none",
        "trust=[datalab]",
        "generator=resnet_tiny",
        "discriminator=patch_tiny",
        "schedule=constant",
        *data,
    ]
    command += ["data.size=32", "data.batch_size=2", "callbacks.checkpointing.every=2"]
    assert run([*command, "output_dir=whole", "iterations=8"]) == 0
    assert run([*command, "output_dir=parts", "iterations=3"]) == 0
    assert run(["train", "resume=parts", "iterations=8", "trust=[datalab]"]) == 0
    whole, parts = (
        read_checkpoint(Path(f"{name}/checkpoints/000008.ckpt"))["state_dict"] for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_data_of_one_s_own_are_asked_for_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    Path("datalab.py").write_text(Path(__file__).read_text())
    Path("conf/data").mkdir(parents=True)
    Path("conf/data/mine.yaml").write_text("_target_: datalab.NoisyDataModule\nbatch_size: 3\n")
    command = ["train", "trust=[datalab]", "dry_run=true"]
    small = ["data.size=32", "data.dataset._target_=datalab.Noisy"]
    for given, code, *named in (
        (["data=dataset"], "config.missing_setting", "data.dataset._target_"),
        (["data=dataset", *small, "model=pix2pix"], "model.data_mismatch", "model=pix2pix", "data.paired=false"),
        (["--config-dir", "conf", "data=mine"], "config.missing_in_data", "data=datamodule data.datamodule._target_=CLASS"),
        (["data=dataset", "data.size=32", "data.dataset._target_=datalab.Tuples"], "data.sample_not_a_dict", "tuple"),
    ):  # fmt: skip
        assert run([*command, *given]) == 2
        assert_refused(capsys.readouterr().err, code, *named)
    with refused("data.not_a_datamodule", "data=datamodule data.datamodule._target_=datalab.NoisyDataModule"):
        build_data(OmegaConf.create({"data": {"_target_": "datalab.NoisyDataModule"}, "trust": ["datalab"]}))
