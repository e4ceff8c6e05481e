"""LPIPS beside torchmetrics' own."""

from functools import partial

import pytest
import torch
import torchmetrics.functional.image.lpips as theirs

from stylegan_lab.losses.lpips import LPIPSLoss
from stylegan_lab.networks.features.alexnet import alexnet
from stylegan_lab.networks.features.squeezenet import squeezenet
from stylegan_lab.networks.features.vgg import vgg16
from tests.refusals import refused

LAYERS = {
    "alex": (alexnet, ["relu1", "relu2", "relu3", "relu4", "relu5"]),
    "vgg": (vgg16, ["relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3"]),
    "squeeze": (squeezenet, ["relu1", "fire2", "fire4", "fire5", "fire6", "fire7", "fire8"]),
}


@pytest.mark.parametrize("heads", LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_the_distance_is_torchmetrics_s(heads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, layers = LAYERS[heads]
    ours = LPIPSLoss(build, "random", heads, dict.fromkeys(layers, 1.0), {})  # type: ignore[arg-type]
    monkeypatch.setattr(theirs, "_get_tv_model_features", lambda *_: ours.network.net.features)
    reference = theirs._LPIPS(net=heads, pnet_rand=True).eval()  # type: ignore[arg-type]
    torch.manual_seed(0)
    x, y = torch.rand(2, 3, 64, 64) * 2 - 1, torch.rand(2, 3, 64, 64) * 2 - 1
    assert float(ours.content(ours.features(x), ours.features(y))) == pytest.approx(
        float(reference(x, y).mean()), rel=1e-4
    )
    assert float(ours.content(ours.features(x), ours.features(x))) == 0


def test_heads_and_nets_must_belong_together() -> None:
    wrong = LPIPSLoss(partial(vgg16, width=0.25), "random", "vgg", dict.fromkeys(LAYERS["vgg"][1], 1.0), {})
    maps = wrong.features(torch.zeros(1, 3, 32, 32))
    with refused("weights.network_mismatch", "features", "relu1_2"):
        wrong.content(maps, maps)
