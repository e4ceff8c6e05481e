"""ProGAN (Karras et al., 2018): the plain game, between nets that grow."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Plain
from stylegan_lab.losses.contest import Contest
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.gan import GAN
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.modules.ranks import ranks
from stylegan_lab.nets.generation.progan import Growing, ProGANGenerator, doubled, resized
from stylegan_lab.nets.latents import Latents


class ProGAN(GAN):
    """`stable` images at each level, and `fading` between two. Optimizers forget at both ends of a fade. Pictures are made and
    judged at full size throughout, as much as there is in them."""

    generator: ProGANGenerator

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        critic: Callable[..., nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        latents: Latents,
        classes: Sequence[str] = (),
        image_channels: int = 3,
        stable: int = 600_000,
        fading: int = 600_000,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(
            generator,
            critic,
            loss,
            optimizer,
            schedule,
            latents,
            classes,
            image_channels,
            critic_rate=critic_rate,
            clip_gradients=clip_gradients,
        )
        at_least("model.stable", stable, 0)
        at_least("model.fading", fading, 1)
        self.stable, self.fading = stable, fading
        for role, net in {"generator": self.generator, "adversary": self.critic}.items():
            if not isinstance(net, Growing):
                raise Mistake(
                    f"model=progan needs nets that grow, and {type(net).__name__} is none; give {role}=progan"
                )

    def training_step(self, batch: Plain, batch_idx: int) -> None:
        images = (self.iteration - 1) * len(batch["image"]) * self.accumulate * ranks()
        self.grow(grown_after(images, self.stable, self.fading, len(self.generator.sides)))
        super().training_step({"image": self.at_stage(batch["image"])}, batch_idx)

    def grow(self, grown: float) -> None:
        """A function of the images seen, which a resumed run cannot forget."""
        before = float(self.generator.grown)
        for net in (self.generator, self.critic):
            net.grown.fill_(grown)  # type: ignore[operator]
        now = float(self.generator.grown)
        if (math.floor(now), math.ceil(now)) != (math.floor(before), math.ceil(before)):
            for player in self.players:
                player.optimizer.state.clear()

    @torch.no_grad()
    def at_stage(self, real: Tensor) -> Tensor:
        """With no more in it than the nets can make by now."""
        level, share = self.generator.stage
        sides = self.generator.sides
        seen = resized(real, sides[level])
        if share < 1:
            seen = torch.lerp(doubled(resized(real, sides[level - 1])), seen, share)
        return resized(seen, sides[-1])


def grown_after(images: int, stable: int, fading: int, levels: int) -> float:
    level, since = divmod(images, stable + fading)
    return min(level + max(0, since - stable) / fading, levels - 1)
