"""Multidomain: labels decide, the critic knows them, and every domain can be reached by its name."""

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from stylegan_lab.data.scenes_data import DomainsOfScenes
from stylegan_lab.images.batch import Domains
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import LeastSquares
from stylegan_lab.mistake import Mistake
from stylegan_lab.modules.multidomain import Multidomain
from stylegan_lab.modules.schedules import Constant
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator
from stylegan_lab.nets.verdict import Verdict

NAMES = ["photo", "ukiyoe", "ink"]


class Tinting(nn.Module):
    """Translates by adding the number of the domain it is told; going to a domain and back to 0 is undone by going to 0."""

    def __init__(self, condition_channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.numbers = torch.arange(float(condition_channels)).view(1, -1, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * (x[:, :3] + (x[:, 3:] * self.numbers).sum(1, keepdim=True))


def multidomain(**settings: Any) -> Multidomain:
    torch.manual_seed(0)
    return Multidomain(
        settings.pop("translator", partial(ResNetTranslator, channels=4, blocks=1)),
        settings.pop("critic", partial(PatchCritic, channels=4, layers=2)),
        Contest(LeastSquares()),
        partial(torch.optim.Adam, lr=1e-3),
        Constant(),
        NAMES, "photo", "ukiyoe", **settings,
    )  # fmt: skip


def batch(source: list[int], target: list[int]) -> Domains:
    a, b = torch.rand(len(source), 3, 16, 16), torch.rand(len(source), 3, 16, 16)
    return {"a": a, "b": b, "source": torch.tensor(source), "target": torch.tensor(target)}


def test_each_domain_is_a_direction_by_its_name() -> None:
    module, image = multidomain(translator=Tinting), torch.zeros(2, 3, 16, 16)
    for number, name in enumerate(NAMES):
        assert float(module.translate(image, name).detach().mean()) == number
    assert torch.equal(module.translate(image, "a2b"), module.translate(image, "ukiyoe"))
    assert torch.equal(module.translate(image, "b2a"), module.translate(image, "photo"))
    with pytest.raises(Mistake, match=r"--to=sketch is unknown; choices: photo, ukiyoe, ink|--to=sketch"):
        module.translate(image, "sketch")


def test_the_round_trip_goes_back_to_where_each_picture_came_from() -> None:
    module = multidomain(translator=Tinting, identity_weight=1.0)
    pictures = batch([0, 0], [1, 2])
    terms = module.generator_terms(pictures, module.translated(pictures["a"], pictures["target"])).detached().losses
    assert float(terms["cycle"]) == pytest.approx(10 * (1 + 2) / 2), "of 10 times the mean of what is left of 1 and 2"
    assert float(terms["identity"]) == pytest.approx(0)
    none = multidomain(translator=Tinting, cycle_weight=0.0).generator_terms(pictures, pictures["a"])
    assert none.losses.keys() == {"game"}


def test_the_critic_is_told_the_domain_the_picture_should_be_of() -> None:
    seen: list[Tensor] = []

    class Recording(nn.Module):
        def __init__(self, image_channels: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(()))

        def forward(self, image: Tensor) -> Verdict:
            seen.append(image)
            return Verdict((image * self.weight,))

    module, pictures = multidomain(critic=Recording), batch([0, 1], [2, 0])
    module.critic_terms(pictures, pictures["a"])
    for image in seen:
        assert torch.equal(image[:, 3:, 0, 0], torch.tensor([[0.0, 0, 1], [1.0, 0, 0]]))
    assert torch.equal(seen[0][:, :3], pictures["b"]) and torch.equal(seen[1][:, :3], pictures["a"])


def test_data_go_from_every_domain_to_every_other() -> None:
    data = DomainsOfScenes(size=16, train_scenes=6, domains=["photo", "ukiyoe", "ink"])
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
    assert torch.equal(sample["a"], data._domain("ukiyoe", 6, 6)[1]), "picture 1 of domain 1"


def test_domains_must_hold_the_pair_that_is_scored() -> None:
    with pytest.raises(
        Mistake, match=r"data.domains=\['photo', 'ink'\] must hold data.source and data.target; ukiyoe is missing"
    ):
        DomainsOfScenes(domains=["photo", "ink"])
    with pytest.raises(Mistake, match="data.domains=oli"):
        DomainsOfScenes(domains=["photo", "ukiyoe", "oli"])
