"""Layers in half precision: sums of squares neither overflow nor vanish, and results are not stored in float32 for nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from stylegan_lab.networks.encoders.patch_projector import PatchProjector
from stylegan_lab.networks.generators.adain_decoder import adaptive_instance_norm
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.layers.conditioning import ConditionalInstanceNorm
from stylegan_lab.networks.layers.norms import AffineInstanceNorm, InstanceNorm
from stylegan_lab.networks.layers.progan import MinibatchStdDev, pixel_norm
from stylegan_lab.networks.layers.spectral_norm import SpectralNorm
from stylegan_lab.networks.layers.stargan2 import PreactivationBlock

HALF = [torch.float16, torch.bfloat16]


def test_gradients_of_the_deviation_of_equal_images_are_finite_in_float16() -> None:
    images = torch.ones(4, 2, 3, 3, dtype=torch.float16, requires_grad=True)
    out = MinibatchStdDev(4)(images)
    out.float().sum().backward()
    assert out.dtype == torch.float16 and images.grad is not None and bool(images.grad.isfinite().all())


def test_pixel_norm_of_large_features_does_not_overflow_in_float16() -> None:
    x = torch.full((1, 4, 2, 2), 1000.0, dtype=torch.float16)
    assert torch.equal(pixel_norm(x), torch.ones_like(x))


def test_statistics_of_large_features_do_not_overflow_in_float16() -> None:
    x = 1000 * torch.randn(2, 3, 8, 8).half()
    mean, std = torch.zeros(2, 3, 1, 1), torch.ones(2, 3, 1, 1)
    torch.testing.assert_close(adaptive_instance_norm(x, mean, std), F.instance_norm(x.float()), rtol=1e-3, atol=1e-3)


def test_projected_zeros_are_no_nan_in_float16() -> None:
    projector = PatchProjector([3], 4).half()
    (vectors,) = projector([torch.zeros(1, 3, 2, 2, dtype=torch.float16)], [torch.arange(4)])
    assert torch.equal(vectors, torch.zeros(1, 4, 4))


def test_spectral_norm_iterates_in_float32_under_autocast() -> None:
    weight = torch.randn(8, 16)
    norms = [SpectralNorm(weight) for _ in range(2)]
    norms[1].load_state_dict(norms[0].state_dict())
    norms[0].power_iteration(weight)
    with torch.autocast("cpu", torch.bfloat16):
        norms[1].power_iteration(weight)
    assert torch.equal(norms[0].u, norms[1].u) and torch.equal(norms[0].v, norms[1].v)


@contextmanager
def cuda_autocast(dtype: torch.dtype) -> Iterator[None]:
    """CUDA's own rules of autocast, on tensors without values: they are part of every build of torch."""
    with FakeTensorMode(), torch.no_grad():
        torch.set_autocast_dtype("cuda", dtype)
        torch.set_autocast_enabled("cuda", True)
        try:
            yield
        finally:
            torch.set_autocast_enabled("cuda", False)
            torch.clear_autocast_cache()


def on_cuda(net: nn.Module) -> nn.Module:
    """The network with parameters and buffers that have no values. To be called within `cuda_autocast`."""
    for layer in net.modules():
        for tensors in (layer._parameters, layer._buffers):
            made = {name: torch.empty(each.shape, device="cuda") for name, each in tensors.items() if each is not None}
            tensors.update(made)  # type: ignore[arg-type]
    return net


def test_cuda_would_compute_group_norms_in_float32() -> None:
    with cuda_autocast(torch.float16):
        assert F.group_norm(torch.ones(1, 4, 8, 8, device="cuda", dtype=torch.float16), 4).dtype == torch.float32


NORMS = {
    "instance": partial(InstanceNorm, 4),
    "affine": partial(AffineInstanceNorm, 4),
    "StarGAN v2's block": partial(PreactivationBlock, 4, 4, norm=True),
}


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("norm", NORMS)
def test_instance_norms_keep_half_precision_under_autocast(norm: str, dtype: torch.dtype) -> None:
    with torch.autocast("cpu", dtype):
        assert NORMS[norm]()(torch.randn(2, 4, 8, 8, dtype=dtype)).dtype == dtype
    layer = NORMS[norm]()
    with cuda_autocast(dtype):
        assert on_cuda(layer)(torch.ones(2, 4, 8, 8, device="cuda", dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", HALF)
def test_a_resnet_stores_no_feature_map_in_float32_on_cuda(dtype: torch.dtype) -> None:
    stored: list[tuple[str, torch.dtype]] = []
    net = ResNetGenerator(channels=4, blocks=2)
    for layer in net.modules():
        if not list(layer.children()):
            layer.register_forward_hook(lambda layer, _, out: stored.append((type(layer).__name__, out.dtype)))
    with cuda_autocast(dtype):
        on_cuda(net)(torch.zeros(1, 3, 32, 32, device="cuda"))
    first_padding, *others = stored
    assert first_padding[1] == torch.float32, "the image's own"
    assert {each for _, each in others} == {dtype}, others


def test_conditional_instance_norm_agrees_with_float32() -> None:
    norm = ConditionalInstanceNorm(4, 2)
    x, condition = torch.randn(2, 4, 8, 8), torch.randn(2, 2)

    def under_autocast(image: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            out: Tensor = norm(image, condition)
            return out

    torch.testing.assert_close(under_autocast(x).float(), norm(x, condition), rtol=0.03, atol=0.03)
