"""What the import refuses, and that it says which tensor, file or option is the reason."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.cli.main import run
from stylegan_lab.files.weights_file import read_weights_file
from stylegan_lab.importing.detection import read_generators
from stylegan_lab.importing.imported import ImportOptions
from tests.importing.restated import R3GAN, ResNet, StyleGAN2, UNet
from tests.refusals import assert_refused, refused

State = dict[str, Tensor]


class Malicious:
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


@pytest.mark.parametrize("write", ["network", "code", "pickle", "text", "cut off"])
def test_pickles_are_refused_and_never_executed(write: str, capsys: pytest.CaptureFixture[str]) -> None:
    if write == "network":
        torch.save(nn.Conv2d(1, 1, 1), "net.pth")
    elif write == "code":
        torch.save({"G": Malicious()}, "net.pth")
    elif write == "pickle":
        Path("net.pth").write_bytes(pickle.dumps({"G_ema": Malicious()}))
    elif write == "text":
        Path("net.pth").write_text("not weights at all")
    else:
        torch.save(ResNet().state_dict(), "net.pth")
        Path("net.pth").write_bytes(Path("net.pth").read_bytes()[:-100])
    assert run(["import", "net.pth", "--output", "run"]) == 2
    assert_refused(capsys.readouterr().err, "weights.unreadable", "net.pth")
    assert not Path("executed").exists() and not Path("run").exists()


def missing(name: str) -> Callable[[State], State]:
    return lambda state: {key: value for key, value in state.items() if key != name}


def reshaped(name: str, *shape: int) -> Callable[[State], State]:
    return lambda state: state | {name: torch.zeros(shape)}


MISFITS = [
    (ResNet, missing("model.11.conv_block.1.weight"), "import.unsupported_layers", "model.11"),
    (ResNet, reshaped("model.4.weight", 8, 4, 5, 5), "import.shape_mismatch", "model.4.weight is 8x4x5x5"),
    (ResNet, reshaped("model.40.weight", 3), "import.tensors_left_over", "model.40.weight"),
    (ResNet, reshaped("model.2.weight", 4), "import.norms_differ", "model.1"),
    (lambda: ResNet(down="antialiased"), reshaped("model.7.filt", 8, 1, 3, 3), "import.unknown_filter", "model.7.filt"),
    (UNet, missing("model.model.1.model.5.weight"), "import.tensor_missing", "model.model.1.model.5.weight"),
    (UNet, reshaped("model.model.extra", 3), "import.tensors_left_over", "model.model.extra"),
    (StyleGAN2, missing("synthesis.b8.conv0.affine.bias"), "import.tensor_missing", "synthesis.b8.conv0.affine.bias"),
    (StyleGAN2, reshaped("synthesis.b8.conv1.weight", 7, 7, 3, 3), "import.unsupported_layers", "6, 7, 3"),
    (
        StyleGAN2,
        reshaped("synthesis.b8.resample_filter", 6, 6),
        "import.unknown_filter",
        "synthesis.b8.resample_filter",
    ),
    (ResNet, lambda state: state | {"model.1.bias": torch.full((4,), torch.nan)}, "import.not_finite", "model.1.bias"),
    (
        R3GAN,
        missing("MainLayers.1.Layers.1.NonLinearity2.Bias"),
        "import.tensor_missing",
        "MainLayers.1.Layers.1.NonLinearity2.Bias",
    ),
    (
        R3GAN,
        reshaped("MainLayers.1.Layers.0.Resampler.Kernel", 5, 5),
        "import.unknown_filter",
        "MainLayers.1.Layers.0.Resampler.Kernel",
    ),
]


@pytest.mark.parametrize(("build", "change", "code", "named"), MISFITS)
def test_what_does_not_fit_is_named(
    build: Callable[[], nn.Module], change: Callable[[State], State], code: str, named: str
) -> None:
    with refused(code, named):
        read_generators(change(build().state_dict()), ImportOptions())


def test_unknown_architectures_are_refused_with_their_first_names() -> None:
    with refused("import.unknown_architecture", "0.weight"):
        read_generators(nn.Sequential(nn.Linear(2, 2)).state_dict(), ImportOptions())
    with refused("import.no_tensors"):
        read_generators({"epoch": 3}, ImportOptions())
    torch.save(torch.zeros(3), "tensor.pth")
    with refused("weights.no_tensors", "tensor.pth"):
        read_weights_file(Path("tensor.pth"))
    with refused("weights.not_found", "nowhere.pth"):
        read_weights_file(Path("nowhere.pth"))


def test_an_existing_run_is_not_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(ResNet().state_dict(), "net.pth")
    command = ["import", "net.pth", "--output", "run", "discriminator.channels=2"]
    assert run(command) == 0
    before = Path("run/import.json").read_bytes()
    assert run(command) == 2
    assert_refused(capsys.readouterr().err, "run.already_exists", "--output")
    assert Path("run/import.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--network", "G_X"], "--network"),
        (["--reverse", "net.pth.gone"], "net.pth.gone"),
        (["--norm", "batch"], "--norm"),
        (["other.pth"], "other.pth"),
        (["generator.channelz=3"], "channelz"),
    ],
)
def test_wrong_options_are_named(arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(ResNet().state_dict(), "net.pth")
    assert run(["import", "net.pth", "--output", "run", *arguments]) == 2
    assert named in capsys.readouterr().err and not Path("run").exists()
