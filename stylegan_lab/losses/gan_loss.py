"""GAN losses (LSGAN, non-saturating, hinge, Wasserstein, relativistic), and `AdversarialLoss`, which combines one of them
with regularizers, a weight constraint, n_critic and discriminator augmentation.

Losses are averaged over the batch and the logit map, so that a patch discriminator and a discriminator with one logit have
the same scale. The losses of a multi-scale discriminator's logit maps are added.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.augmentation.discriminator_augment import AdaptiveAugment, DiscriminatorAugment, NoAugment
from stylegan_lab.errors import UserError
from stylegan_lab.losses.losses import Losses
from stylegan_lab.losses.n_critic import FixedNCritic, GeneratorSchedule
from stylegan_lab.losses.regularizers import Regularizer, WeightConstraint
from stylegan_lab.networks.discriminators.output import (
    ConditionedDiscriminator,
    Discriminator,
    DiscriminatorOutput,
    discriminate,
)
from stylegan_lab.precision import to_float32


class GANLoss(Protocol):
    """The losses of a generator and a discriminator.

    A GAN loss may have two more members. `saturates_when_d_wins` is True if the generator gets no useful gradient from a
    discriminator that separates all reals from all fakes. `real_sign(stats)` returns the mean sign of real logits, which ADA
    needs.
    """

    def generator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses: ...

    def discriminator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses: ...


class _PointwiseGANLoss:
    """A GAN loss that is a sum of terms of single logits; reals and fakes are not compared."""

    saturates_when_d_wins = True
    decision_boundary = 0.0  # the logit between real and fake

    def real_sign(self, stats: Mapping[str, Tensor]) -> Tensor:
        """The mean sign of real logits, from -1 to 1: the overfitting heuristic r_t of ADA (Karras et al., 2020)."""
        return (stats["logits_real"] - self.decision_boundary).sign().mean()

    def generator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        logits = _logits(discriminator, fake)
        return Losses(
            {"gan": _sum_over_scales(self.generator_term(each) for each in logits)},
            {"logits_fake": logits[0].detach()},
        )

    def discriminator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        on_real, on_fake = _logits(discriminator, real), _logits(discriminator, fake)
        losses = {
            "real": _sum_over_scales(self.real_term(each) for each in on_real),
            "fake": _sum_over_scales(self.fake_term(each) for each in on_fake),
        }
        return Losses(losses, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})

    def real_term(self, logits: Tensor) -> Tensor:
        """The discriminator's loss for logits of real images."""
        raise NotImplementedError

    def fake_term(self, logits: Tensor) -> Tensor:
        """The discriminator's loss for logits of generated images."""
        raise NotImplementedError

    def generator_term(self, logits: Tensor) -> Tensor:
        """The generator's loss for logits of its images."""
        return self.real_term(logits)


class LSGANLoss(_PointwiseGANLoss):
    """LSGAN (Mao et al., 2017) with targets 1 and 0. `d_loss_scale=0.5` halves the discriminator's loss, as CycleGAN does."""

    decision_boundary = 0.5

    def __init__(self, d_loss_scale: float = 0.5) -> None:
        self.d_loss_scale = d_loss_scale

    def real_term(self, logits: Tensor) -> Tensor:
        return self.d_loss_scale * (logits - 1).square()

    def fake_term(self, logits: Tensor) -> Tensor:
        return self.d_loss_scale * logits.square()

    def generator_term(self, logits: Tensor) -> Tensor:
        return (logits - 1).square()


class NonSaturatingLoss(_PointwiseGANLoss):
    """Goodfellow et al. (2014): binary cross-entropy; the generator maximizes log D(fake)."""

    def __init__(self, d_loss_scale: float = 1.0) -> None:
        self.d_loss_scale = d_loss_scale

    def real_term(self, logits: Tensor) -> Tensor:
        return self.d_loss_scale * F.softplus(-logits)

    def fake_term(self, logits: Tensor) -> Tensor:
        return self.d_loss_scale * F.softplus(logits)

    def generator_term(self, logits: Tensor) -> Tensor:
        return F.softplus(-logits)


class HingeLoss(_PointwiseGANLoss):
    """Lim & Ye (2017), Tran et al. (2017): the discriminator's loss is 0 beyond a margin of 1; the generator's loss is linear."""

    def real_term(self, logits: Tensor) -> Tensor:
        return F.relu(1 - logits)

    def fake_term(self, logits: Tensor) -> Tensor:
        return F.relu(1 + logits)

    def generator_term(self, logits: Tensor) -> Tensor:
        return -logits


class WassersteinLoss(_PointwiseGANLoss):
    """WGAN (Arjovsky et al., 2017): the difference of mean logits. It needs a Lipschitz discriminator: use weight clipping,
    a gradient penalty or spectral norm."""

    saturates_when_d_wins = False  # a better WGAN critic gives better gradients
    real_sign = None  # type: ignore[assignment]  # only differences of logits mean something

    def real_term(self, logits: Tensor) -> Tensor:
        return -logits

    def fake_term(self, logits: Tensor) -> Tensor:
        return logits


