"""Refuses to split a batch into micro-batches or over ranks if a layer or loss compares the samples of a batch with each other.

Such a layer or loss declares this with `couples_samples = True`, or with a method `couples_samples(part, whole)`, which
returns whether `part` samples give another result on their own than within a batch of `whole` samples. Batch norms need no
declaration.
"""

from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig
from torch.nn.modules.batchnorm import _BatchNorm

from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.errors import UserError
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import BaseModel
from stylegan_lab.training.hardware import strategy_arguments, world_size


def check_sample_coupling(module: BaseModel, config: DictConfig, data: ImageDataModule) -> None:
    """Refuse micro-batches and devices that would change the result of layers and losses that compare samples."""
    parts, ranks = int(config.micro_batches), world_size(config)
    batch = data.batch_size
    check_batch_norms(module, config, parts, ranks)
    for name, coupled in _declared(module):
        if parts > 1 and coupled(batch // parts, batch):
            raise UserError(
                "training.coupled_micro_batches",
                f"micro_batches={parts}: {name} compares the samples of a batch, so it gives another result for "
                f"{batch // parts} samples than for {batch}; set micro_batches=1",
            )
        if ranks > 1 and coupled(batch, batch * ranks):
            raise UserError(
                "training.coupled_devices",
                f"strategy.devices: {name} compares the samples of a batch, so it gives another result for {batch} samples on each "
                f"of {ranks} devices than for {batch * ranks} samples on one; set another data.batch_size, or use one device",
            )


def check_batch_norms(module: BaseModel, config: DictConfig, parts: int, ranks: int) -> None:
    """Refuse batch norm with micro-batches, and batch norm that must be synchronized over CPU processes."""
    names = [
        name for name, net in module.named_children() if any(isinstance(each, _BatchNorm) for each in net.modules())
    ]
    if names and parts > 1:
        raise UserError(
            "training.batch_norm_micro_batches",
            f"micro_batches={parts}: the statistics of batch norm in {', '.join(names)} would be computed over each "
            "micro-batch instead of the whole batch; use another norm (such as generator.norm=instance), or micro_batches=1",
        )
    is_left_to_us = config.strategy.get("sync_batchnorm") == "auto"
    if names and ranks > 1 and is_left_to_us and not strategy_arguments(config)["sync_batchnorm"]:
        raise UserError(
            "training.batch_norm_not_synchronized",
            f"the statistics of batch norm in {', '.join(names)} cannot be synchronized over CPU processes; "
            "set strategy.sync_batchnorm=false to compute them in each process separately, or use another norm",
        )


def _declared(module: BaseModel) -> Iterator[tuple[str, Any]]:
    """Yield the name of each layer or loss that compares the samples of a batch, with a function of two batch sizes, `part`
    and `whole`. The function returns whether a part of the batch gives another result than the whole batch."""
    things: dict[str, Any] = {name: layer for name, layer in module.named_modules() if name}
    if isinstance(module, AdversarialModel):
        loss = module.adversarial_loss
        things |= {"loss.gan_loss": loss.gan_loss}
        things |= {f"loss.regularizers.{name}": each for name, each in loss.regularizers.items()}
    things |= {f"model.extra_losses.{name}": each for name, each in module.extra_losses.losses.items()}
    for name, thing in things.items():
        declared = getattr(thing, "couples_samples", False)
        if callable(declared):
            yield name, declared
        elif declared:
            yield name, lambda part, whole: part != whole
