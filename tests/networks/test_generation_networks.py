"""Generators and discriminators of small images: published parameter counts, sizes, latents, classes, spectral norm."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.cnn import StandardCNNDiscriminator
from stylegan_lab.networks.discriminators.dcgan import (
    DCGAN7x7Discriminator,
    DCGANDiscriminator,
    ProjectionDCGANDiscriminator,
)
from stylegan_lab.networks.discriminators.fully_connected import FullyConnectedDiscriminator
from stylegan_lab.networks.discriminators.wgan_gp_resnet import WGANGPResNetDiscriminator
from stylegan_lab.networks.generators.cnn import StandardCNNGenerator
from stylegan_lab.networks.generators.dcgan import ConditionalDCGANGenerator, DCGAN7x7Generator, DCGANGenerator
from stylegan_lab.networks.generators.fully_connected import FullyConnectedGenerator
from stylegan_lab.networks.generators.wgan_gp_resnet import WGANGPResNetGenerator
from stylegan_lab.networks.layers.spectral_norm import update_spectral_norm
from tests.networks import num_parameters
from tests.networks.test_network_layers import one_hot
from tests.refusals import refused

Net = Callable[..., nn.Module]
SMALL = partial(dict, size=32, channels=4, image_channels=1)
GENERATORS: dict[str, Net] = {
    "fully connected": FullyConnectedGenerator,
    "DCGAN": DCGANGenerator,
    "DCGAN 7x7": DCGAN7x7Generator,
    "DCGAN with conditional batch norm": ConditionalDCGANGenerator,
    "CNN": StandardCNNGenerator,
    "ResNet": WGANGPResNetGenerator,
}
CONDITIONAL_GENERATORS = {name: net for name, net in GENERATORS.items() if name not in ("DCGAN 7x7", "CNN")}
CONDITIONAL_DISCRIMINATORS: dict[str, Net] = {
    "fully connected": FullyConnectedDiscriminator,
    "DCGAN": DCGANDiscriminator,
    "DCGAN with projection": ProjectionDCGANDiscriminator,
    "ResNet": WGANGPResNetDiscriminator,
}
SPECTRAL: dict[str, Net] = {
    "CNN": StandardCNNDiscriminator,
    "DCGAN": ProjectionDCGANDiscriminator,
    "ResNet": WGANGPResNetDiscriminator,
}


@pytest.fixture(autouse=True)
def seed() -> None:
    """With another seed, ReLUs of these tiny networks can be inactive for all inputs."""
    torch.manual_seed(0)


def test_parameter_counts_are_the_published_ones() -> None:
    assert num_parameters(DCGAN7x7Generator()) == 2_305_472  # as Keras counts the tutorial's
    assert num_parameters(DCGAN7x7Discriminator()) == 212_865
    assert num_parameters(WGANGPResNetGenerator(channels=256)) == 4_276_739  # Miyato et al. (2018), Table 4, added up
    assert num_parameters(DCGANGenerator()) == 3_576_704 + 3  # PyTorch's example, which has no bias in its last layer
    assert num_parameters(DCGANDiscriminator()) == 2_765_568 + 64 + 1  # nor in the discriminator's first and last
    resnet = 151_680 + 311_680 + 2 * 295_168 + 129  # Table 4 again, block by block
    assert num_parameters(WGANGPResNetDiscriminator()) == resnet


def test_dropout_and_batch_norms_are_where_the_papers_have_them() -> None:
    def layers(net: nn.Module, *kinds: type[nn.Module]) -> int:
        return sum(isinstance(layer, kinds) for layer in net.modules())

    norms = nn.BatchNorm1d, nn.BatchNorm2d
    assert layers(DCGAN7x7Discriminator(), nn.Dropout) == 2 and layers(DCGAN7x7Discriminator(), *norms) == 0
    assert layers(DCGAN7x7Generator(), *norms) == 3
    assert layers(WGANGPResNetGenerator(), *norms) == 7 and layers(WGANGPResNetDiscriminator(), *norms) == 0
    assert layers(StandardCNNGenerator(), *norms) == 4 and layers(StandardCNNDiscriminator(), *norms) == 0
    assert layers(ConditionalDCGANGenerator(), *norms) == layers(DCGANGenerator(), *norms) == 4
    assert layers(DCGANDiscriminator(), *norms) == 3 and layers(ProjectionDCGANDiscriminator(), *norms) == 0


@pytest.mark.parametrize("name", GENERATORS)
def test_image_depends_on_every_latent_value(name: str) -> None:
    latents = torch.randn(3, 7, requires_grad=True)
    images = GENERATORS[name](latent_dim=7, **SMALL())(latents)
    assert images.shape == (3, 1, 32, 32)
    images.square().sum().backward()
    assert latents.grad is not None and bool((latents.grad != 0).all())


@pytest.mark.parametrize("size", [16, 28, 64])
@pytest.mark.parametrize(
    ("generator", "discriminator"),
    [(ConditionalDCGANGenerator, ProjectionDCGANDiscriminator), (WGANGPResNetGenerator, WGANGPResNetDiscriminator)],
)
def test_networks_fit_sizes_of_4_or_7_times_a_power_of_2(generator: Net, discriminator: Net, size: int) -> None:
    settings = SMALL(size=size)
    images = generator(latent_dim=5, **settings)(torch.randn(2, 5))
    assert images.shape == (2, 1, size, size)
    assert discriminator(**settings)(images).logits[0].shape == (2, 1)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with refused("network.size_unsupported", "generator.size=30", "4"):
        DCGAN7x7Generator(size=30)
    with refused("network.size_unsupported", "discriminator.size=28", "8"):
        StandardCNNDiscriminator(size=28)
    with refused("network.size_unsupported", "generator.size=24"):
        WGANGPResNetGenerator(size=24)


@pytest.mark.parametrize("name", CONDITIONAL_GENERATORS)
def test_class_changes_the_image(name: str) -> None:
    net = CONDITIONAL_GENERATORS[name](latent_dim=7, classes=5, **SMALL()).eval()
    latents = torch.randn(1, 7).expand(2, -1)
    one, other = net(latents, one_hot(1, 4))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("name", CONDITIONAL_DISCRIMINATORS)
def test_class_changes_the_logit(name: str) -> None:
    net = CONDITIONAL_DISCRIMINATORS[name](classes=5, **SMALL()).eval()
    one, other = net(torch.rand(1, 1, 32, 32).expand(2, -1, -1, -1), one_hot(1, 4)).logits[0]
    assert not torch.allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_converges_to_1(name: str) -> None:
    net = SPECTRAL[name](spectral=True, **SMALL())
    for _ in range(300):
        update_spectral_norm(net)
    layers = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(layers) >= 4
    for layer in layers:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=1e-3)


def test_forward_pass_does_not_change_spectral_norm_which_is_in_the_state_dict() -> None:
    net, image = WGANGPResNetDiscriminator(spectral=True, **SMALL()), torch.rand(2, 1, 32, 32)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    logits: Tensor = net(image).logits[0]
    assert torch.equal(logits, net(image).logits[0])
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    other = WGANGPResNetDiscriminator(spectral=True, **SMALL())
    other.load_state_dict(before)
    assert torch.equal(other(image).logits[0], logits)


def test_unit_range_rescales_to_0_and_1() -> None:
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    plain, unit = (
        FullyConnectedDiscriminator(size=8, channels=6, dropout=0, unit_range=unit) for unit in (False, True)
    )
    plain.load_state_dict(unit.state_dict())
    assert torch.equal(unit(images).logits[0], plain((images + 1) / 2).logits[0])
    generator = FullyConnectedGenerator(latent_dim=5, size=8, channels=6, unit_range=True)
    latents = torch.randn(3, 5)
    before = generator.layers[:-1](latents)
    torch.testing.assert_close(generator(latents).flatten(1), torch.tanh(before / 2))


@pytest.mark.parametrize(("build", "bound"), [(FullyConnectedDiscriminator, 0.005), (FullyConnectedGenerator, 0.05)])
def test_init_range_bounds_the_initial_weights(build: Net, bound: float) -> None:
    parameters = dict(build(init_range=bound).named_parameters())
    weights = torch.cat([value.flatten() for name, value in parameters.items() if name.endswith("weight")])
    assert 0.99 * bound < weights.abs().max() <= bound
    assert all(not value.any() for name, value in parameters.items() if name.endswith("bias"))


def test_input_dropout_drops_pixels_but_not_the_class() -> None:
    discriminator = FullyConnectedDiscriminator(size=8, dropout=0, input_dropout=0.5)
    image = torch.rand(1, 1, 8, 8)
    assert not torch.equal(discriminator(image).logits[0], discriminator(image).logits[0])
    assert torch.equal(discriminator.eval()(image).logits[0], discriminator(image).logits[0])
    conditional = FullyConnectedDiscriminator(size=8, classes=3, dropout=0, input_dropout=1.0)
    one, other = (conditional(image, label[None]).logits[0] for label in torch.eye(3)[:2])
    assert not torch.equal(one, other)
