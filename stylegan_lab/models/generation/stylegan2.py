"""StyleGAN2 (Karras et al., 2020): style mixing, and lazy regularization in separate optimizer steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from stylegan_lab.distributed import mean_over_ranks
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import ImageBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.losses.path_length import PathLengthRegularizer, path_lengths
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.models.player import Player
from stylegan_lab.networks.generators.stylegan2 import StyleGAN2Generator
from stylegan_lab.networks.latents import Latents
from stylegan_lab.rng import OptionalGenerator, batch_draw, device_of, per_sample_draw, rand, randn

MEAN_STYLE_BATCH = 32  # styles that update the mean style in each iteration
MEAN_STYLE_DECAY = 0.998  # `w_avg_beta`


class StyleGAN2(GenerativeModel):
    """StyleGAN2 with path length regularization; R1 comes with `loss=stylegan2`.

    Lazy regularization takes additional optimizer steps, so the learning rates and betas of its players are adjusted as in
    the paper.

    Args:
        style_mixing_prob: The probability that an image takes its fine layers from a second style.
        pl_weight: The weight of path length regularization; 0 disables it.
        pl_interval: Iterations between two steps of path length regularization.
        pl_batch_shrink: Path length regularization is computed on 1 in `pl_batch_shrink` images of the batch.
        pl_decay: The rate of the moving average of path lengths.
    """

    generator: StyleGAN2Generator
    pl_mean: Tensor
    network_types: ClassVar = {"generator": StyleGAN2Generator}

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
        style_mixing_prob: float = 0.9,
        pl_weight: float = 2.0,
        pl_interval: int = 4,
        pl_batch_shrink: int = 2,
        pl_decay: float = 0.01,
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
            d_lr_mult,
            clip_gradients,
            extra_losses,
        )
        if not isinstance(self.generator, StyleGAN2Generator):
            raise UserError(
                "model.network_mismatch",
                f"generator={type(self.generator).__name__} is not style-based; model=stylegan2 needs generator=stylegan2",
            )
        check_at_least("model.style_mixing_prob", style_mixing_prob, 0)
        check_at_least("model.pl_weight", pl_weight, 0)
        check_at_least("model.pl_interval", pl_interval, 1)
        check_at_least("model.pl_batch_shrink", pl_batch_shrink, 1)
        check_at_least("model.pl_decay", pl_decay, 0)
        self.style_mixing_prob = style_mixing_prob
        self.path_length_regularizer = PathLengthRegularizer(pl_weight, pl_interval, pl_batch_shrink, pl_decay)
        self.register_buffer("pl_mean", torch.zeros(()))
        if pl_weight > 0:
            scale_lazy_optimizer(self.generators, pl_interval)
        if loss.regularizers:
            scale_lazy_optimizer(self.discriminators, loss.regularization_interval)

    @property
    def compilable_networks(self) -> Sequence[nn.Module]:
        """The networks to compile. Only the mapping network of the generator is compiled, because path length regularization
        needs second derivatives of the synthesis network."""
        return [self.generator.mapping, *(each for each in super().compilable_networks if each is not self.generator)]

    def training_step(self, batch: ImageBatch, batch_idx: int) -> None:
        real, condition = batch["image"], self.condition(batch)
        paths, regularizer = None, self.path_length_regularizer
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, real, condition)
        if regularizer.is_due(self.iteration):
            paths = self.optimize(
                self.generators, self.path_length_losses, real[: max(1, len(real) // regularizer.batch_shrink)]
            )
        with torch.no_grad():
            fake = self.shared(self.generate_fakes, real, condition).detached
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, real, fake, condition)
        if self.adversarial_loss.regularization_is_due(self.iteration):
            self.optimize_discriminators(self.discriminators, self.regularization_losses, real, fake, condition)
        self.update_averages(paths)

    def generator_losses(self, real: Tensor, condition: Tensor | None) -> Losses:
        fake = self.generate_fakes(real, condition)
        losses = self.adversarial_loss.generator_loss(self.conditioned_discriminator(condition), real, fake)
        return losses | Losses({}, outputs={"fake": Output(fake, real=real)})

    def path_length_losses(self, real: Tensor) -> Losses:
        """Return the path length penalty on new images, one for each image in `real`."""
        condition = self.class_condition(per_sample_draw(len(real), self.sample_labels, self.device))
        lengths = path_lengths(self.synthesize, self.mixed_styles(len(real), condition))
        penalty = self.path_length_regularizer.penalty(lengths, self.pl_mean)
        return Losses({"path_length": penalty}, {"path_lengths": lengths.detach()})

    def discriminator_losses(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Losses:
        return self.adversarial_loss.discriminator_gan_loss(self.conditioned_discriminator(condition), real, fake)

    def regularization_losses(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Losses:
        discriminator = self.conditioned_discriminator(condition)
        return self.adversarial_loss.regularization(discriminator, real, fake, self.iteration)

    def generate_fakes(self, real: Tensor, condition: Tensor | None) -> Tensor:
        """Generate a new image for each image in `real`, of the same class."""
        return self.synthesize(self.mixed_styles(len(real), condition))

    def mixed_styles(self, count: int, condition: Tensor | None) -> Tensor:
        """Return styles (N, layers, size) with style mixing: from a random layer on, an image takes the styles of a second
        latent."""
        layers = self.generator.num_ws
        one, other = (self.generator.styles(self.sample_latents(count), condition) for _ in range(2))
        u = rand(count, 2, device=self.device)
        crossing = torch.where(u[:, 0] < self.style_mixing_prob, 1 + u[:, 1] * (layers - 1), layers)
        is_first = torch.arange(layers, device=self.device) < crossing.long()[:, None]
        return torch.where(is_first[:, :, None], one, other)

    def synthesize(self, styles: Tensor) -> Tensor:
        """Generate images from styles, with new noise in every layer."""
        return self.generator.synthesize(styles, randn(len(styles), self.generator.noise_size, device=self.device))

    @torch.no_grad()
    def update_averages(self, paths: Losses | None) -> None:
        """Update the mean path length and the mean style that truncation uses. Both are the same on every rank."""
        if paths is not None:
            mean = mean_over_ranks(paths.stats["path_lengths"].mean())
            self.pl_mean.lerp_(mean, self.path_length_regularizer.decay)
        with self.keyed_draws():
            latents, labels = batch_draw(
                lambda rng: [draw(MEAN_STYLE_BATCH, rng) for draw in (self.latent_distribution, self.sample_labels)],
                self.device,
            )
        styles = self.generator.mapping(latents.to(self.device), self.class_condition(labels))
        self.generator.w_avg.lerp_(styles.mean(dim=0), 1 - MEAN_STYLE_DECAY)

    def sample_labels(self, count: int, rng: OptionalGenerator) -> Tensor:
        return torch.randint(max(1, len(self.classes)), (count,), generator=rng, device=device_of(rng))

    def generate(self, latents: Tensor, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        return self.generator.synthesize(self._styles(latents, labels, truncation))

    def mix(
        self, latents: Tensor, others: Tensor, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Generate images with the coarse half of the layers from `latents` and the fine half from `others`."""
        coarse, fine = (self._styles(each, labels, truncation) for each in (latents, others))
        return self.generator.synthesize(mix_styles(coarse, fine, self.generator.num_ws // 2))

    def _styles(self, latents: Tensor, labels: Tensor | None, truncation: float | None) -> Tensor:
        styles = self.generator.styles(latents, self.class_condition(labels))
        return styles if truncation is None else self.generator.truncate(styles, truncation)


def mix_styles(styles: Tensor, others: Tensor, crossing: int) -> Tensor:
    """Take the first `crossing` layers from `styles`, and the remaining layers from `others`."""
    return torch.cat([styles[:, :crossing], others[:, crossing:]], dim=1)


def scale_lazy_optimizer(player: Player, interval: int) -> None:
    """Adjust the learning rate and betas of a player that takes an additional step every `interval` iterations (StyleGAN2,
    appendix B)."""
    ratio = interval / (interval + 1)
    for group in player.optimizer.param_groups:
        group["lr"] = group["initial_lr"] = group["lr"] * ratio
        if "betas" in group:
            group["betas"] = tuple(beta**ratio for beta in group["betas"])
