"""The upscaler: pictures come out larger, and begin as a plain enlargement where that is wanted."""

import pytest
import torch
import torch.nn.functional as F

from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.upscaler import Upscaler


@pytest.mark.parametrize("factor", [2, 4])
def test_pictures_come_out_so_many_times_as_large(factor: int) -> None:
    image = torch.rand(1, 3, 9, 7)
    assert Upscaler(factor=factor, channels=4, blocks=1)(image).shape == (1, 3, 9 * factor, 7 * factor)


def test_over_bicubic_it_begins_as_a_plain_enlargement() -> None:
    image = torch.rand(1, 3, 8, 8)
    net = Upscaler(factor=2, channels=4, blocks=1, norm="none", over_bicubic=True)
    assert torch.equal(net(image), F.interpolate(image, scale_factor=2, mode="bicubic"))


def test_the_paper_s_net_has_the_paper_s_size() -> None:
    """SRResNet x4: 16 blocks of 64 channels; its parameters counted layer by layer."""
    block = 2 * (64 * 64 * 9 + 64) + 2 * 128 + 1
    expected = (
        (3 * 64 * 81 + 64 + 1) + 16 * block + (64 * 64 * 9 + 64 + 128) + 2 * (64 * 256 * 9 + 256 + 1) + 64 * 3 * 81 + 3
    )
    assert sum(parameter.numel() for parameter in Upscaler().parameters()) == expected


@pytest.mark.parametrize("factor", [1, 3])
def test_only_doublings_are_possible(factor: int) -> None:
    with pytest.raises(Mistake, match=f"translator.factor={factor}: an upscaler doubles, so give 2, 4 or 8"):
        Upscaler(factor=factor)
