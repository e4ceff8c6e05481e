"""Every variant trains, samples, validates, saves and resumes on a device that is not the CPU, and its steps never wait for it."""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn

from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.paths import CONF
from stylegan_lab.evaluation import classifier
from stylegan_lab.evaluation.feature_extractors import untrained_vgg16
from stylegan_lab.models.image_pool import ImagePool
from stylegan_lab.networks.train_mode_inference import apply_in_train_mode
from stylegan_lab.rng import BatchPosition, batch_position, rand
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.training.experiment import build_module
from stylegan_lab.training.image_translator import ModelTranslator
from stylegan_lab.training.loaded_model import translate_at_size
from tests import simulated_device
from tests.models.test_extra_losses import Distance
from tests.training.train_process import PROCESSES, TrainProcess

pytestmark = pytest.mark.skipif(not simulated_device.IS_SUPPORTED, reason="this torch cannot add a device in Python")

TRANSLATION, GENERATION = "experiment=smoke", "experiment=smoke_generation"
ADA = ["discriminator_augment=ada", "discriminator_augment.initial_p=0.5", "discriminator_augment.update_every=1"]
DIFFAUGMENT = ["discriminator_augment=diffaugment"]
LPIPS = ["features=lpips_squeeze", "features.weights=random", "model.content_weight=1", "model.style_weight=1"]
NCE = ["model.nce_channels=8", "model.nce_patches=16"]
DISTANCE = f"+model.extra_losses.own={{_target_: {Distance.__module__}.{Distance.__qualname__}, weight: 1}}"
# A variant joins by a line.
VARIANTS = {
    "CycleGAN, ADA": ["model=cyclegan", *ADA, "loss=nonsaturating_r1", "model.pool_size=3"],
    "CycleGAN, wgan, micro-batches": [
        "model=cyclegan", "loss=wgan", "loss.n_critic=2", "micro_batches=2", "model.pool_size=3", *LPIPS, "data.size=32",
    ],
    "pix2pix, ADA": ["model=pix2pix", *ADA, "loss=hinge_r1", "generator.norm=batch"],
    "pix2pix, dropout, micro-batches": [
        "model=pix2pix", "generator=unet32", "generator.channels=4", "generator.norm=instance", "generator.dropout=0.5",
        "micro_batches=2", "data.size=32",
    ],
    "CUT, R1": ["model=cut", *NCE, "loss=lsgan_r1"],
    "FastCUT, DiffAugment": ["model=fastcut", *NCE, *DIFFAUGMENT],
    "UNSB": ["model=unsb", "model.num_timesteps=2", "generator=unsb_tiny", "discriminator=unsb_tiny", *NCE],
    "perceptual, own loss": ["model=perceptual", "trust=[tests]", DISTANCE, "model.clip_gradients=1"],
    "super-resolution": [
        "model=perceptual", "model.paired=true", "data=scenes_superres", "generator=srresnet_small", "generator.blocks=1",
    ],
    "multidomain": ["model=multidomain"],
    "StarGAN v2, other style size": [
        "model=stargan2", "generator=stargan2_small", "generator.channels=4", "generator.n_downsample=1", "style_encoder.size=8",
        "deterministic=true",
    ],
    "Johnson": ["model=johnson"],
    "AdaIN": ["model=adain", "generator=adain_decoder", "generator.width=0.1", "data.size=32"],
    "GAN": [GENERATION, "model=gan"],
    "DCGAN, DiffAugment": [GENERATION, "model=dcgan", *DIFFAUGMENT, "loss=nonsaturating_r1"],
    "WGAN": [GENERATION, "model=wgan", "loss.n_critic=2"],
    "WGAN-GP": [GENERATION, "model=wgan_gp", "loss.n_critic=2"],
    "SNGAN, classes": [GENERATION, "model=sngan", "model.classes=${data.classes}", "loss.n_critic=2"],
    "cGAN": [GENERATION, "model=cgan", "model.dequantization=0.01"],
    "ProGAN": [GENERATION, "model=progan", "model.stable_images=1", "model.fade_images=4"],
    "StyleGAN2, ADA": [
        GENERATION, "model=stylegan2", "model.classes=${data.classes}", "generator.w_dim=8", "generator.mapping_layers=1",
        "discriminator.mapping_layers=1", *ADA,
        "model.pl_interval=2", "loss.regularizers.r1.every=2",
    ],
    "R3GAN": [GENERATION, "model=r3gan"],
}  # fmt: skip
LAST = 3  # iteration, and the only one that logs
ALL = [
    "logger=none", "evaluate=false", "data.size=16", "data.val_images=2", "data.batch_size=2", f"trainer.log_every_n_steps={LAST}",
    "callbacks.validation.every=3", "callbacks.samples.every=3", "callbacks.samples.num_images=2",
    "callbacks.gan_failures.every=3", "callbacks.gan_failures.num_images=2", "callbacks.checkpointing.every=3",
    "output_dir=run",
]  # fmt: skip
Waits = dict[str, dict[str, int]]  # by iteration, and by what waits and where


