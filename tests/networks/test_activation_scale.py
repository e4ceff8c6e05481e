"""Trained weights of any scale give the same features after rescaling."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.networks.features.activation_scale import dead_leaves, rescale_activations
from stylegan_lab.networks.features.alexnet import alexnet
from stylegan_lab.networks.features.feature_net import FeatureExtractor, FeatureNet
from stylegan_lab.networks.features.squeezenet import Fire, squeezenet
from stylegan_lab.networks.features.vgg import vgg19
from tests.refusals import refused

BUILDERS = [partial(vgg19, width=0.125), partial(vgg19, width=0.125, pool="average"), alexnet, squeezenet]
Build = Callable[[str], FeatureExtractor]


def trained(build: Build) -> FeatureNet:
    """A network with biases, as trained ones have."""
    net: FeatureNet = build("random").net
    torch.manual_seed(1)
    for module in net.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            module.bias.data = 0.1 * torch.randn_like(module.bias)
    return net


def with_other_scales(net: FeatureNet) -> FeatureNet:
    """Multiply the output of each layer by a number of its own, and take it back at the input of the next."""
    generator, before = torch.Generator().manual_seed(2), 1.0
    for layer in net.features:
        if not isinstance(layer, nn.Conv2d | Fire):
            continue
        scale = float(10 ** (torch.rand((), generator=generator) * 4 - 1))
        if isinstance(layer, Fire):
            layer.squeeze.weight.data *= 7 / before
            layer.squeeze.bias.data *= 7  # type: ignore[union-attr]
            for expand in (layer.expand1x1, layer.expand3x3):
                expand.weight.data *= scale / 7
                expand.bias.data *= scale  # type: ignore[union-attr]
        else:
            layer.weight.data *= scale / before
            layer.bias.data *= scale  # type: ignore[union-attr]
        before = scale
    return net


def maps(net: FeatureNet, names: Sequence[str], image: Tensor) -> dict[str, Tensor]:
    with torch.no_grad():
        return net(image, names)


@pytest.mark.parametrize("build", BUILDERS)
def test_features_do_not_depend_on_the_scale_of_the_weights(build: Build) -> None:
    net, other = trained(build), with_other_scales(trained(build))
    image, names = torch.rand(1, 3, 64, 64) * 2 - 1, list(net.layer_indices)
    differing = [
        name
        for name, before in maps(net, names, image).items()
        if torch.allclose(before, maps(other, [name], image)[name], rtol=0.05)
    ]
    assert not differing, "the copy has other scales"
    rescale_activations(net)
    rescale_activations(other)
    for name, expected in maps(net, names, image).items():
        assert torch.allclose(maps(other, [name], image)[name], expected, rtol=1e-3, atol=1e-4), name


@pytest.mark.parametrize("build", BUILDERS)
def test_each_layer_is_divided_by_its_mean_activation(build: Build) -> None:
    net, image = trained(build), torch.rand(1, 3, 64, 64) * 2 - 1
    names = list(net.layer_indices)
    before, on_leaves = maps(net, names, image), maps(net, names, dead_leaves())
    means = rescale_activations(net)
    after = maps(net, names, image)
    for name in names:
        assert means[name] == pytest.approx(float(on_leaves[name].mean()), rel=1e-4)
        assert torch.allclose(after[name] * means[name], before[name], rtol=1e-3, atol=1e-4 * means[name])
    assert all(float(each.mean()) == pytest.approx(1, rel=1e-3) for each in maps(net, names, dead_leaves()).values())


def test_weights_without_activations_are_refused() -> None:
    net = trained(BUILDERS[0])
    net.features[2].weight.data.zero_()
    net.features[2].bias.data.zero_()
    with refused("weights.damaged", "features.weights", "features.2"):
        rescale_activations(net)


def test_dead_leaves_are_always_the_same_and_occlude_each_other() -> None:
    torch.manual_seed(5)
    state = torch.get_rng_state()
    images = dead_leaves()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(images, dead_leaves()) and float(images.abs().max()) <= 0.7
    same = (images[..., 1:] == images[..., :-1]).all(dim=1).float().mean()
    assert 0.5 < float(same) < 0.95, "flat discs with edges between them"
