"""Networks, losses and models that know nothing of this package: they resume exactly, and micro-batches change nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import stylegan_lab
from stylegan_lab.cli.main import run
from stylegan_lab.runs.checkpoint import read_checkpoint
from tests.refusals import assert_refused, refused


class UNet(nn.Module):
    """Takes multiples of 4 pixels, and does not say so."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, width, 4, 2, 1), nn.Conv2d(width, width, 4, 2, 1)
        self.up2, self.up1 = nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ConvTranspose2d(2 * width, 3, 4, 2, 1)

    def forward(self, image: Tensor) -> Tensor:
        half = torch.relu(self.down1(image))
        return torch.tanh(self.up1(torch.cat([half, torch.relu(self.up2(self.down2(half)))], 1)))


class PaddedUNet(UNet):
    multiple_of = 4


class Halving(nn.Sequential):
    """Forgets what its stride does not reach: 47x41 pixels become 46x40."""

    def __init__(self, width: int = 4) -> None:
        super().__init__(nn.Conv2d(3, width, 2, 2), nn.ConvTranspose2d(width, 3, 2, 2))


class ProjectedDiscriminator(nn.Module):
    """A frozen feature network and a trained head (Sauer et al., 2021)."""

    def __init__(self, image_channels: int = 3, width: int = 8) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(image_channels, width, 4, 4), nn.LeakyReLU(0.2)).requires_grad_(False)
        self.head = nn.Conv2d(width, 1, 3)

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(image))
        return logits


class EdgeLoss:
    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    def __call__(self, fake: Tensor, input: Tensor) -> Tensor:
        distances = [(fake.diff(dim=axis) - input.diff(dim=axis)).abs().mean() for axis in (-2, -1)]
        return self.weight * torch.stack(distances).sum()


QUICK = [
    "experiment=smoke", "trust=[tests]", "logger=none", "deterministic=true", "schedule=constant", "evaluate=false", "data.size=16",
    "callbacks.validation=null", "callbacks.samples=null", "callbacks.gan_failures=null",
    "callbacks.checkpointing.monitor=null",
]  # fmt: skip
EDGE = f"model.extra_losses.edge={{_target_: {__name__}.EdgeLoss, weight: 2}}"
OF_MODEL = {
    "cyclegan": ["generator=padded_unet", "discriminator=projected", EDGE],
    "pix2pix": ["model=pix2pix", "generator=padded_unet", "discriminator=projected", EDGE],
    "cut": ["model=cut", "generator=resnet_tiny", "discriminator=projected", "model.nce_layers=[0,4]", EDGE],
}
Train = Callable[..., dict[str, Any]]


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The config groups of a package outside."""
    for group, name, of_class in (
        ("generator", "unet", UNet),
        ("generator", "padded_unet", PaddedUNet),
        ("generator", "halving", Halving),
        ("discriminator", "projected", ProjectedDiscriminator),
    ):
        path = tmp_path / "conf" / group / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"_target_: {__name__}.{of_class.__name__}\n_partial_: true\nwidth: 4\n")
    return tmp_path / "conf"


@pytest.fixture
def train(conf: Path) -> Train:
    """Train with those groups, and return the checkpoint."""

    def train_with(folder: str, *overrides: str) -> dict[str, Any]:
        assert run(["train", "--config-dir", str(conf), *overrides, f"output_dir={folder}"]) == 0
        return read_checkpoint(Path(folder) / "checkpoints" / "last.ckpt")

    return train_with


@pytest.mark.parametrize("model", OF_MODEL)
def test_a_resumed_training_ends_with_the_same_weights(model: str, train: Train) -> None:
    whole = train("whole", *QUICK, *OF_MODEL[model], "iterations=4")
    train("half", *QUICK, *OF_MODEL[model], "iterations=2")
    resumed = train("half", "trust=[tests]", "resume=half", "iterations=4")
    assert resumed["iteration"] == whole["iteration"] == 4
    for part in ("state_dict", "ema", "optimizer_states"):
        torch.testing.assert_close(resumed.get(part), whole.get(part), rtol=0, atol=0)


@pytest.mark.parametrize("model", ["cyclegan", "pix2pix"])  # networks without norms
def test_micro_batches_train_as_the_whole_batch_does(model: str, train: Train) -> None:
    settings = [*QUICK, *OF_MODEL[model], "optimizer=sgd", "iterations=2"]
    whole, split = train("whole", *settings)["state_dict"], train("split", *settings, "micro_batches=2")["state_dict"]
    torch.testing.assert_close(split, whole, rtol=0, atol=1e-6)


def test_the_terms_and_heads_are_trained_and_frozen_features_are_not(train: Train) -> None:
    settings = [*QUICK, *OF_MODEL["cyclegan"]]
    first, later = train("run", *settings, "iterations=1"), train("run", *settings, "iterations=3")
    changed = {
        name for name, tensor in first["state_dict"].items() if not torch.equal(tensor, later["state_dict"][name])
    }
    assert {"discriminator_a.head.weight", "a_to_b.down1.weight"} <= changed
    assert not [name for name in changed if ".features." in name]
    without = train("without", *QUICK, *OF_MODEL["cyclegan"][:-1], "iterations=3")
    assert not torch.equal(without["state_dict"]["a_to_b.up1.weight"], later["state_dict"]["a_to_b.up1.weight"])


def test_a_network_that_says_what_it_needs_translates_images_of_any_size(train: Train) -> None:
    train("run", *QUICK, "generator=padded_unet", "iterations=1")
    image = Image.effect_noise((47, 41), 80).convert("RGB")
    assert stylegan_lab.load("run", trust=["tests"]).translate(image).size == image.size


@pytest.mark.parametrize(("generator", "named"), [("unet", "UNet"), ("halving", "Halving")])
def test_a_network_that_cannot_translate_an_image_is_named(generator: str, named: str, train: Train) -> None:
    """Whether it raises an error, or returns an image of another size."""
    train("run", *QUICK, f"generator={generator}", "iterations=1")
    model = stylegan_lab.load("run", trust=["tests"])
    image = Image.effect_noise((48, 40), 80).convert("RGB")
    assert model.translate(image).size == image.size
    with refused("translate.size_unsupported", named, "47x41", "multiple_of"):
        model.translate(image.resize((47, 41)))


def test_a_misspelt_setting_of_a_network_of_one_s_own_is_recognized(
    conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config-dir", str(conf), *QUICK, "discriminator=projected", "discriminator.widht=2"]
    assert run(["train", *words]) == 2
    named = ("discriminator.widht ", "did you mean discriminator.width?")
    assert_refused(capsys.readouterr().err, "config.unknown_setting", *named)
