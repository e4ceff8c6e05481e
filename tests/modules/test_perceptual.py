"""The hybrid: each weight buys its own term, and 0 costs nothing."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan_lab.images.batch import Pair, Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.games import LeastSquares
from stylegan_lab.modules.perceptual import Perceptual
from stylegan_lab.modules.schedules import Constant
from stylegan_lab.nets.patch_critic import PatchCritic
from stylegan_lab.nets.resnet_translator import ResNetTranslator
from tests.modules.test_module import play
from tests.modules.test_stylization import Leaving, features, unneeded

WEIGHTS = ("content", "style", "adversarial", "pixel")


def hybrid(**settings: Any) -> Perceptual:
    torch.manual_seed(0)
    return Perceptual(
        settings.pop("translator", partial(ResNetTranslator, channels=4, blocks=1)),
        partial(PatchCritic, channels=4, layers=2),
        settings.pop("features", features),
        Contest(LeastSquares()),
        partial(torch.optim.Adam, lr=1e-3),
        Constant(),
        **settings,
    )


def images(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def losses(module: Perceptual, a: Tensor, b: Tensor) -> dict[str, float]:
    terms = module.generator_terms(a, b, module.translator(a)).detached()
    return {name: float(loss) for name, loss in terms.losses.items()}


@pytest.mark.parametrize("alone", WEIGHTS)
def test_each_weight_buys_its_term_alone_and_in_proportion(alone: str) -> None:
    a, b = images(1, 3, 32, 32), images(1, 3, 32, 32)

    def of(weight: float) -> dict[str, float]:
        weights = {f"{name}_weight": weight if name == alone else 0.0 for name in WEIGHTS}
        needs_features = alone in ("content", "style")
        return losses(hybrid(features=features if needs_features else unneeded, **weights), a, b)

    (name,) = of(1.0)
    assert name == {"adversarial": "game"}.get(alone, alone)
    assert of(3.0)[name] == pytest.approx(3 * of(1.0)[name], rel=1e-4)


def test_without_an_adversarial_weight_the_critic_stands_still(tmp_path: Path) -> None:
    module = hybrid(adversarial_weight=0.0, content_weight=0.0, style_weight=0.0, pixel_weight=1.0, features=unneeded)
    module.prepare()
    before = [parameter.clone() for parameter in module.critic.parameters()]
    play(module, 2, tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(before, module.critic.parameters(), strict=True))


def test_unpaired_content_is_the_source_s_and_paired_content_the_truth_s() -> None:
    a, b = images(1, 3, 32, 32), images(1, 3, 32, 32)
    weights = {"style_weight": 0.0, "adversarial_weight": 0.0, "pixel_weight": 1.0}
    unpaired = losses(hybrid(translator=Leaving, **weights), a, b)
    assert unpaired["content"] == unpaired["pixel"] == 0, "what is left alone keeps its content"
    paired = losses(hybrid(translator=Leaving, paired=True, **weights), a, b)
    assert paired["content"] > 0 and paired["pixel"] > 0
    assert losses(hybrid(translator=Leaving, paired=True, **weights), b, b)["pixel"] == 0
    assert hybrid().takes is Unpaired and hybrid(paired=True).takes is Pair
