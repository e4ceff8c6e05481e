"""Nets of generators: their sizes, what they hear of noise and class, and what spectral norm keeps at 1."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.generation.class_norm import ClassNorm
from stylegan_lab.nets.generation.convolutional import ConvolutionalCritic, ConvolutionalGenerator
from stylegan_lab.nets.generation.dcgan import DCGANCritic, DCGANGenerator
from stylegan_lab.nets.generation.dcgan_7x7 import QuarterCritic, QuarterGenerator
from stylegan_lab.nets.generation.dcgan_projection import DCGANClassGenerator, DCGANProjectionCritic
from stylegan_lab.nets.generation.fully_connected import FullyConnectedCritic, FullyConnectedGenerator
from stylegan_lab.nets.generation.projection import Projection
from stylegan_lab.nets.generation.resnet import ResNetCritic, ResNetGenerator
from stylegan_lab.nets.spectral import SpectralNorm, follow, normalise_spectrally

Net = Callable[..., nn.Module]
SMALL = partial(dict, size=32, channels=4, image_channels=1)
GENERATORS: dict[str, Net] = {
    "fully connected": FullyConnectedGenerator,
    "DCGAN": DCGANGenerator,
    "DCGAN 7x7": QuarterGenerator,
    "DCGAN by class": DCGANClassGenerator,
    "convolutional": ConvolutionalGenerator,
    "ResNet": ResNetGenerator,
}
TOLD: dict[str, Net] = {name: GENERATORS[name] for name in ("fully connected", "DCGAN", "DCGAN by class", "ResNet")}
CRITICS: dict[str, Net] = {
    "fully connected": FullyConnectedCritic,
    "DCGAN": DCGANCritic,
    "DCGAN by projection": DCGANProjectionCritic,
    "ResNet": ResNetCritic,
}
SPECTRAL: dict[str, Net] = {
    "convolutional": ConvolutionalCritic,
    "DCGAN": DCGANProjectionCritic,
    "ResNet": ResNetCritic,
}


def count(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_sizes_are_the_published_ones() -> None:
    assert (
        count(QuarterGenerator()) == 2_305_472 and count(QuarterCritic()) == 212_865
    )  # as Keras counts the tutorial's
    assert count(ResNetGenerator(channels=256)) == 4_276_739  # Miyato et al. (2018), Table 4, added up
    assert count(DCGANGenerator()) == 3_576_704 + 3  # PyTorch's example, which has no bias at its end
    assert count(DCGANCritic()) == 2_765_568 + 64 + 1  # nor at both ends of its critic
    assert count(ResNetCritic()) == 151_680 + 311_680 + 2 * 295_168 + 129  # Table 4 again, block by block


def test_dropout_and_batch_norms_stand_where_the_layouts_have_them() -> None:
    def layers(net: nn.Module, *kinds: type[nn.Module]) -> int:
        return sum(isinstance(layer, kinds) for layer in net.modules())

    norms = nn.BatchNorm1d, nn.BatchNorm2d
    assert layers(QuarterCritic(), nn.Dropout) == 2 and layers(QuarterCritic(), *norms) == 0
    assert layers(QuarterGenerator(), *norms) == 3
    assert layers(ResNetGenerator(), *norms) == 7 and layers(ResNetCritic(), *norms) == 0
    assert layers(ConvolutionalGenerator(), *norms) == 4 and layers(ConvolutionalCritic(), *norms) == 0
    assert layers(DCGANClassGenerator(), *norms) == layers(DCGANGenerator(), *norms) == 4
    assert layers(DCGANCritic(), *norms) == 3 and layers(DCGANProjectionCritic(), *norms) == 0


@pytest.mark.parametrize("name", GENERATORS)
def test_generators_hear_all_of_the_noise(name: str) -> None:
    latents = torch.randn(3, 7, requires_grad=True)
    pictures = GENERATORS[name](latent_size=7, **SMALL())(latents)
    assert pictures.shape == (3, 1, 32, 32)
    pictures.square().sum().backward()
    assert latents.grad is not None and bool((latents.grad != 0).all())


@pytest.mark.parametrize("size", [16, 28, 64])
@pytest.mark.parametrize(
    ("generator", "critic"), [(DCGANClassGenerator, DCGANProjectionCritic), (ResNetGenerator, ResNetCritic)]
)
def test_nets_fit_the_sizes_of_pyramids(generator: Net, critic: Net, size: int) -> None:
    settings = SMALL(size=size)
    pictures = generator(latent_size=5, **settings)(torch.randn(2, 5))
    assert pictures.shape == (2, 1, size, size)
    assert critic(**settings)(pictures).logits[0].shape == (2, 1)


def test_sizes_that_cannot_be_reached_are_told() -> None:
    with pytest.raises(Mistake, match=r"generator.size=30: a multiple of 4 is expected"):
        QuarterGenerator(size=30)
    with pytest.raises(Mistake, match=r"adversary.size=28: a multiple of 8 is expected"):
        ConvolutionalCritic(size=28)
    with pytest.raises(Mistake, match=r"generator.size=24: 4 or 7 times a power of 2"):
        ResNetGenerator(size=24)


def one_hot(*labels: int) -> Tensor:
    return nn.functional.one_hot(torch.tensor(labels), 5).float()


@pytest.mark.parametrize("name", TOLD)
def test_generators_make_of_a_class_something_of_its_own(name: str) -> None:
    net = TOLD[name](latent_size=7, classes=5, **SMALL()).eval()
    latents = torch.randn(1, 7).expand(2, -1)
    one, other = net(latents, one_hot(1, 4))
    assert not torch.allclose(one, other)


@pytest.mark.parametrize("name", CRITICS)
def test_critics_hear_of_which_class_a_picture_is_said_to_be(name: str) -> None:
    net = CRITICS[name](classes=5, **SMALL()).eval()
    one, other = net(torch.rand(1, 1, 32, 32).expand(2, -1, -1, -1), one_hot(1, 4)).logits[0]
    assert not torch.allclose(one, other, rtol=1e-6)


def test_what_is_learnt_of_a_class_is_the_class_s_alone() -> None:
    net = ClassNorm(3, 5)
    net(torch.randn(2, 3, 4, 4), one_hot(1, 4)).square().sum().backward()
    judge = Projection(3, 5)
    judge(torch.randn(2, 3), one_hot(1, 4)).sum().backward()
    assert judge.rows is not None and judge.rows.weight.grad is not None
    for gradient in (net.scale.grad, net.shift.grad, judge.rows.weight.grad.T):
        assert gradient is not None
        assert gradient.abs().sum(dim=1).bool().tolist() == [False, True, False, False, True]


def test_a_norm_of_one_class_is_a_batch_norm() -> None:
    net, x = ClassNorm(3, 0), torch.randn(4, 3, 5, 5) * 3 + 1
    plain = nn.BatchNorm2d(3)
    plain.load_state_dict({**plain.state_dict(), "weight": net.scale.detach()[0], "bias": net.shift.detach()[0]})
    torch.testing.assert_close(net(x), plain(x))


def test_projection_is_the_line_and_an_inner_product() -> None:
    judge, features = Projection(3, 5), torch.randn(2, 3)
    assert judge.rows is not None
    embedded = judge.rows.weight.T[[1, 4]]
    torch.testing.assert_close(
        judge(features, one_hot(1, 4)), judge.line(features) + (embedded * features).sum(1, True)
    )


@pytest.mark.parametrize("name", SPECTRAL)
def test_spectral_norm_is_1_at_the_limit(name: str) -> None:
    net = SPECTRAL[name](spectral=True, **SMALL())
    for _ in range(300):
        follow(net)
    normed = [layer for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    assert len(normed) >= 4
    for layer in normed:
        assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, abs=1e-3)


def test_spectral_norm_of_a_transposed_convolution_is_that_of_its_outputs() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(3, 5, 4))
    normalise_spectrally(net)
    for _ in range(300):
        follow(net)
    matrix = net[0].weight.detach().transpose(0, 1).flatten(1)
    assert matrix.shape == (5, 48) and float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(1, abs=1e-4)


def test_spectral_norm_s_gradient_is_that_of_dividing_by_the_singular_value() -> None:
    weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.detach())
    norm.follow(weight, 2000)
    seen = torch.randn(4, 6, dtype=torch.float64)
    (mine,) = torch.autograd.grad((norm(weight) * seen).sum(), weight)
    (exact,) = torch.autograd.grad((weight / torch.linalg.matrix_norm(weight, 2) * seen).sum(), weight)
    torch.testing.assert_close(mine, exact)


def test_a_judgement_changes_nothing_and_is_in_the_checkpoint() -> None:
    torch.manual_seed(0)
    net, image = ResNetCritic(spectral=True, **SMALL()), torch.rand(2, 1, 32, 32)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    said = net(image).logits[0]
    assert torch.equal(said, net(image).logits[0])
    assert all(torch.equal(value, net.state_dict()[key]) for key, value in before.items())
    other = ResNetCritic(spectral=True, **SMALL())
    other.load_state_dict(before)
    assert torch.equal(other(image).logits[0], said)


def test_within_unit_values_are_from_0_to_1() -> None:
    images = torch.rand(3, 1, 8, 8) * 2 - 1
    plain, unit = (FullyConnectedCritic(size=8, channels=6, dropout=0, unit=unit) for unit in (False, True))
    plain.load_state_dict(unit.state_dict())
    assert torch.equal(unit(images).logits[0], plain((images + 1) / 2).logits[0])
    generator = FullyConnectedGenerator(latent_size=5, size=8, channels=6, unit=True)
    latents = torch.randn(3, 5)
    before = generator.layers[:-1](latents)
    torch.testing.assert_close(generator(latents).flatten(1), torch.tanh(before / 2))


def test_weights_begin_within_their_range_and_pixels_drop_out() -> None:
    for net in (FullyConnectedCritic(weight_range=0.005), FullyConnectedGenerator(weight_range=0.05)):
        weights = torch.cat([value.flatten() for name, value in net.named_parameters() if name.endswith("weight")])
        most = 0.005 if isinstance(net, FullyConnectedCritic) else 0.05
        assert 0.99 * most < weights.abs().max() <= most
        assert all(not value.any() for name, value in net.named_parameters() if name.endswith("bias"))
    critic = FullyConnectedCritic(size=8, dropout=0, input_dropout=0.5)
    image = torch.rand(1, 1, 8, 8)
    assert not torch.equal(critic(image).logits[0], critic(image).logits[0])
    assert torch.equal(critic.eval()(image).logits[0], critic(image).logits[0])
    told = FullyConnectedCritic(size=8, classes=3, dropout=0, input_dropout=1.0)
    one, other = (told(image, label[None]).logits[0] for label in torch.eye(3)[:2])
    assert not torch.equal(one, other), "but not what class is meant"
