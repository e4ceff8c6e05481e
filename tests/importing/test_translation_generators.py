"""Imported image-to-image generators give the output of the restated original to 1e-5.

Composing the config of a run takes most of the time of an import. So each kind of network is read and built without a run, and a
few are imported by the command.
"""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.cli.main import run
from stylegan_lab.files.weights_file import read_weights_file
from stylegan_lab.importing.detection import read_generators
from stylegan_lab.importing.imported import ImportOptions
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.generators.unet import UNetGenerator
from stylegan_lab.training.loaded_model import load
from tests.importing.restated import FastStyle, ResNet, ResNetInParts, UNet, randomize

RESNETS = {
    "reference": {},
    "affine": {"norm": "affine"},
    "batch": {"norm": "batch"},
    "batch with biases": {"norm": "batch", "bias": True},
    "batch without affine": {"norm": "batch_plain", "bias": False},
    "dropout": {"dropout": True, "blocks": 1},
    "batch and dropout": {"norm": "batch", "dropout": True},
    "zero padding": {"padding": "zero", "blocks": 3},
    "zero padding and dropout": {"padding": "zero", "dropout": True},
    "antialiased": {"down": "antialiased", "up": "antialiased"},
    "antialiased batch": {"down": "antialiased", "up": "antialiased", "norm": "batch"},
    "antialiased down only": {"down": "antialiased"},
    "block": {"inner": "block"},
    "upsample and convolution": {"inner": "block", "up": "nearest"},
    "upsample, padding and convolution": {"inner": "block", "up": "resize"},
    "no biases": {"bias": False},
    "one channel": {"in_channels": 1, "out_channels": 1},
    "three to one channel": {"out_channels": 1},
    "three levels": {"levels": 3, "channels": 2},
}  # fmt: skip


def save(net: nn.Module, path: str = "net.pth") -> str:
    torch.save(net.state_dict(), path)
    return path


def networks_in(file: str, network: Callable[..., nn.Module] = ResNetGenerator) -> list[nn.Module]:
    """The generators that an import of the file builds."""
    found = read_generators(read_weights_file(Path(file)), ImportOptions()).values()
    networks = [network(**generator.settings).eval() for generator in found]
    for each, generator in zip(networks, found, strict=True):
        each.load_state_dict(dict(generator.weights))
    return networks


def import_and_translate(file: str, image: Tensor, *arguments: str, output: str = "run") -> Tensor:
    assert run(["import", file, "--output", output, "discriminator.channels=2", *arguments]) == 0
    module = load(output).module
    with torch.no_grad():
        return module.translate(image)


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1e-5
    assert expected.std() > 0.05, "the comparison would be empty"


@pytest.mark.parametrize("name", RESNETS)
@torch.no_grad()
def test_resnets_give_the_output_of_the_original(name: str) -> None:
    settings: dict[str, Any] = RESNETS[name]
    net, channels = randomize(ResNet(**settings)), settings.get("in_channels", 3)
    image = torch.rand(2, channels, 32, 40) * 2 - 1
    (found,) = networks_in(save(net), partial(ResNetGenerator, channels))
    assert_same(found(image), net(image))


@pytest.mark.parametrize("norm", ["batch", "instance", "affine"])
@pytest.mark.parametrize("downs", [5, 6])
@torch.no_grad()
def test_unets_give_the_output_of_the_original(norm: str, downs: int) -> None:
    net = randomize(UNet(downs, norm=norm))
    image = torch.rand(2, 3, 2**downs, 2**downs) * 2 - 1
    (found,) = networks_in(save(net), UNetGenerator)
    assert_same(found(image), net(image))


@pytest.mark.parametrize(
    "name", ["reference", "batch and dropout", "antialiased", "one channel", "three to one channel"]
)
@torch.no_grad()
def test_imported_resnets_give_the_output_of_the_original(name: str) -> None:
    settings: dict[str, Any] = RESNETS[name]
    net = randomize(ResNet(**settings))
    image = torch.rand(2, settings.get("in_channels", 3), 32, 40) * 2 - 1
    assert_same(import_and_translate(save(net), image), net(image))


