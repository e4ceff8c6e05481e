"""ProGAN's networks: fading between levels, which is saved with the weights, and the paper's parameter counts."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.progan import ProGANDiscriminator
from stylegan_lab.networks.generators.progan import ProGANGenerator
from stylegan_lab.networks.layers.progan import resize_to, upsample_2x
from tests.networks import num_parameters

LATENTS = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def nets() -> tuple[ProGANGenerator, ProGANDiscriminator]:
    torch.manual_seed(0)
    return ProGANGenerator(8, 1, size=16, channels=4), ProGANDiscriminator(1, size=16, channels=4)


def outputs_at(nets: tuple[nn.Module, nn.Module], grown: float) -> tuple[Tensor, Tensor]:
    """Set `grown` of both networks, and return images and their logits."""
    for net in nets:
        net.grow(grown)  # type: ignore[operator, union-attr]
    images = nets[0](LATENTS)
    return images, nets[1](images).logits[0]


@pytest.mark.parametrize("level", [1, 2])
def test_alpha_blends_from_the_lower_level_to_the_higher(
    level: int, nets: tuple[ProGANGenerator, ProGANDiscriminator]
) -> None:
    generator, discriminator = nets
    assert torch.allclose(
        generator.forward_at_level(LATENTS, level, 0.0), generator.forward_at_level(LATENTS, level - 1), atol=1e-6
    )
    assert torch.equal(generator.forward_at_level(LATENTS, level, 1.0), generator.forward_at_level(LATENTS, level))
    images = torch.randn(4, 1, 16, 16)
    lower, higher = (discriminator.forward_at_level(images, each).logits[0] for each in (level - 1, level))
    assert torch.allclose(discriminator.forward_at_level(images, level, 0.0).logits[0], lower, atol=1e-6)
    assert torch.equal(discriminator.forward_at_level(images, level, 1.0).logits[0], higher)
    assert not torch.allclose(lower, higher, atol=1e-3)


def test_images_halfway_are_the_mean_of_both_levels(nets: tuple[ProGANGenerator, ProGANDiscriminator]) -> None:
    lower, halfway, higher = (outputs_at(nets, grown)[0] for grown in (0.0, 0.5, 1.0))
    assert torch.allclose(halfway, (lower + higher) / 2, atol=1e-6)


def test_grown_is_saved_with_the_weights(nets: tuple[ProGANGenerator, ProGANDiscriminator]) -> None:
    images, _ = outputs_at(nets, 1.25)
    other = ProGANGenerator(8, 1, size=16, channels=4)
    assert other.stage == (0, 1.0)
    other.load_state_dict(nets[0].state_dict())
    assert other.stage == (2, 0.25) and torch.equal(other(LATENTS), images)


def test_a_lower_level_equals_a_network_of_its_own_size(nets: tuple[ProGANGenerator, ProGANDiscriminator]) -> None:
    small = ProGANGenerator(8, 1, size=8, channels=8)
    small.load_state_dict({name: value for name, value in nets[0].state_dict().items() if name in small.state_dict()})
    small.grow(1)
    images, logits = outputs_at(nets, 1)
    assert torch.equal(images, upsample_2x(small(LATENTS)))
    small_discriminator = ProGANDiscriminator(1, size=8, channels=8)
    small_discriminator.load_state_dict(
        {name: value for name, value in nets[1].state_dict().items() if name in small_discriminator.state_dict()}
    )
    small_discriminator.grow(1)
    assert torch.allclose(small_discriminator(small(LATENTS)).logits[0], logits)


def test_only_levels_in_use_get_gradients(nets: tuple[ProGANGenerator, ProGANDiscriminator]) -> None:
    _, logits = outputs_at(nets, 0.5)
    logits.sum().backward()
    for net in nets:
        used = [any(each.grad is not None for each in block.parameters()) for block in net.blocks]
        assert used == [True, False]


def test_resize_to_averages_or_repeats_pixels() -> None:
    image = torch.randn(2, 3, 8, 8)
    assert torch.equal(resize_to(image, 4), F.avg_pool2d(image, 2))
    assert torch.equal(resize_to(image, 16), F.interpolate(image, scale_factor=2, mode="nearest"))
    assert torch.equal(resize_to(image, 8), image)


def test_second_derivatives_exist() -> None:
    torch.manual_seed(0)
    net = ProGANDiscriminator(1, size=8, channels=1, max_channels=1).double()
    net.grow(0.5)
    image = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda image: net(image).logits[0], (image,), atol=1e-4, fast_mode=True)


def test_networks_have_the_23_million_parameters_of_the_paper() -> None:
    """At 1024 px (table 2 of Karras et al., 2018)."""
    for net in (ProGANGenerator(size=1024, channels=16), ProGANDiscriminator(size=1024, channels=16)):
        assert num_parameters(net) == pytest.approx(23.1e6, rel=0.005)