class RelativisticLoss:
    """Relativistic pairing loss (Jolicoeur-Martineau, 2018; R3GAN, Huang et al., 2024): each generated image is paired with a
    real one."""

    saturates_when_d_wins = True

    def generator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        on_real, on_fake = _logits(discriminator, real), _logits(discriminator, fake)
        loss = _sum_over_scales(F.softplus(r - f) for r, f in zip(on_real, on_fake, strict=True))
        return Losses({"gan": loss}, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})

    def real_sign(self, stats: Mapping[str, Tensor]) -> Tensor:
        """Return the mean sign of the difference between real and fake logits, because a relativistic loss has no fixed decision
        boundary."""
        return (stats["logits_real"] - stats["logits_fake"]).sign().mean()

    def discriminator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        on_real, on_fake = _logits(discriminator, real), _logits(discriminator, fake)
        loss = _sum_over_scales(F.softplus(f - r) for r, f in zip(on_real, on_fake, strict=True))
        return Losses({"pair": loss}, {"logits_real": on_real[0].detach(), "logits_fake": on_fake[0].detach()})


def _logits(discriminator: Discriminator, images: Tensor) -> tuple[Tensor, ...]:
    return tuple(to_float32(logits) for logits in discriminate(discriminator, images).logits)


def _sum_over_scales(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack([loss.mean() for loss in losses]).sum()


class AdversarialLoss:
    """One choice of `loss=`: a GAN loss with regularizers, a weight constraint, n_critic and discriminator augmentation.

    `n_critic` is the number of discriminator steps per generator step, each on a new batch. It can also be a function that gets
    the iteration and returns whether the generator is updated in it.
    """

    def __init__(
        self,
        gan_loss: GANLoss,
        regularizers: Mapping[str, Regularizer | None] | None = None,
        constraint: WeightConstraint | None = None,
        n_critic: int | GeneratorSchedule = 1,
        discriminator_augment: DiscriminatorAugment | None = None,
    ) -> None:
        self.gan_loss = gan_loss
        self.discriminator_augment = discriminator_augment or NoAugment()
        if isinstance(self.discriminator_augment, AdaptiveAugment) and getattr(gan_loss, "real_sign", None) is None:
            raise UserError(
                "loss.ada_unsupported",
                f"discriminator_augment=ada needs the sign of real logits, which has no meaning in {type(gan_loss).__name__}; "
                "use discriminator_augment=diffaugment or another loss",
            )
        self.regularizers = {
            name: regularizer for name, regularizer in (regularizers or {}).items() if regularizer is not None
        }
        self.constraint = constraint
        self.is_generator_step: GeneratorSchedule = FixedNCritic(n_critic) if isinstance(n_critic, int) else n_critic

    def generator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        return self.gan_loss.generator_loss(self._augmented(discriminator), real, fake)

    def discriminator_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor, iteration: int) -> Losses:
        """Return the discriminator's GAN loss, with detached fakes, and the regularizers that are due in this iteration."""
        return self.discriminator_gan_loss(discriminator, real, fake) | self.regularization(
            discriminator, real, fake, iteration
        )

    def discriminator_gan_loss(self, discriminator: Discriminator, real: Tensor, fake: Tensor) -> Losses:
        losses = self.gan_loss.discriminator_loss(self._augmented(discriminator), real, fake.detach())
        stats = _win_rate(losses) if getattr(self.gan_loss, "saturates_when_d_wins", False) else {}
        if isinstance(self.discriminator_augment, AdaptiveAugment):
            stats["real_sign"] = self.gan_loss.real_sign(losses.stats)  # type: ignore[attr-defined]
        return losses | Losses({}, stats)

    def regularization(self, discriminator: Discriminator, real: Tensor, fake: Tensor, iteration: int) -> Losses:
        augmented = self._augmented(discriminator)
        due = {
            name: regularizer for name, regularizer in self.regularizers.items() if iteration % regularizer.every == 0
        }
        return Losses({name: regularizer(augmented, real, fake.detach()) for name, regularizer in due.items()})

    @property
    def regularization_interval(self) -> int:
        """The number of iterations between two computations of a regularizer, or 0 without regularizers."""
        return min((regularizer.every for regularizer in self.regularizers.values()), default=0)

    def regularization_is_due(self, iteration: int) -> bool:
        return any(iteration % regularizer.every == 0 for regularizer in self.regularizers.values())

    @property
    def needs_double_backward(self) -> bool:
        """Whether a regularizer needs second derivatives of the discriminator. This is assumed of a regularizer without an
        attribute `needs_double_backward`."""
        return any(getattr(each, "needs_double_backward", True) for each in self.regularizers.values())

    def constrain(self, discriminator: nn.Module) -> None:
        if self.constraint is not None:
            self.constraint(discriminator)

    def _augmented(self, discriminator: Discriminator) -> Discriminator:
        """The discriminator with augmented inputs. An image and the image it is conditioned on get the same transform."""
        if isinstance(self.discriminator_augment, NoAugment):
            return lambda images: discriminate(discriminator, images)

        def augmented(images: Tensor) -> DiscriminatorOutput:
            transform = self.discriminator_augment.sample_transform(images)
            inner = (
                discriminator.augmented(transform)
                if isinstance(discriminator, ConditionedDiscriminator)
                else discriminator
            )
            return discriminate(inner, transform(images))

        return augmented


def _win_rate(losses: Losses) -> dict[str, Tensor]:
    """The share of logits at which the discriminator ranks the real image above the fake: 0.5 is chance, 1 a perfect
    discriminator."""
    return {"d_win_rate": (losses.stats["logits_real"] > losses.stats["logits_fake"]).float().mean()}
