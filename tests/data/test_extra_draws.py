"""Extra draws: a model gets further, independent images of a domain from any data module."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from stylegan_lab.cli.main import run
from stylegan_lab.data.sampler import EpochSampler, LambdaDataset, SampleKey, WithExtraDraws, sample_rng
from stylegan_lab.data.synthetic.scenes_datamodule import UnpairedScenesDataModule
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.training.experiment import build_experiment
from tests.refusals import assert_refused

COUNT = 50

UNSB = """
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.translation.cyclegan import CycleGAN


class Unsb(CycleGAN):
    extra_draws = {"a2": "a", "b2": "b"}

    def training_step(self, batch, batch_idx):
        super().training_step(batch, batch_idx)
        self.optimize(self.generators, self.second_losses, batch["a2"], batch["b2"])

    def second_losses(self, a2, b2):
        return Losses({"second": (self.a_to_b(a2) - b2).abs().mean()})


class Wrong(CycleGAN):
    extra_draws = {"a2": "c"}
"""


def numbered(key: SampleKey) -> dict[str, Tensor]:
    """A sample with its index, and its augmentation: a random number."""
    return {"a": torch.tensor(key[1]), "crop": torch.rand((), generator=sample_rng(0, *key))}


def drawn(epochs: int) -> list[dict[str, Tensor]]:
    samples = WithExtraDraws(LambdaDataset(COUNT, numbered), {"a2": "a", "a3": "a", "crop2": "crop"}, seed=0)
    return [samples[epoch, index] for epoch in range(epochs) for index in range(COUNT)]


def test_extra_draws_are_uniform_and_independent_of_the_sample_and_of_each_other() -> None:
    samples = drawn(epochs=40)
    pairs = torch.stack([torch.stack([each["a"], each["a2"], each["a3"]]) for each in samples]).double()
    correlation = torch.corrcoef(pairs.T)
    assert (correlation - torch.eye(3)).abs().max() < 4 / len(samples) ** 0.5
    counts = torch.bincount(pairs[:, 1].long(), minlength=COUNT)
    expected = len(samples) / COUNT
    assert ((counts - expected) ** 2 / expected).sum() < 100, "chi-square with 49 degrees of freedom"


def test_the_augmentation_of_an_extra_draw_is_independent_even_if_it_is_the_same_image() -> None:
    assert all(each["crop"] != each["crop2"] for each in drawn(epochs=2))


def test_extra_draws_depend_on_seed_epoch_and_index_only() -> None:
    samples = LambdaDataset(COUNT, numbered)
    first, again, other = (WithExtraDraws(samples, {"a2": "a"}, seed) for seed in (0, 0, 1))
    keys = [*EpochSampler(COUNT, seed=0), *EpochSampler(COUNT, seed=0, epoch=1)]
    torch.manual_seed(1)
    assert [first[key]["a2"] for key in keys] == [again[key]["a2"] for key in reversed(keys)][::-1]
    assert [first[key]["a2"] for key in keys] != [other[key]["a2"] for key in keys]
    assert [first[0, index]["a2"] for index in range(COUNT)] != [first[1, index]["a2"] for index in range(COUNT)]
    assert all(torch.equal(first[key]["a"], samples[key]["a"]) for key in keys), "the sample itself stays the same"


def test_a_data_module_without_extra_draws_yields_what_it_did() -> None:
    data = UnpairedScenesDataModule(size=16, train_images=4, batch_size=2)
    assert type(data.train_dataloader().dataset) is LambdaDataset


@pytest.mark.parametrize("settings", [["iterations=5"], ["iterations=5", "data.num_workers=2", "micro_batches=2"]])
def test_a_model_with_extra_draws_trains_and_resumes_exactly(settings: list[str]) -> None:
    Path("unsblab.py").write_text(UNSB)
    command = [
        "train",
        "experiment=smoke",
        "logger=none",
        "evaluate=false",
        "trust=[unsblab]",
        "model._target_=unsblab.Unsb",
    ]
    command += [
        "schedule=constant",
        "callbacks.validation=null",
        "callbacks.samples=null",
        "callbacks.checkpointing.every=2",
    ]
    assert run([*command, "output_dir=whole", *settings]) == 0
    assert run([*command, "output_dir=parts", *settings, "iterations=3"]) == 0
    assert run(["train", "resume=parts", "iterations=5", "trust=[unsblab]"]) == 0
    whole, parts = (
        read_checkpoint(Path(f"{name}/checkpoints/000005.ckpt"))["state_dict"] for name in ("whole", "parts")
    )
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_an_extra_draw_of_a_key_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("unsblab.py").write_text(UNSB)
    assert run(["train", "experiment=smoke", "trust=[unsblab]", "model._target_=unsblab.Wrong", "dry_run=true"]) == 2
    named = ("model=Wrong", "extra_draws={'a2': 'c'}", "a, b")
    assert_refused(capsys.readouterr().err, "model.invalid_extra_draws", *named)


OTHER_BATCHES = """
from typing import TypedDict

from torch import Tensor

from stylegan_lab.data.synthetic.scenes_datamodule import UnpairedScenesDataModule
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.models.translation.cyclegan import CycleGAN


class MaskedBatch(UnpairedBatch):
    mask: Tensor


class Masked(CycleGAN):
    batch_type = MaskedBatch


class MaskedScenes(UnpairedScenesDataModule):
    batch_type = MaskedBatch
"""


def test_a_batch_type_of_one_s_own_is_checked_in_words(
    capsys: pytest.CaptureFixture[str], compose_config: Callable[..., DictConfig]
) -> None:
    Path("masklab.py").write_text(OTHER_BATCHES)
    command = ["experiment=smoke", "trust=[masklab]"]
    assert run(["train", *command, "model._target_=masklab.Masked", "dry_run=true"]) == 2
    named = ("model=Masked", "a, b, mask", "data=scenes_unpaired")
    assert_refused(capsys.readouterr().err, "model.data_mismatch", *named)
    data = "data._target_=masklab.MaskedScenes"
    build_experiment(compose_config(*command, "model._target_=masklab.Masked", data), {})
    build_experiment(compose_config(*command, data), {})  # it has all that CycleGAN needs
