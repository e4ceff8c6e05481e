"""StyleGAN2's nets beside what is known of them: unit variances and norms, published sizes, a slow way to the same sums."""

from itertools import product

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.generation.equalised import EqualisedConv, EqualisedLinear, unit_mean_square
from stylegan_lab.nets.generation.minibatch_deviation import MinibatchDeviation
from stylegan_lab.nets.generation.modulated import ModulatedConv
from stylegan_lab.nets.generation.stylegan2 import Architecture, StyleGAN2Critic, StyleGAN2Generator, activated

ARCHITECTURES: tuple[Architecture, ...] = ("skip", "residual", "plain")


def generator(**settings: object) -> StyleGAN2Generator:
    torch.manual_seed(0)
    return StyleGAN2Generator(
        **({"latent_size": 8, "size": 16, "channels": 4, "style_size": 8, "mapping_layers": 2} | settings)
    )  # type: ignore[arg-type]


def critic(**settings: object) -> StyleGAN2Critic:
    torch.manual_seed(0)
    return StyleGAN2Critic(**({"size": 16, "channels": 4, "mapping_layers": 2} | settings))  # type: ignore[arg-type]


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def value(x: Tensor) -> float:
    return float(x.detach())


@pytest.mark.parametrize("rate", [1.0, 0.01])
def test_equalised_layers_keep_the_variance(rate: float) -> None:
    torch.manual_seed(0)
    made = EqualisedLinear(400, 300, rate=rate)(torch.randn(200, 400))
    assert value(made.var()) == pytest.approx(1, rel=0.05)
    inner = EqualisedConv(50, 40, 3)(torch.randn(8, 50, 16, 16))[:, :, 1:-1, 1:-1]
    assert value(inner.var()) == pytest.approx(1, rel=0.05)
    assert value(activated(torch.randn(100_000)).square().mean()) == pytest.approx(1.04, rel=0.05)


def test_weights_of_equalised_layers_are_drawn_alike() -> None:
    """What an optimizer sees has one scale, whatever the number of inputs."""
    for inputs in (4, 4000):
        assert value(EqualisedLinear(inputs, 500).weight.std()) == pytest.approx(1, rel=0.1)
        assert value(EqualisedLinear(inputs, 500, rate=0.01).weight.std()) == pytest.approx(100, rel=0.1)


def test_a_slow_layer_moves_as_much_slower() -> None:
    """An optimizer's step of one size on the weights changes what is used by `rate` times as much."""
    for rate in (1.0, 0.01):
        layer = EqualisedLinear(4, 1, rate=rate)
        before = layer(torch.ones(1, 4))
        with torch.no_grad():
            layer.weight += 1
        assert value(layer(torch.ones(1, 4)) - before) == pytest.approx(4 * rate / 2, rel=1e-3)


def test_pixel_norm_leaves_a_mean_square_of_1() -> None:
    normed = unit_mean_square(torch.randn(3, 7, 4, 4) * 20)
    assert torch.allclose(normed.square().mean(dim=1), torch.ones(3, 4, 4))


