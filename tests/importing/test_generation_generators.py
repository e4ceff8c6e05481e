"""Imported generators of images from noise give the output of the restated original to 1e-5."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from stylegan_lab.cli.main import run
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.training.loaded_model import load
from tests.importing.restated import R3GAN, StyleGAN2, randomize


def imported(net: nn.Module, prefix: str = "", settings: Sequence[str] = ()) -> GenerativeModel:
    torch.save({f"{prefix}{name}": tensor for name, tensor in net.state_dict().items()}, "net.pth")
    assert run(["import", "net.pth", "--output", "run", *settings]) == 0
    module = load("run").module
    assert isinstance(module, GenerativeModel)
    return module


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape and expected.std(dim=(1, 2, 3)).min() > 0.005
    assert (found - expected).abs().max() < 1e-5 * max(1, float(expected.abs().max()))


@pytest.mark.parametrize("kind", ["skip", "resnet", "orig"])
@pytest.mark.parametrize("classes", [0, 3])
@torch.no_grad()
def test_stylegan2_gives_the_output_of_the_original(kind: str, classes: int) -> None:
    net = randomize(StyleGAN2(kind=kind, classes=classes))
    latents = torch.randn(3, 6)
    label = torch.tensor([0, 2, 1])
    module = imported(net)
    one_hot = F.one_hot(label, classes).float() if classes else None
    assert_same(module.generate(latents, label if classes else None), net(latents, one_hot))


@torch.no_grad()
def test_truncation_moves_toward_the_average_style_of_the_original() -> None:
    net = randomize(StyleGAN2())
    module = imported(net)
    generator = module.generator
    style = generator.styles(torch.randn(1, 6))
    expected = net.mapping.w_avg + 0.5 * (style - net.mapping.w_avg)
    assert torch.allclose(generator.truncate(style, 0.5), expected, atol=1e-6)


@torch.no_grad()
def test_the_averaged_generator_is_preferred() -> None:
    trained, averaged = randomize(StyleGAN2(), 1), randomize(StyleGAN2(), 2)
    torch.save({"G": trained.state_dict(), "G_ema": averaged.state_dict()}, "net.pth")
    assert run(["import", "net.pth", "--output", "run"]) == 0
    latents = torch.randn(2, 6)
    assert_same(load("run").module.generate(latents), averaged(latents))
    assert run(["import", "net.pth", "--output", "other", "--network", "G"]) == 0
    assert_same(load("other").module.generate(latents), trained(latents))


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("prefix", ["", "Model."])
@torch.no_grad()
def test_r3gan_gives_the_output_of_the_original(classes: int, prefix: str) -> None:
    net = randomize(R3GAN(classes=classes))
    latents, label = torch.randn(2, 5), torch.tensor([0, 3])
    module = imported(net, prefix)
    one_hot = F.one_hot(label, classes).float() if classes else None
    assert_same(module.generate(latents, label if classes else None), net(latents, one_hot))


@pytest.mark.parametrize("classes", [0, 3])
def test_an_imported_generator_makes_images_and_is_evaluated(classes: int) -> None:
    imported(randomize(StyleGAN2(classes=classes)), settings=["data.train_images=8", "data.test_images=8"])
    assert run(["evaluate", "run"]) == 0
    assert run(["generate", "run", "out.png", "--n", "4"]) == 0
    with Image.open(Path("out.png")) as grid:
        assert grid.size[0] >= 32
