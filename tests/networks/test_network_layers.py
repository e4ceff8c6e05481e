"""Layers shared by networks: norms, resampling, padding, initialization, class conditions, spectral norm."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.networks.layers.conditioning import ConditionalBatchNorm, ProjectionHead
from stylegan_lab.networks.layers.initialization import INITIALIZERS, initialize_weights
from stylegan_lab.networks.layers.norms import InstanceNorm
from stylegan_lab.networks.layers.resampling import (
    BlurPool,
    BlurUpsample,
    PaddingMode,
    _concatenate_edges,
    _multiply_to_size,
)
from stylegan_lab.networks.layers.spectral_norm import SpectralNorm, apply_spectral_norm, update_spectral_norm


def test_instance_norm_equals_torchs() -> None:
    x = torch.randn(3, 5, 7, 6)
    assert torch.allclose(InstanceNorm(5)(x), nn.InstanceNorm2d(5)(x), atol=1e-6)


def test_antialiased_resampling_keeps_a_constant_image() -> None:
    """A filter whose taps do not sum to 1 in every phase adds a checkerboard to a constant."""
    constant = torch.full((1, 4, 8, 8), 0.7)
    assert torch.allclose(BlurPool(4, kernel_size=3, stride=2)(constant), torch.full((1, 4, 4, 4), 0.7))
    assert torch.allclose(BlurUpsample(4)(constant), torch.full((1, 4, 16, 16), 0.7))


def test_blur_upsampling_does_not_shift_the_image() -> None:
    image, upsample = torch.randn(1, 2, 8, 8), BlurUpsample(2)
    assert torch.allclose(upsample(image.flip(-1)), upsample(image).flip(-1), atol=1e-6)
    assert torch.allclose(upsample(image.flip(-2)), upsample(image).flip(-2), atol=1e-6)


def test_initial_weights_have_the_papers_standard_deviations() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(64, 64, 3)
    expected = {"normal": 0.02, "xavier": 0.02 * (2 / (2 * 64 * 9)) ** 0.5, "he": (2 / (64 * 9)) ** 0.5}
    expected["xavier_uniform"] = (2 / (2 * 64 * 9)) ** 0.5
    for scheme, std in expected.items():
        initialize_weights(conv, scheme)  # type: ignore[arg-type]
        assert float(conv.weight.detach().std()) == pytest.approx(std, rel=0.03)
        assert conv.bias is not None and not conv.bias.any()
    assert INITIALIZERS.keys() == {*expected, "orthogonal"}


@pytest.mark.parametrize("size", [4, 7, 12, 19])
def test_deterministic_resizing_equals_torchs(size: int) -> None:
    x = torch.randn(2, 3, 12, 9, dtype=torch.float64, requires_grad=True)
    ours, theirs = _multiply_to_size(x, size), F.interpolate(x, (size, size), mode="bilinear", antialias=True)
    assert torch.allclose(ours, theirs, atol=1e-12)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((each * weights).sum(), x)[0] for each in (ours, theirs)]
    assert torch.allclose(*gradients, atol=1e-12)


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize(("before", "after"), [(3, 3), (1, 1), (0, 2), (2, 1)])
def test_deterministic_padding_equals_torchs(mode: PaddingMode, before: int, after: int) -> None:
    """The values are equal, and the gradients up to the order of summation."""
    x = torch.randn(2, 3, 7, 6, dtype=torch.float64, requires_grad=True)
    same_x = x.detach().clone().requires_grad_()
    ours = _concatenate_edges(_concatenate_edges(x, before, after, mode, dim=-2), before, after, mode, dim=-1)
    theirs = F.pad(same_x, (before, after, before, after), mode=mode)
    assert torch.equal(ours, theirs)
    weights = torch.randn_like(ours)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert x.grad is not None and same_x.grad is not None
    assert torch.allclose(x.grad, same_x.grad, atol=1e-12)


# Class conditions


def one_hot(*labels: int) -> Tensor:
    return F.one_hot(torch.tensor(labels), 5).float()


def test_parameters_of_a_class_get_gradients_from_that_class_only() -> None:
    norm = ConditionalBatchNorm(3, 5)
    norm(torch.randn(2, 3, 4, 4), one_hot(1, 4)).square().sum().backward()
    head = ProjectionHead(3, 5)
    head(torch.randn(2, 3), one_hot(1, 4)).sum().backward()
    assert head.embedding is not None and head.embedding.weight.grad is not None
    for gradient in (norm.scale.grad, norm.shift.grad, head.embedding.weight.grad.T):
        assert gradient is not None
        assert gradient.abs().sum(dim=1).bool().tolist() == [False, True, False, False, True]


def test_conditional_batch_norm_without_classes_is_batch_norm() -> None:
    norm, x = ConditionalBatchNorm(3, 0), torch.randn(4, 3, 5, 5) * 3 + 1
    plain = nn.BatchNorm2d(3)
    plain.load_state_dict({**plain.state_dict(), "weight": norm.scale.detach()[0], "bias": norm.shift.detach()[0]})
    torch.testing.assert_close(norm(x), plain(x))


def test_projection_head_is_a_linear_layer_plus_an_inner_product() -> None:
    head, features = ProjectionHead(3, 5), torch.randn(2, 3)
    assert head.embedding is not None
    embedded = head.embedding.weight.T[[1, 4]]
    torch.testing.assert_close(
        head(features, one_hot(1, 4)), head.linear(features) + (embedded * features).sum(1, True)
    )


# Spectral norm


def test_spectral_norm_of_a_transposed_convolution_is_over_its_outputs() -> None:
    net = nn.Sequential(nn.ConvTranspose2d(3, 5, 4))
    apply_spectral_norm(net)
    for _ in range(300):
        update_spectral_norm(net)
    matrix = net[0].weight.detach().transpose(0, 1).flatten(1)
    assert matrix.shape == (5, 48) and float(torch.linalg.matrix_norm(matrix, 2)) == pytest.approx(1, abs=1e-4)


def test_gradient_of_spectral_norm_is_that_of_dividing_by_the_singular_value() -> None:
    weight = torch.randn(4, 6, dtype=torch.float64, requires_grad=True)
    norm = SpectralNorm(weight.detach())
    norm.power_iteration(weight, 2000)
    direction = torch.randn(4, 6, dtype=torch.float64)
    (ours,) = torch.autograd.grad((norm(weight) * direction).sum(), weight)
    (exact,) = torch.autograd.grad((weight / torch.linalg.matrix_norm(weight, 2) * direction).sum(), weight)
    torch.testing.assert_close(ours, exact)