def train(arguments: Sequence[str], folder: Path, on_device: bool = True) -> Waits:
    process = TrainProcess(arguments, folder, simulated_device.train_on_it if on_device else None)
    assert process.wait() == 0, process.printed()
    waits: Waits = json.loads((folder / "waits.json").read_text()) if on_device else {}
    return waits


def arguments(variant: str, *overrides: str) -> list[str]:
    """The overrides of a variant's training. Later values replace earlier ones of the same key."""
    given = [TRANSLATION, *ALL, f"iterations={LAST}", *VARIANTS[variant], *overrides]
    return list({each.split("=")[0]: each for each in given}.values())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Waits]]:
    """The folder of a variant's training, and its waits."""
    known: dict[str, tuple[Path, Waits]] = {}

    def training_of(variant: str) -> tuple[Path, Waits]:
        if variant not in known:
            folder = tmp_path_factory.mktemp("trained")
            known[variant] = folder, train(arguments(variant), folder)
        return known[variant]

    return training_of


def test_every_model_is_among_the_variants() -> None:
    chosen = {each.removeprefix("model=") for overrides in VARIANTS.values() for each in overrides if "model=" in each}
    assert chosen == {path.stem for path in CONF.glob("model/*.yaml")}


@pytest.mark.parametrize("variant", VARIANTS)
def test_no_step_waits_for_the_device_unless_it_logs(
    variant: str, trained: Callable[[str], tuple[Path, Waits]]
) -> None:
    folder, waits = trained(variant)
    assert {iteration: found for iteration, found in waits.items() if int(iteration) < LAST} == {"1": {}, "2": {}}
    assert waits[str(LAST)], "logging, validation, samples and checkpoints have to wait"
    assert list((folder / "run" / "samples").iterdir())


@pytest.mark.parametrize("variant", ["CycleGAN, ADA", "ProGAN", "StyleGAN2, ADA"])
def test_a_run_resumes_on_the_device(
    variant: str, trained: Callable[[str], tuple[Path, Waits]], tmp_path: Path
) -> None:
    shutil.copytree(trained(variant)[0] / "run", tmp_path / "run")
    settings = ["callbacks.validation=null", "callbacks.samples=null", "callbacks.gan_failures=null"]
    waits = train(["resume=run", "iterations=5", "evaluate=true", *settings], tmp_path)
    assert waits.keys() == {"4", "5"} and waits["4"] == {}
    assert (tmp_path / "run" / "scores.json").exists()


def test_the_device_trains_the_same_weights_as_the_cpu(tmp_path: Path) -> None:
    """With SGD: Adam turns the rounding errors of a gradient that is 0 into steps of full size."""
    settings = ["optimizer=sgd", "callbacks.validation=null", "callbacks.samples=null", "callbacks.gan_failures=null"]
    for folder in (there := tmp_path / "there", here := tmp_path / "here"):
        folder.mkdir()
        train(arguments("CycleGAN, ADA", *settings), folder, on_device=folder == there)
    weights, expected = (
        read_checkpoint(folder / "run" / "checkpoints" / "last.ckpt")["state_dict"] for folder in (there, here)
    )
    assert weights.keys() == expected.keys()
    torch.testing.assert_close(weights, expected, rtol=1e-5, atol=1e-6)


# The device itself, in another process.


@pytest.fixture(scope="module")
def in_process() -> Iterator[Callable[..., Any]]:
    """Runs a function in a process that has the device, and returns its result."""
    with ProcessPoolExecutor(1, PROCESSES, simulated_device.install) as pool:
        yield lambda function, *given: pool.submit(function, *given).result()


def waits_of(name: str) -> list[str]:
    there = simulated_device.device()
    image, mask = torch.rand(2, 3).to(there), torch.ones(2, dtype=torch.bool).to(there)
    actions: dict[str, Callable[[], Any]] = {
        "item": lambda: image.sum().item(), "float": lambda: float(image.sum()), "bool": lambda: bool(image.sum() > 0),
        "tolist": image.tolist, "to the host": image.cpu, "not blocking": lambda: image.to("cpu", non_blocking=True),
        "from the host": lambda: torch.ones(2).to(there), "constant": lambda: torch.tensor([1.0, 2.0], device=there),
        "copy": lambda: image.copy_(torch.ones(2, 3)), "mask": lambda: image[mask],
        "host's index": lambda: image[torch.tensor([0, 1])], "nonzero": image.nonzero,
        "arithmetic": lambda: (image * 2 + 1).sum(), "slice": lambda: image[:, 1:],
        "made there": lambda: torch.ones(2, device=there),
        "sent": lambda: torch.ones(2).to(there, non_blocking=True),
        "index": lambda: image[torch.arange(2, device=there)],
    }  # fmt: skip
    simulated_device.waits.clear()
    actions[name]()
    return [each.split(" at ")[0] for each in simulated_device.waits]


