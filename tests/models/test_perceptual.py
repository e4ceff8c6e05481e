"""The hybrid: each weight buys its own term, and 0 costs nothing."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.batch import PairedBatch, UnpairedBatch
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.perceptual import PerceptualGAN
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from tests.models.test_base import train
from tests.models.test_stylization import IdentityGenerator, features, must_not_be_built

WEIGHTS = ("content", "style", "adversarial", "pixel")


def hybrid(**settings: Any) -> PerceptualGAN:
    torch.manual_seed(0)
    return PerceptualGAN(
        settings.pop("generator", partial(ResNetGenerator, channels=4, blocks=1)),
        partial(PatchDiscriminator, channels=4, layers=2),
        settings.pop("features", features),
        AdversarialLoss(LSGANLoss()),
        partial(torch.optim.Adam, lr=1e-3),
        ConstantLR(),
        **settings,
    )


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def losses(module: PerceptualGAN, a: Tensor, b: Tensor) -> dict[str, float]:
    losses = module.generator_losses(a, b, module.generator(a)).detached()
    return {name: float(loss) for name, loss in losses.losses.items()}


@pytest.mark.parametrize("name", WEIGHTS)
def test_each_weight_scales_its_own_loss_only(name: str) -> None:
    a, b = images(1, 3, 32, 32), images(1, 3, 32, 32)

    def losses_with_weight(weight: float) -> dict[str, float]:
        weights = {f"{each}_weight": weight if each == name else 0.0 for each in WEIGHTS}
        needs_features = name in ("content", "style")
        return losses(hybrid(features=features if needs_features else must_not_be_built, **weights), a, b)

    (key,) = losses_with_weight(1.0)
    assert key == {"adversarial": "gan"}.get(name, name)
    assert losses_with_weight(3.0)[key] == pytest.approx(3 * losses_with_weight(1.0)[key], rel=1e-4)


def test_without_an_adversarial_weight_the_discriminator_is_not_updated(tmp_path: Path) -> None:
    module = hybrid(
        adversarial_weight=0.0, content_weight=0.0, style_weight=0.0, pixel_weight=1.0, features=must_not_be_built
    )
    module.load_feature_networks()
    before = [parameter.clone() for parameter in module.discriminator.parameters()]
    train(module, 2, tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(before, module.discriminator.parameters(), strict=True))


def test_unpaired_content_is_the_source_s_and_paired_content_the_truth_s() -> None:
    a, b = images(1, 3, 32, 32), images(1, 3, 32, 32)
    weights = {"style_weight": 0.0, "adversarial_weight": 0.0, "pixel_weight": 1.0}
    unpaired = losses(hybrid(generator=IdentityGenerator, **weights), a, b)
    assert unpaired["content"] == unpaired["pixel"] == 0, "an unchanged image keeps its content"
    paired = losses(hybrid(generator=IdentityGenerator, paired=True, **weights), a, b)
    assert paired["content"] > 0 and paired["pixel"] > 0
    assert losses(hybrid(generator=IdentityGenerator, paired=True, **weights), b, b)["pixel"] == 0
    assert hybrid().batch_type is UnpairedBatch and hybrid(paired=True).batch_type is PairedBatch
