"""ProGAN's nets: what grows is, at both ends of a fade, what it was and what it will be."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.nets.generation.progan import ProGANCritic, ProGANGenerator, doubled, resized
from tests.nets.test_stylegan2 import count

LATENTS = torch.randn(4, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def nets() -> tuple[ProGANGenerator, ProGANCritic]:
    torch.manual_seed(0)
    return ProGANGenerator(8, 1, size=16, channels=4), ProGANCritic(1, size=16, channels=4)


def grown(nets: tuple[nn.Module, nn.Module], to: float) -> tuple[Tensor, Tensor]:
    """Pictures, and what is said of them."""
    for net in nets:
        net.grown.fill_(to)  # type: ignore[operator, union-attr]
    pictures = nets[0](LATENTS)
    return pictures, nets[1](pictures).logits[0]


@pytest.mark.parametrize("level", [1, 2])
def test_a_fade_leads_from_the_lower_nets_to_the_higher_ones(
    level: int, nets: tuple[ProGANGenerator, ProGANCritic]
) -> None:
    made_by, judged_by = nets
    assert torch.allclose(made_by.at(LATENTS, level, 0.0), made_by.at(LATENTS, level - 1), atol=1e-6)
    assert torch.equal(made_by.at(LATENTS, level, 1.0), made_by.at(LATENTS, level))
    pictures = torch.randn(4, 1, 16, 16)
    lower, higher = (judged_by.at(pictures, each).logits[0] for each in (level - 1, level))
    assert torch.allclose(judged_by.at(pictures, level, 0.0).logits[0], lower, atol=1e-6)
    assert torch.equal(judged_by.at(pictures, level, 1.0).logits[0], higher)
    assert not torch.allclose(lower, higher, atol=1e-3)


def test_halfway_pictures_are_the_mean_of_both_levels(nets: tuple[ProGANGenerator, ProGANCritic]) -> None:
    lower, halfway, higher = (grown(nets, to)[0] for to in (0.0, 0.5, 1.0))
    assert torch.allclose(halfway, (lower + higher) / 2, atol=1e-6)


def test_what_is_grown_is_kept_with_the_weights(nets: tuple[ProGANGenerator, ProGANCritic]) -> None:
    pictures, _ = grown(nets, 1.25)
    other = ProGANGenerator(8, 1, size=16, channels=4)
    assert other.stage == (0, 1.0)
    other.load_state_dict(nets[0].state_dict())
    assert other.stage == (2, 0.25) and torch.equal(other(LATENTS), pictures)


def test_a_lower_level_is_a_plain_net_of_its_own_size(nets: tuple[ProGANGenerator, ProGANCritic]) -> None:
    small = ProGANGenerator(8, 1, size=8, channels=8)
    small.load_state_dict({name: value for name, value in nets[0].state_dict().items() if name in small.state_dict()})
    small.grown.fill_(1)
    pictures, said = grown(nets, 1)
    assert torch.equal(pictures, doubled(small(LATENTS)))
    judge = ProGANCritic(1, size=8, channels=8)
    judge.load_state_dict({name: value for name, value in nets[1].state_dict().items() if name in judge.state_dict()})
    judge.grown.fill_(1)
    assert torch.allclose(judge(small(LATENTS)).logits[0], said)


def test_only_levels_in_use_gather_gradients(nets: tuple[ProGANGenerator, ProGANCritic]) -> None:
    _, logits = grown(nets, 0.5)
    logits.sum().backward()
    for net in nets:
        used = [any(each.grad is not None for each in level.parameters()) for level in net.levels]
        assert used == [True, False]


def test_places_are_averaged_or_repeated() -> None:
    picture = torch.randn(2, 3, 8, 8)
    assert torch.equal(resized(picture, 4), F.avg_pool2d(picture, 2))
    assert torch.equal(resized(picture, 16), F.interpolate(picture, scale_factor=2, mode="nearest"))
    assert torch.equal(resized(picture, 8), picture)


def test_second_derivatives_exist() -> None:
    torch.manual_seed(0)
    net = ProGANCritic(1, size=8, channels=1, most_channels=1).double()
    net.grown.fill_(0.5)
    image = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda image: net(image).logits[0], (image,), atol=1e-4, fast_mode=True)


def test_each_net_has_the_23_million_parameters_of_the_paper() -> None:
    """At 1024 px (table 2 of Karras et al., 2018)."""
    for net in (ProGANGenerator(size=1024, channels=16), ProGANCritic(size=1024, channels=16)):
        assert count(net) == pytest.approx(23.1e6, rel=0.005)
