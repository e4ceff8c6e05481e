"""The games critics and generators play. Each turn takes a judge and images and returns named losses.

Means run over batch and logit map, so that a patch critic and a critic with one logit are weighed alike; the maps of a
critic with several scales are added.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.losses.terms import Terms, precise
from stylegan_lab.nets.verdict import Judge


class Game(Protocol):
    """A game whose critic, once it tells all fakes from reals, has nothing left to teach says `can_be_won`."""

    def generator(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms: ...

    def critic(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms: ...


class _PointwiseGame:
    """A game in which every logit is judged by itself; fakes and reals are never compared."""

    can_be_won = True
    middle = 0.0  # between the verdicts real and fake

    def sure(self, notes: Mapping[str, Tensor]) -> Tensor:
        """How sure the critic is of its reals, from -1 to 1 (Karras et al., 2020)."""
        return (notes["logits_real"] - self.middle).sign().mean()

    def generator(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        logits = _logits(judge, fake)
        return Terms({"game": _over_scales(self.wanted(each) for each in logits)}, {"logits_fake": logits[0].detach()})

    def critic(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        on_real, on_fake = _logits(judge, real), _logits(judge, fake)
        losses = {
            "real": _over_scales(self.real(each) for each in on_real),
            "fake": _over_scales(self.fake(each) for each in on_fake),
        }
        return Terms(losses, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})

    def real(self, logits: Tensor) -> Tensor:
        raise NotImplementedError

    def fake(self, logits: Tensor) -> Tensor:
        raise NotImplementedError

    def wanted(self, logits: Tensor) -> Tensor:
        """What the generator pays for these logits of its fakes."""
        return self.real(logits)


class LeastSquares(_PointwiseGame):
    """LSGAN (Mao et al., 2017) with targets 1 and 0. `critic_share` halves the critic's losses, as CycleGAN does."""

    middle = 0.5

    def __init__(self, critic_share: float = 0.5) -> None:
        self.critic_share = critic_share

    def real(self, logits: Tensor) -> Tensor:
        return self.critic_share * (logits - 1).square()

    def fake(self, logits: Tensor) -> Tensor:
        return self.critic_share * logits.square()

    def wanted(self, logits: Tensor) -> Tensor:
        return (logits - 1).square()


class NonSaturating(_PointwiseGame):
    """Goodfellow et al. (2014): binary cross-entropy; the generator maximises log D(fake)."""

    def __init__(self, critic_share: float = 1.0) -> None:
        self.critic_share = critic_share

    def real(self, logits: Tensor) -> Tensor:
        return self.critic_share * F.softplus(-logits)

    def fake(self, logits: Tensor) -> Tensor:
        return self.critic_share * F.softplus(logits)

    def wanted(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)


class Hinge(_PointwiseGame):
    """Lim & Ye (2017), Tran et al. (2017): the critic rests beyond a margin of 1; the generator never does."""

    def real(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def fake(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def wanted(self, logits: Tensor) -> Tensor:
        return -logits


class Wasserstein(_PointwiseGame):
    """Arjovsky et al. (2017): the difference of means. Needs a Lipschitz critic: clipping or a gradient penalty."""

    can_be_won = False  # the better the critic, the better its advice
    sure = None  # type: ignore[assignment]  # only differences of its verdicts mean something

    def real(self, logits: Tensor) -> Tensor:
        return -logits

    def fake(self, logits: Tensor) -> Tensor:
        return logits


class Relativistic:
    """Relativistic pairing (Jolicoeur-Martineau, 2018; R3GAN, Huang et al., 2024): each fake against one real."""

    can_be_won = True

    def generator(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        on_real, on_fake = _logits(judge, real), _logits(judge, fake)
        loss = _over_scales(F.softplus(r - f) for r, f in zip(on_real, on_fake, strict=True))
        return Terms({"game": loss}, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})

    def sure(self, notes: Mapping[str, Tensor]) -> Tensor:
        return (notes["logits_real"] - notes["logits_fake"]).sign().mean()

    def critic(self, judge: Judge, real: Tensor, fake: Tensor) -> Terms:
        on_real, on_fake = _logits(judge, real), _logits(judge, fake)
        loss = _over_scales(F.softplus(f - r) for r, f in zip(on_real, on_fake, strict=True))
        return Terms({"pair": loss}, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})


def _logits(judge: Judge, images: Tensor) -> tuple[Tensor, ...]:
    return tuple(precise(logits) for logits in judge(images).logits)


def _over_scales(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack([loss.mean() for loss in losses]).sum()
