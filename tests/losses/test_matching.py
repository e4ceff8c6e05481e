"""Feature matching: nothing where pictures agree, and only the fake learns."""

import pytest
import torch

from stylegan_lab.losses.matching import feature_matching
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_critic import ResNetCritic
from stylegan_lab.nets.verdict import Verdict


def test_maps_are_compared_layer_by_layer() -> None:
    def judge(image: torch.Tensor) -> Verdict:
        return Verdict((image,), features=(image, 3 * image))

    real, fake = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert float(feature_matching(judge, real, fake)) == 2  # the mean of 1 and 3


def test_a_patch_critic_tells_what_its_layers_see() -> None:
    critic, real = PatchCritic(channels=4, layers=2), torch.rand(1, 3, 16, 16)
    assert [each.shape[1] for each in critic(real).features] == [4, 8, 16]
    fake = torch.rand(1, 3, 16, 16).requires_grad_()
    loss = feature_matching(critic, real, fake)
    loss.backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None and float(fake.grad.abs().sum()) > 0
    assert float(feature_matching(critic, real, real).detach()) == 0


def test_a_critic_that_tells_nothing_is_refused() -> None:
    image = torch.rand(1, 3, 16, 16)
    with pytest.raises(Mistake, match="give critic=patch"):
        feature_matching(ResNetCritic(channels=2, blocks=2), image, image)