@pytest.mark.parametrize(
    "name",
    ["item", "float", "bool", "tolist", "to the host", "not blocking", "from the host", "constant", "copy", "mask", "host's index",
     "nonzero"],
)  # fmt: skip
def test_what_reads_or_copies_waits(name: str, in_process: Callable[..., Any]) -> None:
    assert len(in_process(waits_of, name)) == 1


@pytest.mark.parametrize("name", ["arithmetic", "slice", "made there", "sent", "index"])
def test_what_stays_on_the_device_does_not_wait(name: str, in_process: Callable[..., Any]) -> None:
    assert in_process(waits_of, name) == []


def mix(name: str) -> None:
    image = torch.rand(2, 3, device=simulated_device.device())
    {
        "sum": lambda: image + torch.ones(3),
        "concatenation": lambda: torch.cat([image, torch.ones(2, 3)]),
        "stacked scalars": lambda: torch.stack([image.sum(), torch.tensor(0.5)]),
        "generator": lambda: torch.rand(2, generator=torch.Generator(), device=image.device),
    }[name]()


@pytest.mark.parametrize("name", ["sum", "concatenation", "stacked scalars", "generator"])
def test_devices_do_not_mix(name: str, in_process: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError, match="Expected"):
        in_process(mix, name)


def gradient_of_square() -> list[float]:
    weight = torch.full((3,), 2.0, device=simulated_device.device(), requires_grad=True)
    weight.square().sum().backward()
    gradient: list[float] = weight.grad.tolist()
    return gradient


def test_gradients_are_computed_there(in_process: Callable[..., Any]) -> None:
    assert in_process(gradient_of_square) == [4.0, 4.0, 4.0]


# Random numbers of the device.


def stream_after(name: str) -> bool:
    """Whether the device's random stream is the same after networks are built or applied elsewhere in the package."""
    there = simulated_device.device()
    torch.manual_seed(7)
    before = simulated_device.Backend.rng_state.clone()
    {
        "feature network": lambda: untrained_vgg16.__wrapped__(),
        "classifier": lambda: classifier._net(3, 16, 2, seed=0),
        "train mode": lambda: apply_in_train_mode(nn.Dropout(0.5), torch.ones(2, 3, device=there)),
        "keyed draw": lambda: keyed_draw(there),
    }[name]()
    return torch.equal(simulated_device.Backend.rng_state, before)


def keyed_draw(there: torch.device) -> list[float]:
    with batch_position(BatchPosition(seed=0, iteration=1)):
        drawn = rand(4, device=there)
    assert drawn.device == there
    values: list[float] = drawn.tolist()
    return values


@pytest.mark.parametrize("name", ["feature network", "classifier", "train mode", "keyed draw"])
def test_nothing_else_seeds_the_device(name: str, in_process: Callable[..., Any]) -> None:
    assert in_process(stream_after, name)


def dropout_mask(seed: int) -> list[float]:
    L.seed_everything(seed, verbose=False)
    untrained_vgg16.__wrapped__()
    mask: list[float] = nn.Dropout(0.5)(torch.ones(64, device=simulated_device.device())).tolist()
    return mask


def test_dropout_masks_differ_between_seeds(in_process: Callable[..., Any]) -> None:
    masks = [in_process(dropout_mask, seed) for seed in (0, 1, 0)]
    assert masks[0] == masks[2] != masks[1]


def test_keyed_draws_use_a_generator_of_the_device_of_the_images(in_process: Callable[..., Any]) -> None:
    """Its numbers are those of the CPU's generator with the same seed."""
    assert in_process(keyed_draw, torch.device("cpu")) == in_process(keyed_draw_there)


def keyed_draw_there() -> list[float]:
    return keyed_draw(simulated_device.device())


def places_of_translations() -> list[str]:
    """Of images that are translated whole, in strips and in tiles, resized or not."""
    there = simulated_device.device()
    module = build_module(compose_config([TRANSLATION, "model=cyclegan"])).eval().to(there)
    images, places = torch.randint(0, 256, (2, 3, 40, 48), dtype=torch.uint8), []
    for whole_pixels in (None, 100):
        translator = ModelTranslator(module, whole_pixels=whole_pixels)
        for size in (None, 20):
            for given in (images, images / 127.5 - 1):
                translated = translate_at_size(translator, given, size)
                assert translated.dtype == given.dtype and translated.shape[-2:] == (
                    (40, 48) if size is None else (20, 24)
                )
                places.append(translated.device.type)
    return places


def test_translations_come_back_to_where_the_images_are(in_process: Callable[..., Any]) -> None:
    assert in_process(places_of_translations) == 8 * ["cpu"]


def swap_restored_images() -> list[str]:
    pool, there = ImagePool(1), simulated_device.device()
    pool.restore([torch.zeros(3)])
    pool.to(there)
    simulated_device.waits.clear()
    for _ in range(8):
        assert pool(torch.ones(1, 3, device=there)).device == there
    return list(simulated_device.waits)


def test_restored_images_are_swapped_without_a_wait(in_process: Callable[..., Any]) -> None:
    assert in_process(swap_restored_images) == []
