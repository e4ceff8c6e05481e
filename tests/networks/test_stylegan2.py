"""StyleGAN2's networks: unit variances and norms, published parameter counts, a slow reference of the modulated convolution."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.stylegan2 import StyleGAN2Discriminator
from stylegan_lab.networks.generators.stylegan2 import StyleGAN2Generator
from stylegan_lab.networks.layers.progan import EqualizedConv2d, EqualizedLinear, MinibatchStdDev, pixel_norm
from stylegan_lab.networks.layers.stylegan2 import Architecture, ModulatedConv2d, lrelu_clamped
from tests.networks import num_parameters
from tests.refusals import refused

ARCHITECTURES: tuple[Architecture, ...] = ("skip", "residual", "plain")


def generator(**settings: object) -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(
        **({"latent_dim": 8, "size": 16, "channels": 4, "w_dim": 8, "mapping_layers": 2} | settings)
    )  # type: ignore[arg-type]


def discriminator(**settings: object) -> StyleGAN2Discriminator:
    torch.manual_seed(0)
    return StyleGAN2Discriminator(**({"size": 16, "channels": 4, "mapping_layers": 2} | settings))  # type: ignore[arg-type]


def value(x: Tensor) -> float:
    return float(x.detach())


@pytest.mark.parametrize("lr_mult", [1.0, 0.01])
def test_equalized_layers_keep_the_variance(lr_mult: float) -> None:
    torch.manual_seed(0)
    out = EqualizedLinear(400, 300, lr_mult=lr_mult)(torch.randn(200, 400))
    assert value(out.var()) == pytest.approx(1, rel=0.05)
    inner = EqualizedConv2d(50, 40, 3)(torch.randn(8, 50, 16, 16))[:, :, 1:-1, 1:-1]
    assert value(inner.var()) == pytest.approx(1, rel=0.05)
    assert value(lrelu_clamped(torch.randn(100_000)).square().mean()) == pytest.approx(1.04, rel=0.05)


def test_weights_of_equalized_layers_have_the_same_variance() -> None:
    """The optimizer sees weights of one scale, whatever the number of inputs."""
    for inputs in (4, 4000):
        assert value(EqualizedLinear(inputs, 500).weight.std()) == pytest.approx(1, rel=0.1)
        assert value(EqualizedLinear(inputs, 500, lr_mult=0.01).weight.std()) == pytest.approx(100, rel=0.1)


def test_lr_mult_multiplies_the_change_of_the_output() -> None:
    """A step of fixed size on the weights changes the effective weights by `lr_mult` times as much."""
    for lr_mult in (1.0, 0.01):
        layer = EqualizedLinear(4, 1, lr_mult=lr_mult)
        before = layer(torch.ones(1, 4))
        with torch.no_grad():
            layer.weight += 1
        assert value(layer(torch.ones(1, 4)) - before) == pytest.approx(4 * lr_mult / 2, rel=1e-3)


def test_pixel_norm_leaves_a_mean_square_of_1() -> None:
    normed = pixel_norm(torch.randn(3, 7, 4, 4) * 20)
    assert torch.allclose(normed.square().mean(dim=1), torch.ones(3, 4, 4))


def reference_modulated_conv(conv: ModulatedConv2d, x: Tensor, style: Tensor) -> Tensor:
    """As in the paper: separate weights for each image (equations 1 and 3)."""
    images = []
    for image, scale in zip(x, conv.affine(style), strict=True):
        weight = conv.weight * conv.scale * scale[None, :, None, None]
        if conv.demodulate:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if conv.blur is None:
            images.append(F.conv2d(image[None], weight, padding=weight.shape[-1] // 2))
        else:  # zeros inserted between pixels, then a convolution and a blur
            spread = torch.zeros(1, len(image), 2 * image.shape[1] + 3, 2 * image.shape[2] + 3)
            spread[:, :, 2:-2:2, 2:-2:2] = image
            images.append(conv.blur(4 * F.conv2d(spread, weight.flip(2, 3)))[:, :, :-1, :-1])
    return torch.cat(images)


@pytest.mark.parametrize(
    ("kernel_size", "demodulate", "upsample"), [(3, True, False), (1, False, False), (3, True, True)]
)
def test_modulated_convolution_equals_one_convolution_per_image(
    kernel_size: int, demodulate: bool, upsample: bool
) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv2d(5, 6, kernel_size, 7, demodulate, upsample)
    x, style = torch.randn(3, 5, 8, 8), torch.randn(3, 7)
    out = conv(x, style)
    assert out.shape == (3, 6, *(16 if upsample else 8,) * 2)
    assert (out - reference_modulated_conv(conv, x, style)).abs().max() < 1e-5


def test_demodulated_weights_have_unit_norm() -> None:
    conv = ModulatedConv2d(5, 6, 3, 7)
    before, after = conv.scales(torch.randn(4, 7))
    assert after is not None
    weights = conv.weight * conv.scale * before[:, None, :, None, None] * after[:, :, None, None, None]
    assert torch.allclose(weights.flatten(2).norm(dim=2), torch.ones(4, 6), atol=1e-4)


def test_demodulated_convolutions_keep_the_variance_for_any_style() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv2d(64, 64, 3, 8)
    x = torch.randn(4, 64, 16, 16)
    for strength in (0.1, 1000.0):
        out = conv(x, strength * torch.randn(4, 8))[:, :, 1:-1, 1:-1]
        assert value(out.var()) == pytest.approx(1, rel=0.15)


def test_upsampling_convolution_keeps_a_constant() -> None:
    """The gain of 4 makes up for the zeros inserted between pixels."""
    conv = ModulatedConv2d(1, 1, 3, 2, demodulate=False, upsample=True)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.affine.weight.zero_()
    inner = conv(torch.ones(1, 1, 8, 8), torch.zeros(1, 2))[:, :, 4:-4, 4:-4]
    assert torch.allclose(inner, torch.full_like(inner, 9 * conv.scale), rtol=1e-5)


def test_second_derivatives_exist_and_are_right() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        for upsample in (False, True):
            conv = ModulatedConv2d(2, 1, 3, 2, upsample=upsample)
            x, style = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 2, requires_grad=True)
            assert torch.autograd.gradgradcheck(conv, (x, style), atol=1e-5)
        image = torch.randn(2, 1, 8, 8, requires_grad=True)
        net = discriminator(size=8, channels=1, max_channels=1, image_channels=1)
        assert torch.autograd.gradgradcheck(lambda image: net(image).logits[0], (image,), atol=1e-4, fast_mode=True)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("size", "channels", "generator_count", "discriminator_count"),
    [
        (1024, 32, 30_370_060, 29_012_513),  # totals printed by the official code for FFHQ, config F
        (256, 64, 24_767_458, 24_001_089),  # and for 256 px, config paper256
    ],
)
def test_parameter_counts_are_the_published_ones(
    size: int, channels: int, generator_count: int, discriminator_count: int
) -> None:
    assert num_parameters(StyleGAN2Generator(size=size, channels=channels)) == generator_count
    assert num_parameters(StyleGAN2Discriminator(size=size, channels=channels)) == discriminator_count


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [8, 14, 32])
def test_architectures_fit_sizes_of_4_or_7_times_a_power_of_2(architecture: Architecture, size: int) -> None:
    out = generator(size=size, architecture=architecture, image_channels=1)(torch.randn(2, 8))
    assert out.shape == (2, 1, size, size)
    assert discriminator(size=size, architecture=architecture, image_channels=1)(out).logits[0].shape == (2, 1)


def test_every_architecture_uses_all_its_parameters() -> None:
    for of_generator, of_discriminator in product(ARCHITECTURES, ARCHITECTURES):
        nets = generator(architecture=of_generator, classes=3), discriminator(architecture=of_discriminator, classes=3)
        condition, noise = torch.eye(3)[:2], torch.randn(2, nets[0].noise_size)
        image = nets[0].synthesize(nets[0].styles(torch.randn(2, 8), condition), noise)
        nets[1](image, condition).logits[0].sum().backward()
        assert all(parameter.grad is not None for net in nets for parameter in net.parameters())


def test_unknown_architectures_and_other_sizes_are_refused() -> None:
    with refused("network.size_unsupported", "generator.size=48"):
        generator(size=48)
    with refused("config.unknown_choice", "discriminator.architecture=skp"):
        discriminator(architecture="skp")


def test_truncation_leads_from_the_average_image_to_the_image() -> None:
    net = generator()
    net.w_avg.normal_()
    styles = net.styles(torch.randn(3, 8))
    average = net.synthesize(net.w_avg.expand(1, net.num_ws, -1))
    assert torch.allclose(net.synthesize(net.truncate(styles, 0.0)), average.expand(3, -1, -1, -1), atol=1e-5)
    assert torch.equal(net.synthesize(net.truncate(styles, 1.0)), net.synthesize(styles))
    halfway = net.truncate(styles, 0.5)
    assert torch.allclose(halfway, (styles + net.w_avg) / 2)


def test_noise_is_fixed_by_default_and_has_no_effect_initially() -> None:
    net = generator()
    styles, noise = net.styles(torch.randn(2, 8)), torch.randn(2, net.noise_size)
    assert torch.equal(net.synthesize(styles), net.synthesize(styles, noise))
    for block in net.blocks:
        for layer in block.layers:  # type: ignore[union-attr]
            nn.init.ones_(layer.noise_strength)  # type: ignore[arg-type, union-attr]
    assert torch.equal(net.synthesize(styles), net.synthesize(styles))
    assert not torch.allclose(net.synthesize(styles), net.synthesize(styles, noise), atol=0.01)
    assert torch.allclose(net.synthesize(styles, noise)[:1], net.synthesize(styles[:1], noise[:1]), atol=1e-5)


def test_minibatch_stddev_groups_are_spread_over_the_batch() -> None:
    """Of four images in groups of two, the first and the third form a group."""
    x = torch.tensor([0.0, 5.0, 2.0, 5.0])[:, None, None, None].expand(4, 3, 2, 2)
    out = MinibatchStdDev(2)(x)
    assert out.shape == (4, 4, 2, 2)
    assert torch.allclose(out[:, 3, 0, 0], torch.tensor([1.0, 0.0, 1.0, 0.0]), atol=1e-3)
    assert torch.allclose(MinibatchStdDev(4)(x[:3])[:, 3], x[:3, 0].std(dim=0, unbiased=False), atol=1e-3)
    assert MinibatchStdDev(4)(x[:1]).abs().max() < 1e-3


def test_class_changes_the_image_and_the_logit() -> None:
    g, d = generator(classes=2), discriminator(classes=2)
    one, other = torch.eye(2)
    latents = torch.randn(1, 8)
    images = g(latents, one[None]), g(latents, other[None])
    assert not torch.allclose(*images, atol=0.01)
    logits = [d(images[0], each[None]).logits[0] for each in (one, other)]
    assert not torch.allclose(*logits, atol=1e-4)


def test_half_precision_stays_near_and_finite() -> None:
    """Clamped activations and normalized modulation stay within the range of float16."""
    g, d = generator(conv_clamp=256.0), discriminator(conv_clamp=256.0)
    styles = 1000 * g.styles(torch.randn(2, 8))
    exact = g.synthesize(styles)
    with torch.autocast("cpu", torch.bfloat16):
        rough = g.synthesize(styles)
        logits = d(rough).logits[0]
    assert rough.dtype == logits.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean() + 0.05
    assert logits.isfinite().all() and g.synthesize(1e6 * styles).abs().max() <= 256 * 3
