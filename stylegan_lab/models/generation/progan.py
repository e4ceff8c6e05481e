"""ProGAN (Karras et al., 2018): a GAN whose networks grow from a low resolution to the full one."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from stylegan_lab.distributed import world_size
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import ImageBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.generation.gan import GAN
from stylegan_lab.networks.generators.progan import ProGANGenerator
from stylegan_lab.networks.latents import Latents
from stylegan_lab.networks.layers.progan import ProgressiveNetwork, resize_to, upsample_2x


class ProGAN(GAN):
    """Trains on `stable_images` images at each resolution, then fades the next resolution in over `fade_images` images.

    Optimizer states are reset at both ends of a fade. Images always have the full size; at lower resolutions they are
    upsampled.
    """

    generator: ProGANGenerator
    discriminator: ProgressiveNetwork
    network_types: ClassVar = {"generator": ProgressiveNetwork, "discriminator": ProgressiveNetwork}

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        latents: Latents,
        classes: Sequence[str] = (),
        image_channels: int = 3,
        stable_images: int = 600_000,
        fade_images: int = 600_000,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(
            generator,
            discriminator,
            loss,
            optimizer,
            schedule,
            latents,
            classes,
            image_channels,
            d_lr_mult=d_lr_mult,
            clip_gradients=clip_gradients,
            extra_losses=extra_losses,
        )
        check_at_least("model.stable_images", stable_images, 0)
        check_at_least("model.fade_images", fade_images, 1)
        self.stable_images, self.fade_images = stable_images, fade_images
        for role, network in {"generator": self.generator, "discriminator": self.discriminator}.items():
            if not isinstance(network, ProgressiveNetwork):
                raise UserError(
                    "model.network_mismatch",
                    f"{role}={type(network).__name__} does not grow progressively; model=progan needs {role}=progan",
                )

    def training_step(self, batch: ImageBatch, batch_idx: int) -> None:
        images = (self.iteration - 1) * len(batch["image"]) * world_size()
        self.grow(growth_stage(images, self.stable_images, self.fade_images, len(self.generator.resolutions)))
        super().training_step({"image": self.match_resolution(batch["image"])}, batch_idx)

    def grow(self, grown: float) -> None:
        """Set the growth stage, and reset the optimizer states when a fade starts or ends. The stage is a function of the number
        of images trained on."""
        before = self.generator.growth
        for network in (self.generator, self.discriminator):
            network.grow(grown)
        now = self.generator.growth
        if (math.floor(now), math.ceil(now)) != (math.floor(before), math.ceil(before)):
            for player in self.players:
                player.optimizer.state.clear()

    @torch.no_grad()
    def match_resolution(self, real: Tensor) -> Tensor:
        """Reduce real images to the resolution that the networks have reached, then upsample them to the full size."""
        level, alpha = self.generator.stage
        sides = self.generator.resolutions
        reduced = resize_to(real, sides[level])
        if alpha < 1:
            reduced = torch.lerp(upsample_2x(resize_to(real, sides[level - 1])), reduced, alpha)
        return resize_to(reduced, sides[-1])


def growth_stage(images: int, stable_images: int, fade_images: int, levels: int) -> float:
    """Return the growth stage after this number of images. Its fractional part is the progress of fading in the next level."""
    level, rest = divmod(images, stable_images + fade_images)
    return min(level + max(0, rest - stable_images) / fade_images, levels - 1)
