"""Compare the training step of the reference code with the training step of this package, on the same weights and images.

    python -m benchmarks.peer '{"folder": "CHECKOUT", "model": "cyclegan", "precision": "bf16", "size": 64, "steps": 2}'
    python -m benchmarks.peer '{"folder": "CHECKOUT", "model": "cyclegan", "compare_losses": true}'

CHECKOUT is a checkout of https://github.com/taesungp/contrastive-unpaired-translation or, for pix2pix, of
https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix. Its code is imported, never copied. The code imports torchvision
for functions that a training step does not use, so torchvision is replaced by an empty module.
"""

import importlib
import importlib.util
import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.measure import now, peak_memory_mb
from benchmarks.training_step import build, train

# Which of our networks is which of the reference's, and which of our losses is which of its.
NETWORKS = {
    "cyclegan": {"a_to_b": "G_A", "b_to_a": "G_B", "discriminator_b": "D_A", "discriminator_a": "D_B"},
    "cut": {"generator": "G", "discriminator": "D", "projector": "F"},
    "pix2pix": {"generator": "G", "discriminator": "D"},
}
LOSSES = {
    "cyclegan": {
        "generators_a_gan": "G_A", "generators_b_gan": "G_B", "generators_a_cycle": "cycle_A", "generators_b_cycle": "cycle_B",
        "generators_a_identity": "idt_B", "generators_b_identity": "idt_A",
    },
    "cut": {"generators_gan": "G_GAN", "generators_nce": "NCE", "generators_nce_identity": "NCE_Y"},
    "pix2pix": {
        "generators_gan": "G_GAN", "generators_pixel": "G_L1", "discriminators_real": "D_real", "discriminators_fake": "D_fake",
    },
}  # fmt: skip
WEIGHTED = {
    "generators_nce": 0.5,
    "generators_nce_identity": 0.5,
    "discriminators_real": 0.5,
    "discriminators_fake": 0.5,
}
CLASSES = {
    "cyclegan": ("cycle_gan_model", "CycleGANModel"),
    "cut": ("cut_model", "CUTModel"),
    "pix2pix": ("pix2pix_model", "Pix2PixModel"),
}
COMPARED_SIZE = 32  # pixels at which losses are compared; pix2pix's U-Net needs 256
PROJECTOR_SCALE = 30.0
TOLERANCE = 1e-3  # relative; the discriminator's or generator's first step of Adam comes before some of the losses


def main(
    folder: str, model: str = "cyclegan", precision: str = "32", size: int = 256, batch_size: int = 1, steps: int = 2, *,
    compare_losses: bool = False, list_models: bool = False,
) -> dict[str, Any]:  # fmt: skip
    if list_models:
        return {"models": list(supported_models(folder))}
    if compare_losses:
        return compare(folder, model)
    reference = Reference(folder, model, batch_size)
    a, b = (torch.rand(batch_size, 3, size, size) * 2 - 1 for _ in range(2))
    reference.prepare(a, b)
    before = peak_memory_mb()
    reference.step(precision)
    start = now()
    for _ in range(steps):
        reference.step(precision)
    cost = now() - start
    return {
        "seconds": cost.wall / steps, "cpu_seconds": cost.cpu / steps, "images_per_second": batch_size * steps / cost.wall,
        "peak_memory_mb": peak_memory_mb(), "memory_before_training_mb": before,
        "gpu_memory_mb": torch.cuda.max_memory_allocated() / 1e6 if torch.cuda.is_available() else None,
        "batch_size": batch_size, "size": size,
    }  # fmt: skip


def compare(folder: str, model: str) -> dict[str, Any]:
    """Return the losses of the first iteration in the reference code and in this package, from equal weights and images,
    and their largest relative difference."""
    size = 256 if model == "pix2pix" else COMPARED_SIZE
    extra = {
        "cut": ["model.nce_patches=1000000"],
        "pix2pix": ["generator.dropout=0"],
    }.get(model, [])
    experiment = build([f"model={model}", f"data.size={size}", *extra], 1)
    ours = experiment.module
    (batch,) = experiment.data.train_dataloader()
    batch = experiment.data.on_after_batch_transfer(batch, 0)
    # All patches, so that both codes take the same ones.
    reference = Reference(folder, model, 1, num_patches=1_000_000, no_dropout=True)
    reference.prepare(batch["a"], batch["b"])
    if (
        model == "cut"
    ):  # the reference adds 1e-7 to the lengths of projected vectors, which are about as short at the start
        for parameter in ours.get_submodule("projector").parameters():
            parameter.data *= PROJECTOR_SCALE
    for mine, theirs in NETWORKS[model].items():
        copy_weights(ours.get_submodule(mine), reference.network(theirs))
    reference.step("32")
    train(experiment)
    pairs = {}
    for mine, theirs in LOSSES[model].items():
        expected = WEIGHTED.get(mine, 1.0) * getattr(reference.model, f"loss_{theirs}").item()
        pairs[mine] = {"ours": float(ours.latest_losses[mine]), "reference": expected}  # type: ignore[index, operator, arg-type]
    difference = max(abs(each["ours"] / each["reference"] - 1) for each in pairs.values())
    return {"losses": pairs, "relative_difference": difference, "agree": difference < TOLERANCE, "size": size}