@torch.no_grad()
def test_imported_unets_give_the_output_of_the_original() -> None:
    net = randomize(UNet())
    image = torch.rand(2, 3, 32, 32) * 2 - 1
    assert_same(import_and_translate(save(net), image), net(image))


@torch.no_grad()
def test_a_unet_may_have_other_channels_at_its_end() -> None:
    net = randomize(UNet(in_channels=1, out_channels=3))
    image = torch.rand(1, 1, 32, 32) * 2 - 1
    assert_same(import_and_translate(save(net), image), net(image))


@torch.no_grad()
def test_train_mode_uses_the_statistics_of_the_image() -> None:
    net = randomize(ResNet(norm="batch"))
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    found = import_and_translate(save(net), image, "--train-mode")
    assert_same(found, net.train()(image))


@torch.no_grad()
def test_resnets_in_named_parts_give_the_output_of_the_original() -> None:
    net = randomize(ResNetInParts())
    image = torch.rand(2, 3, 32, 40) * 2 - 1
    assert_same(import_and_translate(save(net), image), net(image))


@torch.no_grad()
def test_style_networks_on_bytes_give_the_output_of_the_original() -> None:
    net = randomize(FastStyle())
    net.deconv3.conv2d.weight.mul_(60)  # to bytes
    image = torch.rand(2, 3, 32, 40) * 2 - 1
    expected = net((image + 1) * 127.5) / 127.5 - 1
    torch.save(
        OrderedDict(**net.state_dict(), **{"in1.running_mean": torch.ones(4), "in1.running_var": torch.ones(4)}),
        "mix.pth",
    )
    assert run(["import", "mix.pth"]) == 2  # only one of its norms has statistics
    with_statistics = dict(net.state_dict())
    for name, tensor in net.state_dict().items():
        parent, _, kind = name.rpartition(".")
        if kind == "weight" and tensor.ndim == 1:
            with_statistics |= {f"{parent}.running_{each}": torch.full_like(tensor, 2.0) for each in ("mean", "var")}
    torch.save(with_statistics, "old.model")
    for file in (save(net), "old.model"):
        assert_same(import_and_translate(file, image, output=f"run of {file}"), expected)


