"""Feature matching: nothing where pictures agree, and only the fake learns."""

import torch

from stylegan_lab.losses.feature_matching import feature_matching
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.discriminators.resnet import ResNetDiscriminator
from tests.refusals import refused


def test_maps_are_compared_layer_by_layer() -> None:
    def discriminator(image: torch.Tensor) -> DiscriminatorOutput:
        return DiscriminatorOutput((image,), features=(image, 3 * image))

    real, fake = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)
    assert float(feature_matching(discriminator, real, fake)) == 2  # the mean of 1 and 3


def test_a_patch_discriminator_returns_its_feature_maps() -> None:
    discriminator, real = PatchDiscriminator(channels=4, layers=2), torch.rand(1, 3, 16, 16)
    assert [each.shape[1] for each in discriminator(real).features] == [4, 8, 16]
    fake = torch.rand(1, 3, 16, 16).requires_grad_()
    loss = feature_matching(discriminator, real, fake)
    loss.backward()  # type: ignore[no-untyped-call]
    assert fake.grad is not None and float(fake.grad.abs().sum()) > 0
    assert float(feature_matching(discriminator, real, real).detach()) == 0


def test_a_discriminator_without_feature_maps_is_refused() -> None:
    image = torch.rand(1, 3, 16, 16)
    with refused("loss.no_feature_maps", "model.feature_matching_weight", "discriminator=patch"):
        feature_matching(ResNetDiscriminator(channels=2, blocks=2), image, image)
