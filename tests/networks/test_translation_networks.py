"""Translation networks: published parameter counts, sizes, receptive fields, conditions, super-resolution."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.discriminators.patch import PatchDiscriminator, PixelDiscriminator
from stylegan_lab.networks.discriminators.resnet import ResNetDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.generators.srresnet import SRResNet
from stylegan_lab.networks.generators.stargan2 import StarGAN2Generator
from stylegan_lab.networks.generators.unet import UNetGenerator
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm, append_condition_maps
from tests.networks import num_parameters
from tests.refusals import refused


def test_parameter_counts_are_the_published_ones() -> None:
    """11.378, 2.765 and 54.414 million, as the reference code prints them."""
    assert num_parameters(ResNetGenerator()) == 11_378_179
    assert num_parameters(PatchDiscriminator()) == 2_764_737
    assert (
        num_parameters(UNetGenerator()) == 54_413_955
    )  # no bias before a batch norm, nor in the outermost downsampling


@pytest.mark.parametrize(
    "net",
    [ResNetGenerator(channels=4, blocks=1, up=up, down=down) for up in ("transposed", "resize", "antialiased")  # type: ignore[arg-type]
     for down in ("strided", "antialiased")] + [
         UNetGenerator(channels=4, num_downs=4), UNetGenerator(channels=4, num_downs=4, norm="instance")],
    ids=lambda net: type(net).__name__,
)  # fmt: skip
def test_generators_keep_size_and_range(net: nn.Module) -> None:
    for height, width in ((32, 32), (48, 16)):
        out = net(torch.randn(2, 3, height, width))
        assert out.shape == (2, 3, height, width) and out.abs().max() <= 1


def test_unet_has_dropout_in_three_inner_levels() -> None:
    assert sum(isinstance(layer, nn.Dropout) for layer in UNetGenerator(channels=2).modules()) == 3


def test_unknown_layer_is_answered_with_a_suggestion() -> None:
    with refused("config.unknown_choice", "generator.up=tranposed", "transposed"):
        ResNetGenerator(up="tranposed")  # type: ignore[arg-type]


def checkerboard(net: nn.Module) -> float:
    """The strength of the finest grid in the output for a constant image, away from the border."""
    out: Tensor = net(torch.full((1, 3, 128, 128), 0.3)).detach()[..., 48:-48, 48:-48]
    smooth = F.avg_pool2d(out, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    return float((out - smooth).abs().mean())


def test_only_transposed_convolutions_leave_a_checkerboard() -> None:
    torch.manual_seed(0)
    nets = {
        up: ResNetGenerator(channels=4, blocks=1, norm="none", up=up, initialization="he")
        for up in ("transposed", "resize", "antialiased")
    }  # type: ignore[arg-type]
    assert checkerboard(nets["resize"]) < 1e-6
    assert checkerboard(nets["antialiased"]) < 1e-6
    assert checkerboard(nets["transposed"]) > 1e-3


# Discriminators


def receptive_field(discriminator: nn.Module, size: int = 128) -> int:
    """The number of image rows that the middle logit depends on. Norms, which depend on all of them, must be off."""
    image = torch.zeros(1, 3, size, size, requires_grad=True)
    logits = discriminator(image).logits[0]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    return int((image.grad.abs().sum((0, 1, 3)) > 0).sum())  # type: ignore[union-attr]


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_patches_have_the_size_of_the_paper(layers: int, field: int) -> None:
    assert receptive_field(PatchDiscriminator(channels=4, layers=layers, norm="none")) == field


def test_pixel_discriminator_has_a_receptive_field_of_one_pixel() -> None:
    assert receptive_field(PixelDiscriminator(channels=4, norm="none")) == 1


@pytest.mark.parametrize(
    "discriminator",
    [PatchDiscriminator(channels=4, layers=2), PatchDiscriminator(channels=4), PixelDiscriminator(channels=4),
     ResNetDiscriminator(channels=4, blocks=3)],
    ids=["patch2", "patch3", "pixel", "resnet"],
)  # fmt: skip
def test_discriminators_accept_their_min_size(discriminator: nn.Module) -> None:
    size = int(discriminator.min_size)  # type: ignore[arg-type]
    (logits,) = discriminator(torch.randn(2, 3, size, size)).logits
    assert logits.shape[:2] == (2, 1) and logits.numel() >= 2


def test_resnet_discriminator_gives_one_logit_per_image() -> None:
    assert ResNetDiscriminator(channels=4)(torch.randn(3, 3, 32, 32)).logits[0].shape == (3, 1)


# Conditions


@pytest.mark.parametrize(
    "generator",
    [
        partial(ResNetGenerator, channels=4, blocks=1),
        partial(UNetGenerator, channels=4, num_downs=4, dropout=0.0, norm="instance"),
        partial(StarGAN2Generator, channels=4, max_channels=8, n_downsample=2),
        partial(ResNetGenerator, channels=4, blocks=1, condition_at="norms"),
    ],
)
def test_condition_maps_change_the_output(generator: Callable[..., nn.Module]) -> None:
    """A norm directly after the maps would remove what they add."""
    torch.manual_seed(0)
    net, image = generator(condition_channels=2, initialization="he"), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        one, other = (net(append_condition_maps(image, torch.tensor([label]))) for label in ([1.0, 0.0], [0.0, 1.0]))
    inside = (slice(None), slice(None), slice(12, 20), slice(12, 20))
    assert float((one - other)[inside].abs().mean()) > 0.01


def test_conditional_norms_with_zero_weights_equal_plain_norms() -> None:
    plain, conditional = (
        ResNetGenerator(channels=4, blocks=1, condition_channels=channels, condition_at="norms") for channels in (0, 2)
    )
    norms = [layer for layer in conditional.modules() if isinstance(layer, ConditionalInstanceNorm)]
    assert len(norms) == 7, "stem, two downsamplings, two in the block, two upsamplings"
    for norm in norms:
        norm.affine.weight.data.zero_()
    conditional.load_state_dict(conditional.state_dict() | plain.state_dict())
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(plain(image), conditional(append_condition_maps(image, torch.tensor([[3.0, -1.0]]))))


@pytest.mark.parametrize(("channels", "std"), [(4, 0.6), (64, 0.6)])
def test_initial_scales_and_shifts_do_not_grow_with_the_condition(channels: int, std: float) -> None:
    torch.manual_seed(0)
    net = ResNetGenerator(channels=16, blocks=2, condition_channels=channels, condition_at="norms")
    affines = [layer.affine for layer in net.modules() if isinstance(layer, ConditionalInstanceNorm)]
    with torch.no_grad():
        scales_and_shifts = torch.cat([affine(torch.randn(50, channels)).flatten() for affine in affines])
    assert float(scales_and_shifts.std()) == pytest.approx(std, rel=0.1)


def test_only_instance_norms_can_be_conditional() -> None:
    with refused(
        "network.norm_unsupported", "generator.norm=batch", "generator.norm=instance", "generator.condition_at=stem"
    ):
        ResNetGenerator(norm="batch", condition_channels=2, condition_at="norms")
    ResNetGenerator(norm="batch", condition_channels=2, condition_at="stem")


# Super-resolution


@pytest.mark.parametrize("factor", [2, 4])
def test_srresnet_upscales_by_the_factor(factor: int) -> None:
    image = torch.rand(1, 3, 9, 7)
    assert SRResNet(factor=factor, channels=4, blocks=1)(image).shape == (1, 3, 9 * factor, 7 * factor)


def test_srresnet_with_bicubic_skip_starts_as_bicubic_upscaling() -> None:
    image = torch.rand(1, 3, 8, 8)
    net = SRResNet(factor=2, channels=4, blocks=1, norm="none", bicubic_skip=True)
    assert torch.equal(net(image), F.interpolate(image, scale_factor=2, mode="bicubic"))


def test_srresnet_has_the_parameters_of_the_paper() -> None:
    """SRResNet x4 with 16 blocks of 64 channels, counted layer by layer."""
    block = 2 * (64 * 64 * 9 + 64) + 2 * 128 + 1
    expected = (
        (3 * 64 * 81 + 64 + 1) + 16 * block + (64 * 64 * 9 + 64 + 128) + 2 * (64 * 256 * 9 + 256 + 1) + 64 * 3 * 81 + 3
    )
    assert num_parameters(SRResNet()) == expected


@pytest.mark.parametrize("factor", [1, 3])
def test_srresnet_refuses_other_factors_than_powers_of_two(factor: int) -> None:
    with refused("network.factor_unsupported", f"generator.factor={factor}"):
        SRResNet(factor=factor)
