"""Feature matching (Salimans et al., 2016; Wang et al., 2018): fakes should look to the critic, inside, as reals do."""

import torch
from torch import Tensor

from stylegan_lab.losses.terms import mean_absolute
from stylegan_lab.mistake import Mistake
from stylegan_lab.nets.verdict import Judge


def feature_matching(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """The mean over the critic's layers of the mean absolute difference of their maps."""
    with torch.no_grad():
        wanted = judge(real).features
    if not wanted:
        raise Mistake("feature matching compares a critic's maps, and this one tells none; give critic=patch")
    found = judge(fake).features
    return torch.stack([mean_absolute(mine, other) for mine, other in zip(found, wanted, strict=True)]).mean()