def copy_weights(source: nn.Module, target: nn.Module) -> None:
    """Copy the weights of one network to another whose layers have the same order."""
    with torch.no_grad():
        for ours, theirs in zip(source.parameters(), target.parameters(), strict=True):
            theirs.copy_(ours.reshape(theirs.shape))


class Reference:
    """A model of the reference code, with the default settings of its command line."""

    def __init__(self, folder: str, model: str, batch_size: int, **options: Any) -> None:
        with imported_from(folder):
            module, name = CLASSES[model]
            model_class = getattr(importlib.import_module(f"models.{module}"), name)
            self.model = model_class(reference_options(model, batch_size, **options))
        self.device = "cuda" if torch.cuda.is_available() else "cpu"

    def prepare(self, a: Tensor, b: Tensor) -> None:
        """Set the images for all steps, and let CUT build its projector, whose layer sizes depend on the features of the images."""
        self.images = {"A": a, "B": b, "A_paths": [], "B_paths": []}
        if hasattr(self.model, "netF"):
            self.model.data_dependent_initialize(self.images)

    def network(self, name: str) -> nn.Module:
        network: nn.Module = getattr(self.model, f"net{name}")
        return network

    def step(self, precision: str) -> None:
        """Run one iteration. Autocast is added as a user of the reference code would add it."""
        self.model.set_input(self.images)
        with nullcontext() if precision == "32" else torch.autocast(self.device, torch.bfloat16):
            self.model.optimize_parameters()


class imported_from:
    """Within the context, modules are imported from `folder`. If torchvision is not loaded yet, it is replaced by empty modules."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __enter__(self) -> None:
        for name in ("torchvision", "torchvision.transforms"):
            sys.modules.setdefault(name, ModuleType(name))
        sys.path.insert(0, self.folder)

    def __exit__(self, *_: Any) -> None:
        sys.path.remove(self.folder)


def reference_options(model: str, batch_size: int, **options: Any) -> Namespace:
    """Return the options of the reference code that a training step reads, with their default values."""
    gpu_ids = [0] if torch.cuda.is_available() else []
    shared: Mapping[str, Any] = {
        "gpu_ids": gpu_ids, "isTrain": True, "checkpoints_dir": ".", "name": "benchmark", "preprocess": "resize_and_crop",
        "input_nc": 3, "output_nc": 3, "ngf": 64, "ndf": 64, "netG": "resnet_9blocks", "netD": "basic", "n_layers_D": 3,
        "normG": "instance", "normD": "instance", "norm": "instance", "no_dropout": True, "init_type": "normal", "init_gain": 0.02,
        "no_antialias": True, "no_antialias_up": True, "gan_mode": "lsgan", "lr": 2e-4, "beta1": 0.5, "beta2": 0.999,
        "pool_size": 50, "direction": "AtoB", "lambda_A": 10.0, "lambda_B": 10.0, "lambda_identity": 0.5, "amp": False,
        "batch_size": batch_size, "device": torch.device("cuda:0" if gpu_ids else "cpu"),
    }  # fmt: skip
    own: Mapping[str, Mapping[str, Any]] = {
        "cyclegan": {},
        "cut": {
            "no_antialias": False, "no_antialias_up": False, "init_type": "xavier", "nce_layers": "0,4,8,12,16", "nce_idt": True,
            "lambda_GAN": 1.0, "lambda_NCE": 1.0, "netF": "mlp_sample", "netF_nc": 256, "nce_T": 0.07, "num_patches": 256,
            "flip_equivariance": False, "nce_includes_all_negatives_from_minibatch": False, "pool_size": 0,
        },
        "pix2pix": {
            "netG": "unet_256", "norm": "batch", "normG": "batch", "normD": "batch", "gan_mode": "vanilla", "no_dropout": False,
            "lambda_L1": 100.0, "pool_size": 0,
        },
    }  # fmt: skip
    return Namespace(**{**shared, **own[model], **options})


def supported_models(folder: str) -> Iterator[str]:
    """Return the models that this checkout contains."""
    with imported_from(folder):
        for model, (module, _) in CLASSES.items():
            if importlib.util.find_spec(f"models.{module}") is not None:
                yield model


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
