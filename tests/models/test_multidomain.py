"""Multidomain: labels decide, the discriminator knows them, and every domain can be reached by its name."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.data.synthetic.scenes_datamodule import DomainScenesDataModule
from stylegan_lab.images.batch import DomainBatch
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.multidomain import MultiDomain
from stylegan_lab.networks.discriminators.output import DiscriminatorOutput
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from tests.refusals import refused

NAMES = ["photo", "ukiyoe", "ink"]


class AddDomainIndex(nn.Module):
    """Translates by adding the number of the target domain."""

    def __init__(self, condition_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.numbers = torch.arange(float(condition_channels)).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x[:, :3] + (x[:, 3:] * self.numbers).sum(1, keepdim=True))


def multidomain(**settings: Any) -> MultiDomain:
    torch.manual_seed(0)
    return MultiDomain(
        settings.pop("generator", partial(ResNetGenerator, channels=4, blocks=1)),
        settings.pop("discriminator", partial(PatchDiscriminator, channels=4, layers=2)),
        AdversarialLoss(LSGANLoss()),
        partial(torch.optim.Adam, lr=1e-3),
        ConstantLR(),
        NAMES, "photo", "ukiyoe", **settings,
    )  # fmt: skip


def batch(source: list[int], target: list[int]) -> DomainBatch:
    a, b = torch.rand(len(source), 3, 16, 16), torch.rand(len(source), 3, 16, 16)
    return {"a": a, "b": b, "source": torch.tensor(source), "target": torch.tensor(target)}


def test_each_domain_is_a_direction_by_its_name() -> None:
    module, image = multidomain(generator=AddDomainIndex), torch.zeros(2, 3, 16, 16)
    for number, name in enumerate(NAMES):
        assert float(module.translate(image, name).detach().mean()) == number
    assert torch.equal(module.translate(image, "a2b"), module.translate(image, "ukiyoe"))
    assert torch.equal(module.translate(image, "b2a"), module.translate(image, "photo"))
    with refused("translate.unknown_direction", "--to=sketch", "photo, ukiyoe, ink"):
        module.translate(image, "sketch")


def test_the_cycle_returns_to_each_image_s_source_domain() -> None:
    module = multidomain(generator=AddDomainIndex, identity_weight=1.0)
    pictures = batch([0, 0], [1, 2])
    losses = (
        module.generator_losses(pictures, module.translate_to_label(pictures["a"], pictures["target"]))
        .detached()
        .losses
    )
    assert float(losses["cycle"]) == pytest.approx(10 * (1 + 2) / 2), "of 10 times the mean of what is left of 1 and 2"
    assert float(losses["identity"]) == pytest.approx(0)
    none = multidomain(generator=AddDomainIndex, cycle_weight=0.0).generator_losses(pictures, pictures["a"])
    assert none.losses.keys() == {"gan"}


def test_the_discriminator_is_conditioned_on_the_target_domain() -> None:
    seen: list[Tensor] = []

    class Recording(nn.Module):
        def __init__(self, image_channels: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, image: Tensor) -> DiscriminatorOutput:
            seen.append(image)
            return DiscriminatorOutput((image * self.weight,))

    module, pictures = multidomain(discriminator=Recording), batch([0, 1], [2, 0])
    module.discriminator_losses(pictures, pictures["a"])
    for image in seen:
        assert torch.equal(image[:, 3:, 0, 0], torch.tensor([[0.0, 0, 1], [1.0, 0, 0]]))
    assert torch.equal(seen[0][:, :3], pictures["b"]) and torch.equal(seen[1][:, :3], pictures["a"])


def test_data_go_from_every_domain_to_every_other() -> None:
    data = DomainScenesDataModule(size=16, train_images=6, domains=["photo", "ukiyoe", "ink"])
    samples = data.train_samples()
    ways = [
        (int(sample["source"]), int(sample["target"]))
        for epoch in range(4)
        for sample in (samples[(epoch, i)] for i in range(18))
    ]
    assert {source for source, _ in ways} == {target for _, target in ways} == {0, 1, 2}
    assert len(set(ways)) == 6, "never to where it is"
    again = samples[(2, 5)]
    assert torch.equal(again["b"], samples[(2, 5)]["b"]) and int(again["target"]) == int(samples[(2, 5)]["target"])
    sample = samples[(0, 4)]
    assert torch.equal(sample["a"], data._domain("ukiyoe", 6, 6)[1][0]), "picture 1 of domain 1"


def test_domains_must_hold_the_pair_that_is_scored() -> None:
    with refused("data.domain_missing", "data.domains=['photo', 'ink']", "ukiyoe"):
        DomainScenesDataModule(domains=["photo", "ink"])
    with refused("config.unknown_choice", "data.domains=oli"):
        DomainScenesDataModule(domains=["photo", "ukiyoe", "oli"])