def one_by_one(conv: ModulatedConv, x: Tensor, style: Tensor) -> Tensor:
    """As the paper writes it: weights of its own for each picture (equations 1 and 3)."""
    pictures = []
    for image, scale in zip(x, conv.read(style), strict=True):
        weight = conv.weight * conv.scale * scale[None, :, None, None]
        if conv.demodulates:
            weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if conv.blur is None:
            pictures.append(F.conv2d(image[None], weight, padding=weight.shape[-1] // 2))
        else:  # a place between zeros, the filter turned around, and the blur spread over the gaps
            apart = torch.zeros(1, len(image), 2 * image.shape[1] + 3, 2 * image.shape[2] + 3)
            apart[:, :, 2:-2:2, 2:-2:2] = image
            pictures.append(conv.blur(4 * F.conv2d(apart, weight.flip(2, 3)))[:, :, :-1, :-1])
    return torch.cat(pictures)


@pytest.mark.parametrize(("side", "demodulates", "doubles"), [(3, True, False), (1, False, False), (3, True, True)])
def test_a_modulated_convolution_is_one_convolution_for_each_picture(
    side: int, demodulates: bool, doubles: bool
) -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(5, 6, side, 7, demodulates, doubles)
    x, style = torch.randn(3, 5, 8, 8), torch.randn(3, 7)
    made = conv(x, style)
    assert made.shape == (3, 6, *(16 if doubles else 8,) * 2)
    assert (made - one_by_one(conv, x, style)).abs().max() < 1e-5


def test_modulation_then_demodulation_has_unit_norm() -> None:
    conv = ModulatedConv(5, 6, 3, 7)
    before, after = conv.scales(torch.randn(4, 7))
    assert after is not None
    weights = conv.weight * conv.scale * before[:, None, :, None, None] * after[:, :, None, None, None]
    assert torch.allclose(weights.flatten(2).norm(dim=2), torch.ones(4, 6), atol=1e-4)


def test_demodulated_convolutions_keep_the_variance_whatever_the_style() -> None:
    torch.manual_seed(0)
    conv = ModulatedConv(64, 64, 3, 8)
    x = torch.randn(4, 64, 16, 16)
    for strength in (0.1, 1000.0):
        made = conv(x, strength * torch.randn(4, 8))[:, :, 1:-1, 1:-1]
        assert value(made.var()) == pytest.approx(1, rel=0.15)


def test_doubling_leaves_a_constant_at_its_value() -> None:
    """Its filters' gain of 4 makes up for the zeros put between places."""
    conv = ModulatedConv(1, 1, 3, 2, demodulates=False, doubles=True)
    with torch.no_grad():
        conv.weight.fill_(1.0)
        conv.read.weight.zero_()
    inner = conv(torch.ones(1, 1, 8, 8), torch.zeros(1, 2))[:, :, 4:-4, 4:-4]
    assert torch.allclose(inner, torch.full_like(inner, 9 * conv.scale), rtol=1e-5)


def test_second_derivatives_exist_and_are_right() -> None:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    try:
        for doubles in (False, True):
            conv = ModulatedConv(2, 1, 3, 2, doubles=doubles)
            x, style = torch.randn(1, 2, 3, 3, requires_grad=True), torch.randn(1, 2, requires_grad=True)
            assert torch.autograd.gradgradcheck(conv, (x, style), atol=1e-5)
        image = torch.randn(2, 1, 8, 8, requires_grad=True)
        net = critic(size=8, channels=1, most_channels=1, image_channels=1)
        assert torch.autograd.gradgradcheck(lambda image: net(image).logits[0], (image,), atol=1e-4, fast_mode=True)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("size", "channels", "made_by", "judged_by"),
    [
        (1024, 32, 30_370_060, 29_012_513),  # totals printed by the official code for FFHQ, config F
        (256, 64, 24_767_458, 24_001_089),  # and for 256 px, config paper256
    ],
)
def test_nets_have_as_many_parameters_as_the_published_ones(
    size: int, channels: int, made_by: int, judged_by: int
) -> None:
    assert count(StyleGAN2Generator(size=size, channels=channels)) == made_by
    assert count(StyleGAN2Critic(size=size, channels=channels)) == judged_by


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("size", [8, 14, 32])
def test_architectures_make_and_judge_pictures_of_a_size(architecture: Architecture, size: int) -> None:
    made = generator(size=size, architecture=architecture, image_channels=1)(torch.randn(2, 8))
    assert made.shape == (2, 1, size, size)
    assert critic(size=size, architecture=architecture, image_channels=1)(made).logits[0].shape == (2, 1)


def test_a_net_of_every_architecture_uses_all_its_parameters() -> None:
    for made_by, judged_by in product(ARCHITECTURES, ARCHITECTURES):
        nets = generator(architecture=made_by, classes=3), critic(architecture=judged_by, classes=3)
        condition, noise = torch.eye(3)[:2], torch.randn(2, nets[0].noise_size)
        picture = nets[0].draw(nets[0].styles(torch.randn(2, 8), condition), noise)
        nets[1](picture, condition).logits[0].sum().backward()
        assert all(parameter.grad is not None for net in nets for parameter in net.parameters())


def test_a_size_that_halvings_do_not_reach_is_refused() -> None:
    with pytest.raises(Mistake, match="generator.size=48: 4 or 7 times a power of 2"):
        generator(size=48)
    with pytest.raises(Mistake, match="adversary.architecture=skp is unknown"):
        critic(architecture="skp")


def test_truncation_leads_from_the_average_picture_to_the_picture_itself() -> None:
    net = generator()
    net.average_style.normal_()
    styles = net.styles(torch.randn(3, 8))
    average = net.draw(net.average_style.expand(1, net.layers, -1))
    assert torch.allclose(net.draw(net.truncated(styles, 0.0)), average.expand(3, -1, -1, -1), atol=1e-5)
    assert torch.equal(net.draw(net.truncated(styles, 1.0)), net.draw(styles))
    halfway = net.truncated(styles, 0.5)
    assert torch.allclose(halfway, (styles + net.average_style) / 2)


def test_noise_is_the_same_in_use_and_does_nothing_before_it_is_learned() -> None:
    net = generator()
    styles, noise = net.styles(torch.randn(2, 8)), torch.randn(2, net.noise_size)
    assert torch.equal(net.draw(styles), net.draw(styles, noise))
    for block in net.blocks:
        for layer in block.layers:  # type: ignore[union-attr]
            nn.init.ones_(layer.noise_strength)  # type: ignore[arg-type, union-attr]
    assert torch.equal(net.draw(styles), net.draw(styles))
    assert not torch.allclose(net.draw(styles), net.draw(styles, noise), atol=0.01)
    assert torch.allclose(net.draw(styles, noise)[:1], net.draw(styles[:1], noise[:1]), atol=1e-5)


def test_groups_lie_apart_in_the_batch() -> None:
    """Of four pictures in groups of two, the first and the third are one."""
    x = torch.tensor([0.0, 5.0, 2.0, 5.0])[:, None, None, None].expand(4, 3, 2, 2)
    told = MinibatchDeviation(2)(x)
    assert told.shape == (4, 4, 2, 2)
    assert torch.allclose(told[:, 3, 0, 0], torch.tensor([1.0, 0.0, 1.0, 0.0]), atol=1e-3)
    assert torch.allclose(MinibatchDeviation(4)(x[:3])[:, 3], x[:3, 0].std(dim=0, unbiased=False), atol=1e-3)
    assert MinibatchDeviation(4)(x[:1]).abs().max() < 1e-3


def test_a_class_changes_what_is_made_and_what_is_said_of_it() -> None:
    made_by, judged_by = generator(classes=2), critic(classes=2)
    one, other = torch.eye(2)
    latents = torch.randn(1, 8)
    pictures = made_by(latents, one[None]), made_by(latents, other[None])
    assert not torch.allclose(*pictures, atol=0.01)
    verdicts = [judged_by(pictures[0], each[None]).logits[0] for each in (one, other)]
    assert not torch.allclose(*verdicts, atol=1e-4)


def test_half_precision_stays_near_and_finite() -> None:
    """What clamps keep within float16, and styles of any size."""
    made_by, judged_by = generator(clamp=256.0), critic(clamp=256.0)
    styles = 1000 * made_by.styles(torch.randn(2, 8))
    exact = made_by.draw(styles)
    with torch.autocast("cpu", torch.bfloat16):
        rough = made_by.draw(styles)
        logits = judged_by(rough).logits[0]
    assert rough.dtype == logits.dtype == torch.float32
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean() + 0.05
    assert logits.isfinite().all() and made_by.draw(1e6 * styles).abs().max() <= 256 * 3
