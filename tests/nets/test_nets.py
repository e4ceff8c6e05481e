"""The nets beside what their papers say of them, and the sizes they take."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.blocks import Blur, BlurredDoubling, InstanceNorm
from stylegan_lab.nets.condition import ConditionalNorm, laid_on
from stylegan_lab.nets.initialisation import WEIGHTS, initialise
from stylegan_lab.nets.padding import Mode, joined
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.pixel_critic import PixelCritic
from stylegan_lab.nets.resnet_critic import ResNetCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator
from stylegan_lab.nets.styled_translator import StyledTranslator
from stylegan_lab.nets.unet import UNet


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_parameter_counts_are_the_published_ones() -> None:
    """11.378, 2.765 and 54.414 million, as the reference code prints them."""
    assert count(ResNetTranslator()) == 11_378_179
    assert count(PatchCritic()) == 2_764_737
    assert count(UNet()) == 54_413_955  # no bias before a batch norm, nor in the outermost halving


@pytest.mark.parametrize(
    "net",
    [ResNetTranslator(channels=4, blocks=1, up=up, down=down) for up in ("transposed", "resize", "antialiased")  # type: ignore[arg-type]
     for down in ("strided", "antialiased")] + [UNet(channels=4, levels=4), UNet(channels=4, levels=4, norm="instance")],
    ids=lambda net: type(net).__name__,
)  # fmt: skip
def test_translators_keep_size_and_range(net: nn.Module) -> None:
    for height, width in ((32, 32), (48, 16)):
        out = net(torch.randn(2, 3, height, width))
        assert out.shape == (2, 3, height, width) and out.abs().max() <= 1


def receptive_field(critic: nn.Module, size: int = 128) -> int:
    """Rows of the image on which the middle logit depends; norms are left out, which look at everything."""
    image = torch.zeros(1, 3, size, size, requires_grad=True)
    logits = critic(image).logits[0]
    logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2].backward()
    return int((image.grad.abs().sum((0, 1, 3)) > 0).sum())  # type: ignore[union-attr]


@pytest.mark.parametrize(("layers", "field"), [(1, 16), (2, 34), (3, 70)])
def test_patches_are_as_large_as_the_paper_says(layers: int, field: int) -> None:
    assert receptive_field(PatchCritic(channels=4, layers=layers, norm="none")) == field


def test_the_pixel_critic_sees_one_pixel() -> None:
    assert receptive_field(PixelCritic(channels=4, norm="none")) == 1


@pytest.mark.parametrize(
    "critic",
    [PatchCritic(channels=4, layers=2), PatchCritic(channels=4), PixelCritic(channels=4), ResNetCritic(channels=4, blocks=3)],
    ids=["patch2", "patch3", "pixel", "resnet"],
)  # fmt: skip
def test_critics_judge_the_smallest_size_they_claim(critic: nn.Module) -> None:
    least = int(critic.at_least)  # type: ignore[arg-type]
    (logits,) = critic(torch.randn(2, 3, least, least)).logits
    assert logits.shape[:2] == (2, 1) and logits.numel() >= 2


def test_the_resnet_critic_gives_one_logit_a_picture() -> None:
    assert ResNetCritic(channels=4)(torch.randn(3, 3, 32, 32)).logits[0].shape == (3, 1)


def test_instance_norm_is_torch_s() -> None:
    x = torch.randn(3, 5, 7, 6)
    assert torch.allclose(InstanceNorm(5)(x), nn.InstanceNorm2d(5)(x), atol=1e-6)


def test_antialiased_resampling_keeps_flat_pictures_flat() -> None:
    """A filter whose taps do not sum to 1 in every phase paints a checkerboard onto a constant."""
    flat = torch.full((1, 4, 8, 8), 0.7)
    assert torch.allclose(Blur(4, taps=3, stride=2)(flat), torch.full((1, 4, 4, 4), 0.7))
    assert torch.allclose(BlurredDoubling(4)(flat), torch.full((1, 4, 16, 16), 0.7))


def test_doubling_does_not_shift_the_picture() -> None:
    image, double = torch.randn(1, 2, 8, 8), BlurredDoubling(2)
    assert torch.allclose(double(image.flip(-1)), double(image).flip(-1), atol=1e-6)
    assert torch.allclose(double(image.flip(-2)), double(image).flip(-2), atol=1e-6)


def checkerboard(net: nn.Module) -> float:
    """The strength of the finest grid in the answer to a flat picture, away from the border."""
    out: Tensor = net(torch.full((1, 3, 128, 128), 0.3)).detach()[..., 48:-48, 48:-48]
    smooth = F.avg_pool2d(out, 2).repeat_interleave(2, 2).repeat_interleave(2, 3)
    return float((out - smooth).abs().mean())


def test_resized_and_antialiased_nets_cannot_paint_a_checkerboard_and_transposed_ones_can() -> None:
    torch.manual_seed(0)
    make = {
        up: ResNetTranslator(channels=4, blocks=1, norm="none", up=up, initialisation="he")
        for up in ("transposed", "resize", "antialiased")
    }  # type: ignore[arg-type]
    assert checkerboard(make["resize"]) < 1e-6
    assert checkerboard(make["antialiased"]) < 1e-6
    assert checkerboard(make["transposed"]) > 1e-3


def test_weights_start_as_the_papers_start_them() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3)
    expected = {"normal": 0.02, "xavier": 0.02 * (2 / (2 * 64 * 9)) ** 0.5, "he": (2 / (64 * 9)) ** 0.5}
    expected["xavier_uniform"] = (2 / (2 * 64 * 9)) ** 0.5
    for how, std in expected.items():
        initialise(conv, how)  # type: ignore[arg-type]
        assert float(conv.weight.detach().std()) == pytest.approx(std, rel=0.03)
        assert conv.bias is not None and not conv.bias.any()
    assert WEIGHTS.keys() == {*expected, "orthogonal"}


def test_an_unknown_part_is_answered_with_the_nearest() -> None:
    with pytest.raises(Mistake, match=r"translator.up=tranposed is unknown \(did you mean transposed\?\)"):
        ResNetTranslator(up="tranposed")  # type: ignore[arg-type]


def test_dropout_stands_in_the_three_inner_levels_of_the_unet() -> None:
    assert sum(isinstance(layer, nn.Dropout) for layer in UNet(channels=2).modules()) == 3


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize(("before", "after"), [(3, 3), (1, 1), (0, 2), (2, 1)])
def test_deterministic_padding_is_torch_s(mode: Mode, before: int, after: int) -> None:
    """Values, and gradients but for the order they are added in."""
    one = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    other = one.detach().clone().requires_grad_()
    ours = joined(joined(one, before, after, mode, dim=-2), before, after, mode, dim=-1)
    theirs = F.pad(other, (before, after, before, after), mode=mode)
    assert torch.equal(ours, theirs)
    weights = torch.randn_like(ours)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert one.grad is not None and other.grad is not None
    assert torch.allclose(one.grad, other.grad, atol=1e-12)


@pytest.mark.parametrize(
    "translator",
    [
        partial(ResNetTranslator, channels=4, blocks=1),
        partial(UNet, channels=4, levels=4, dropout=0.0, norm="instance"),
        partial(StyledTranslator, channels=4, most_channels=8, halvings=2),
        partial(ResNetTranslator, channels=4, blocks=1, condition_at="norms"),
    ],
)
def test_a_condition_laid_on_a_picture_reaches_it(translator: Callable[..., nn.Module]) -> None:
    """A norm right behind the maps would take away what they add."""
    torch.manual_seed(0)
    net, image = translator(condition_channels=2, initialisation="he"), torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        one, other = (net(laid_on(image, torch.tensor([label]))) for label in ([1.0, 0.0], [0.0, 1.0]))
    inside = (slice(None), slice(None), slice(12, 20), slice(12, 20))
    assert float((one - other)[inside].abs().mean()) > 0.01


def test_a_net_whose_norms_read_nothing_is_the_plain_one() -> None:
    plain, told = (
        ResNetTranslator(channels=4, blocks=1, condition_channels=count, condition_at="norms") for count in (0, 2)
    )
    reads = [layer for layer in told.modules() if isinstance(layer, ConditionalNorm)]
    assert len(reads) == 7, "stem, two halvings, two in the block, two doublings"
    for layer in reads:
        layer.read.weight.data.zero_()
    weights = [each.state_dict() for each in (plain, told)]
    told.load_state_dict(weights[1] | weights[0])
    image = torch.rand(1, 3, 16, 16)
    assert torch.equal(plain(image), told(laid_on(image, torch.tensor([[3.0, -1.0]]))))


@pytest.mark.parametrize(("channels", "at_most"), [(4, 0.6), (64, 0.6)])
def test_styles_do_not_drown_the_picture_at_first(channels: int, at_most: float) -> None:
    torch.manual_seed(0)
    net = ResNetTranslator(channels=16, blocks=2, condition_channels=channels, condition_at="norms")
    reads = [layer.read for layer in net.modules() if isinstance(layer, ConditionalNorm)]
    with torch.no_grad():
        given = torch.cat([read(torch.randn(50, channels)).flatten() for read in reads])
    assert float(given.std()) == pytest.approx(at_most, rel=0.1)


def test_only_instance_norms_read_a_condition() -> None:
    with pytest.raises(
        Mistake, match="translator.norm=batch: .*; give translator.norm=instance, or translator.condition_at=stem"
    ):
        ResNetTranslator(norm="batch", condition_channels=2, condition_at="norms")
    ResNetTranslator(norm="batch", condition_channels=2, condition_at="stem")
