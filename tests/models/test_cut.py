"""CUT beside the reference implementation, and the laws it lives by."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.losses.contrastive import patch_nce
from stylegan_lab.losses.gan_loss import AdversarialLoss, LSGANLoss
from stylegan_lab.models.lr_schedules import ConstantLR
from stylegan_lab.models.translation.cut import CUT
from stylegan_lab.networks.discriminators.patch import PatchDiscriminator
from stylegan_lab.networks.generators.resnet import ResNetGenerator
from stylegan_lab.networks.generators.unet import UNetGenerator
from tests.models.test_base import train
from tests.models.test_cyclegan_parity import fill, image
from tests.refusals import refused

# The reference adds 1e-7 to the length of a vector before it divides by it, which is all that keeps the two apart.
REFERENCE = json.loads(Path(__file__).with_name("cut_reference.json").read_text())
FORMS: dict[str, dict[str, Any]] = {
    "cut": {},
    "fastcut": {"nce_weight": 10.0, "identity_nce": False, "flip_equivariance": True},
    "fastcut_flipped": {"nce_weight": 10.0, "identity_nce": False, "flip_equivariance": True},
}


def cut(**settings: Any) -> CUT:
    torch.manual_seed(0)
    return CUT(
        settings.pop("generator", partial(ResNetGenerator, channels=4, blocks=2, down="antialiased", up="antialiased")),
        partial(PatchDiscriminator, channels=4, layers=settings.pop("layers", 3)),
        AdversarialLoss(LSGANLoss()),
        partial(torch.optim.Adam, lr=2e-4),
        ConstantLR(),
        **({"nce_channels": 8, "nce_patches": 10**6} | settings),
    )


@pytest.fixture(scope="module", params=FORMS)
def step(request: pytest.FixtureRequest) -> tuple[CUT, dict[str, float], dict[str, Any]]:
    """One step as `training_step` makes it, on the reference's weights and pictures."""
    module = cut(**FORMS[request.param]).double()
    assert module.nce_layers == [0, 4, 8, 12, 13]
    for k, net in enumerate((module.generator, module.discriminator, module.projector)):
        fill(net, k)
    a, b = image(1.0), image(2.0)
    flipped = request.param.endswith("flipped")
    translation = module.translate_and_encode(a, flipped)
    values: dict[str, Tensor] = {}
    losses = module.discriminator_losses(b, translation.fake.detach())
    losses.total().backward()
    values |= {f"discriminator_{name}": loss for name, loss in losses.losses.items()}
    module.discriminator.requires_grad_(False)  # as in the generator's turn of a step
    for losses in module.generator_losses(a, b, translation, flipped):
        losses.total().backward()
        values |= losses.losses
    module.discriminator.requires_grad_(True)
    return module, {name: float(loss.detach()) for name, loss in values.items()}, REFERENCE[request.param]


def test_losses_are_the_reference_s(step: Any) -> None:
    _, losses, reference = step
    assert losses == pytest.approx(reference["losses"], rel=1e-6)


@pytest.mark.parametrize("name", ["generator", "projector", "discriminator"])
def test_gradients_are_the_reference_s(step: Any, name: str) -> None:
    module, _, reference = step
    ours = [(float(p.grad.sum()), float(p.grad.norm())) for p in module.get_submodule(name).parameters()]
    theirs = reference["gradients"][name]
    assert [norm for _, norm in ours] == pytest.approx([norm for _, norm in theirs], rel=1e-5)
    assert [total for total, _ in ours] == pytest.approx([total for total, _ in theirs], rel=1e-4, abs=2e-3)


def test_nce_has_a_closed_form() -> None:
    """P equal vectors: all similarities are 1, one of them is left out: log of P at temperature 1 (and a trifle for itself)."""
    same = torch.nn.functional.normalize(torch.ones(1, 5, 4, dtype=torch.float64), dim=2)
    expected = torch.log(5 + torch.exp(torch.tensor(-11.0, dtype=torch.float64)))
    assert float(patch_nce(same, same, 1.0)) == pytest.approx(float(expected))
    apart = torch.eye(4, dtype=torch.float64)[None]
    assert float(patch_nce(apart, apart, 0.07)) == pytest.approx(0, abs=1e-5), "each patch is found again"
    assert float(patch_nce(apart, apart.roll(1, dims=1), 0.07)) > 10, "none is"


def test_keys_do_not_learn() -> None:
    queries, keys = torch.rand(1, 5, 4, requires_grad=True), torch.rand(1, 5, 4, requires_grad=True)
    patch_nce(queries, keys, 0.07).backward()
    assert queries.grad is not None and keys.grad is None


def test_maps_of_the_first_pass_are_the_keys_only_where_they_are_exact() -> None:
    module, a = cut(), image(1.0).float()
    keys = module.translate_and_encode(a, False).keys
    assert all(torch.equal(one, other) for one, other in zip(keys, module.encode(a), strict=True))
    assert module.is_deterministic
    assert not cut(generator=partial(ResNetGenerator, channels=4, blocks=2, dropout=0.5)).is_deterministic


def test_weight_0_does_not_update_the_projector(tmp_path: Path) -> None:
    module = cut(layers=2, nce_weight=0.0, generator=partial(ResNetGenerator, channels=4, blocks=1))
    before = [parameter.clone() for parameter in module.projector.parameters()]
    train(module, 2, tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(before, module.projector.parameters(), strict=True))
    a, b = image(1.0).float(), image(2.0).float()
    (losses,) = module.generator_losses(a, b, module.translate_and_encode(a, False))
    assert losses.losses.keys() == {"gan"}


def test_the_projector_learns_from_the_start(tmp_path: Path) -> None:
    """Its weights exist before the optimizers do."""
    module = cut(layers=2, generator=partial(ResNetGenerator, channels=4, blocks=1), nce_patches=16)
    before = [parameter.clone() for parameter in module.projector.parameters()]
    train(module, 1, tmp_path)
    assert not any(torch.equal(one, other) for one, other in zip(before, module.projector.parameters(), strict=True))


def test_generators_without_a_chain_and_layers_that_are_not_there_are_refused() -> None:
    with refused("model.network_mismatch", "model=cut", "UNetGenerator", "generator=resnet9"):
        cut(generator=partial(UNetGenerator, channels=4, num_downs=5))
    with refused("model.unknown_nce_layers", "model.nce_layers=[0, 99]"):
        cut(nce_layers=[0, 99])