@torch.no_grad()
def test_style_networks_on_normalized_images_give_the_output_of_the_original() -> None:
    net = randomize(FastStyle(up=True))
    image = torch.rand(1, 3, 32, 40)
    mean, std = (torch.tensor(each)[:, None, None] for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    expected = net((image - mean) / std) * std + mean
    assert_same(import_and_translate(save(net), image * 2 - 1), expected * 2 - 1)


def old_statistics(net: nn.Module) -> dict[str, Tensor]:
    """As torch before 0.4 saved instance norms: with running statistics, which the reference code deletes."""
    state = dict(net.state_dict())
    for index in (2, 5, 8, 13, 16):
        channels = state[f"model.{index - 1}.bias"].shape[0]
        state |= {
            f"model.{index}.running_mean": torch.ones(channels),
            f"model.{index}.running_var": torch.ones(channels),
        }
    for block in (10, 11):
        for index in (2, 6):
            state |= {f"model.{block}.conv_block.{index}.running_{each}": torch.ones(16) for each in ("mean", "var")}
    return state


FILES = {
    "DataParallel": lambda net: {f"module.{name}": tensor for name, tensor in net.state_dict().items()},
    "nested": lambda net: {"epoch": 3, "netG": {"state_dict": net.state_dict()}, "optimizer": {"state": {}}},
    "beside a discriminator": lambda net: {
        **{f"generator.{name}": tensor for name, tensor in net.state_dict().items()},
        **{f"discriminator.{name}": tensor for name, tensor in nn.Sequential(nn.Conv2d(3, 4, 4)).state_dict().items()},
    },
    "old instance norms": old_statistics,
    "without the last bias": lambda net: {k: v for k, v in net.state_dict().items() if k != "model.19.bias"},
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
@torch.no_grad()
def test_files_of_other_layouts_are_read(kind: str) -> None:
    net = randomize(ResNet())
    net.model[19].bias.zero_()
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    expected = net(image)
    torch.save(FILES[kind](net), "net.pth")
    assert_same(networks_in("net.pth")[0](image), expected)


@pytest.mark.parametrize("kind", ["legacy", "float16", "float64", "safetensors", "safetensors without its suffix"])
@torch.no_grad()
def test_files_of_other_formats_are_read(kind: str) -> None:
    net = randomize(ResNet())
    if kind == "float16":
        net.half().float()
    state = {name: tensor.half() if kind == "float16" else tensor for name, tensor in net.state_dict().items()}
    if kind == "float64":
        state = {name: tensor.double() for name, tensor in state.items()}
    file = "net.safetensors" if kind == "safetensors" else "net.pth"
    if kind.startswith("safetensors"):
        from safetensors.torch import save_file

        save_file(state, file)
    else:
        torch.save(state, file, _use_new_zipfile_serialization=kind != "legacy")
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    (found,) = networks_in(file)
    assert_same(found(image), net(image))


@pytest.mark.parametrize(
    "names", [("G_A2B", "G_B2A"), ("netG_A", "netG_B"), ("generator_AB", "generator_BA"), ("G", "F")]
)
@torch.no_grad()
def test_both_directions_are_known_by_their_names(names: tuple[str, str]) -> None:
    a2b, b2a = randomize(ResNet(), 1), randomize(ResNet(), 2)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    torch.save({names[1]: b2a.state_dict(), names[0]: {"state_dict": a2b.state_dict()}}, "both.pth")
    there, back = networks_in("both.pth")
    assert_same(there(image), a2b(image))
    assert_same(back(image), b2a(image))


@pytest.mark.parametrize("names", [("G_A2B", "G_B2A"), ()])
@torch.no_grad()
def test_both_directions_make_a_run_of_cyclegan(names: tuple[str, ...]) -> None:
    a2b, b2a = randomize(ResNet(), 1), randomize(ResNet(), 2)
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    if names:
        torch.save({names[1]: b2a.state_dict(), names[0]: {"state_dict": a2b.state_dict()}}, "both.pth")
        arguments = ["both.pth"]
    else:
        arguments = [save(a2b, "G_A.pth"), "--reverse", save(b2a, "G_B.pth")]
    assert_same(import_and_translate(arguments[0], image, *arguments[1:]), a2b(image))
    model = load("run")
    assert model.directions == ("a2b", "b2a")
    assert_same(model.module.translate(image, "b2a"), b2a(image))


def test_norms_that_the_weights_do_not_tell_can_be_chosen() -> None:
    net = randomize(ResNet(norm="none", bias=False))
    image = torch.rand(1, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        assert_same(import_and_translate(save(net), image, "--norm", "none"), net(image))


def test_the_imported_run_is_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    """translate, evaluate and init_from accept it, and it records its source."""
    import json

    from PIL import Image

    from stylegan_lab.files.download import file_digest

    file = save(randomize(ResNet()))
    small = ["data.size=32", "data.train_images=16", "data.test_images=4"]
    assert run(["import", file, *small, "--output", "run", "discriminator.channels=2"]) == 0
    out = capsys.readouterr().out
    assert "ResNet-2" in out and "norm: instance" in out and "channels: 4" in out
    record = json.loads(Path("run/import.json").read_text())
    assert record["sources"][0]["sha256"] == file_digest(Path(file))
    Image.effect_noise((50, 38), 60).convert("RGB").save("photo.png")
    assert run(["translate", "run", "photo.png", "out.png"]) == 0
    with Image.open("out.png") as translated:
        assert translated.size == (50, 38)
    assert run(["evaluate", "run"]) == 0
    capsys.readouterr()
    assert run(["train", "resume=run"]) == 2  # it has no optimizers to resume with
    assert "model.init_from" in capsys.readouterr().err
    training = [
        "experiment=smoke",
        "model=perceptual",
        "logger=none",
        "evaluate=false",
        "iterations=1",
        "callbacks.validation=null",
    ]
    networks = ["generator.channels=4", "generator.blocks=2", "generator.up=transposed", "discriminator.channels=2"]
    assert run(["train", *training, *networks, "model.init_from=run", "output_dir=finetuned"]) == 0
    assert "tensors from generator" in capsys.readouterr().out
