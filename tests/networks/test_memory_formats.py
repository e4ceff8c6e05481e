"""Layers compute the same in NCHW and in channels_last."""

import pytest
import torch

from stylegan_lab.networks.layers.norms import InstanceNorm


@pytest.mark.parametrize("batch", [1, 3])
def test_instance_norm_is_the_same_in_both_memory_formats(batch: int) -> None:
    torch.manual_seed(0)
    image = torch.randn(batch, 5, 8, 6, dtype=torch.float64, requires_grad=True)
    weight, norm = torch.randn(batch, 5, 8, 6, dtype=torch.float64), InstanceNorm(5)
    outputs = [norm(image.contiguous(memory_format=each)) for each in (torch.contiguous_format, torch.channels_last)]
    gradients = [torch.autograd.grad((output * weight).sum(), image)[0] for output in outputs]
    torch.testing.assert_close(outputs[0], outputs[1])
    torch.testing.assert_close(gradients[0], gradients[1])
    assert outputs[1].is_contiguous(memory_format=torch.channels_last), "the format is kept"
