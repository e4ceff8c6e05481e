"""Strips: every generator gives the image that it gives for the whole, with the memory of a few strips."""

import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.networks.generators.johnson import JohnsonGenerator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.generators.srresnet import SRResNet
from stylegan_lab.networks.generators.stargan2 import StarGAN2Generator
from stylegan_lab.networks.generators.unet import UNetGenerator
from stylegan_lab.networks.strips import strip_evaluation
from stylegan_lab.networks.strips.strip_evaluation import RunningMoments, StripNetwork, UnsupportedNetworkError
from stylegan_lab.networks.train_mode_inference import apply_in_train_mode

NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "resnet": (lambda: ResNetGenerator(channels=8, blocks=2), 3),
    "antialiased": (lambda: ResNetGenerator(channels=8, blocks=2, down="antialiased", up="antialiased"), 3),
    "resize": (lambda: ResNetGenerator(channels=8, blocks=2, up="resize", norm="batch"), 3),
    "label in norms": (lambda: ResNetGenerator(channels=8, blocks=1, condition_channels=3, condition_at="norms"), 6),
    "label in stem": (lambda: ResNetGenerator(channels=8, blocks=1, condition_channels=3), 6),
    "unet": (lambda: UNetGenerator(channels=4, num_downs=3, norm="instance"), 3),
    "johnson": (lambda: JohnsonGenerator(channels=4, blocks=2), 3),
    "johnson tensorflow": (lambda: JohnsonGenerator(channels=4, blocks=2, implementation="tensorflow"), 3),
    "srresnet": (lambda: SRResNet(channels=4, blocks=2, bicubic_skip=True), 3),
    "stargan2": (lambda: StarGAN2Generator(channels=4, max_channels=16, n_downsample=2, condition_channels=5), 8),
}


def random_network(name: str) -> tuple[nn.Module, Tensor]:
    """A network with random weights, norms that do something, and an image for it."""
    torch.manual_seed(0)
    build, channels = NETWORKS[name]
    network = build().eval().requires_grad_(False)
    for value in (*network.parameters(), *network.buffers()):
        if value.is_floating_point() and value.dim() == 1:
            value.uniform_(0.5, 1.5)
    image = torch.rand(1, channels, 72, 56) * 2 - 1
    image[:, 3:] = torch.randn(1, channels - 3, 1, 1)
    return network, image


def in_strips(network: nn.Module, image: Tensor, **options: frozenset[nn.Module]) -> Tensor:
    strips = StripNetwork(network, tuple(image.shape[1:]), **options)  # type: ignore[arg-type]
    parts = list(strips.apply(lambda first, last: image[:, :, first:last]))
    assert len(parts) > 3
    return torch.cat(parts, dim=2)


@pytest.fixture(autouse=True)
def thin_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_evaluation, "STRIP_BYTES", 4 * 8 * 56 * 5)  # five rows of eight channels


@pytest.mark.parametrize("limit", [0, 1000, 1e9], ids=["all stored", "mixed", "all computed again"])
@pytest.mark.parametrize("name", NETWORKS)
def test_strips_equal_the_whole_image(name: str, limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strip_evaluation, "RECOMPUTE_LIMIT", limit)
    network, image = random_network(name)
    whole = network(image)
    torch.testing.assert_close(in_strips(network, image), whole, rtol=1e-4, atol=1e-4)


def test_dropout_and_batch_norms_of_training_mode_equal_those_of_the_whole_image() -> None:
    torch.manual_seed(0)
    network = UNetGenerator(channels=4, num_downs=6).eval().requires_grad_(False)
    image = torch.rand(1, 3, 128, 64) * 2 - 1
    norms = frozenset(each for each in network.modules() if isinstance(each, nn.BatchNorm2d))
    dropouts = frozenset(each for each in network.modules() if isinstance(each, nn.Dropout))
    assert dropouts
    state = torch.get_rng_state()
    found = in_strips(network, image, batch_statistics=norms, dropouts=dropouts)
    torch.testing.assert_close(found, apply_in_train_mode(network, image), rtol=1e-4, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), state)


def test_moments_of_strips_are_those_of_the_whole_map() -> None:
    maps = torch.randn(1, 5, 40, 7) * 3 + 1000  # a large mean, where a sum of squares would lose the variance
    moments = RunningMoments()
    for rows in maps.split(9, dim=2):
        moments.add(rows)
    variance, mean = torch.var_mean(maps.double(), dim=(2, 3), keepdim=True, correction=0)
    torch.testing.assert_close(moments.result().mean.double(), mean)
    torch.testing.assert_close(moments.result().variance.double(), variance, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    "network",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.GroupNorm(2, 4)),
        nn.Sequential(nn.Conv2d(3, 3, 3, padding_mode="circular", padding=1)),
        nn.Sequential(nn.AdaptiveAvgPool2d(4)),
    ],
)
def test_other_layers_are_named(network: nn.Module) -> None:
    with pytest.raises(UnsupportedNetworkError, match=type(list(network.modules())[-1]).__name__):
        StripNetwork(network, (3, 32, 32))


def test_memory_does_not_grow_with_the_height_of_the_image() -> None:
    """The peak of a process at two heights of an image: the whole would need 6 times as much for the second."""
    code = (
        "import resource, torch; torch.set_num_threads(1)\n"
        "from stylegan_lab.networks.generators.resnet import ResNetGenerator\n"
        "from stylegan_lab.networks.strips import strip_evaluation as strips\n"
        "strips.STRIP_BYTES = 4_000_000\n"
        "network = ResNetGenerator(channels=16, blocks=1).eval()\n"
        "for height in (256, 1536):\n"
        "    rows = strips.StripNetwork(network, (3, height, 512)).apply(lambda a, b: torch.ones(1, 3, b - a, 512))\n"
        "    assert sum(each.shape[2] for each in rows) == height\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    low, high = map(int, done.stdout.split())
    assert high - low < 20_000  # kB; the largest map of the whole image has 50,000
