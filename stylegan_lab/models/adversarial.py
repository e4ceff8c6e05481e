"""The base class of models with an adversarial loss: discriminators, their loss, and separate learning rates for generators and
discriminators."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_lab.augmentation.discriminator_augment import AdaptiveAugment
from stylegan_lab.distributed import world_size
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses
from stylegan_lab.models.base import BaseModel, LossFunction, OptimizerFactory, Schedule
from stylegan_lab.models.player import Player
from stylegan_lab.networks.discriminators.output import Discriminator, discriminate


class AdversarialModel(BaseModel):
    """A model trained against discriminators. `d_lr_mult` is the discriminators' learning rate divided by the generators' (two
    time-scale update rule, Heusel et al., 2017)."""

    def __init__(
        self,
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients, extra_losses)
        self.adversarial_loss = loss
        self._optimizer = optimizer
        self._d_lr_mult = d_lr_mult
        self._discriminators: list[nn.Module] = []

    def add_generators(self, name: str, *networks: nn.Module) -> Player:
        return self.add_player(name, *networks, optimizer=self._optimizer)

    def add_discriminators(self, name: str, *networks: nn.Module) -> Player:
        """Add discriminators as a player. The loss's weight constraint is applied to them before the first step."""
        for discriminator in networks:
            self.adversarial_loss.constrain(discriminator)
        self._discriminators += networks
        return self.add_player(name, *networks, optimizer=self._optimizer, lr_mult=self._d_lr_mult)

    @property
    def compilable_networks(self) -> Sequence[nn.Module]:
        """The networks to compile. If a regularizer needs second derivatives, the discriminators are left out."""
        left_out = self._discriminators if self.adversarial_loss.needs_double_backward else []
        return [network for network in super().compilable_networks if network not in left_out]

    def sanity_check(self, channels: int, size: int, factor: int = 1) -> None:
        super().sanity_check(channels, size, factor)
        image = torch.zeros(1, channels, size, size)
        for discriminator in self.discriminators_for(image):
            discriminate(discriminator, image)

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        """Return the discriminators as callables, with the conditions that the training would use for `image`. Each is called
        once in the sanity check."""
        return ()

    def is_generator_step(self, iteration: int) -> bool:
        return self.adversarial_loss.is_generator_step(iteration)

    def optimize_discriminators(self, player: Player, losses: LossFunction, *args: Any) -> Losses:
        """Call `optimize`, then apply the loss's weight constraint and update adaptive augmentation."""
        done = self.optimize(player, losses, *args)
        for discriminator in player.networks:
            self.adversarial_loss.constrain(discriminator)
        augment = self.adversarial_loss.discriminator_augment
        if isinstance(augment, AdaptiveAugment):
            self._update_augment(augment, player, done)
        return done

    def _update_augment(self, augment: AdaptiveAugment, player: Player, done: Losses) -> None:
        """Adapt the augmentation probability to the mean sign of real logits over all discriminators."""
        signs = [stat for name, stat in done.stats.items() if name.endswith("real_sign")]
        if not signs:  # this step computed only regularizers
            return
        images = next(len(stat) for name, stat in done.stats.items() if name.endswith("logits_real"))
        augment.update(torch.stack(signs).mean(), images * world_size())
        self.latest_stats[f"{player.name}_ada_p"] = augment.p

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_save_checkpoint(checkpoint)
        if isinstance(self.adversarial_loss.discriminator_augment, AdaptiveAugment):
            checkpoint["discriminator_augment"] = self.adversarial_loss.discriminator_augment.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        super().on_load_checkpoint(checkpoint)
        augment = self.adversarial_loss.discriminator_augment
        if isinstance(augment, AdaptiveAugment) and "discriminator_augment" in checkpoint:
            augment.load_state_dict(checkpoint["discriminator_augment"])
