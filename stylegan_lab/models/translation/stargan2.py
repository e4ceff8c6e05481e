"""StarGAN v2 (Choi et al., 2020): translation to many domains, each with many styles. A style comes from a latent or from a
reference image."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import DomainBatch, UnpairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output, l1_loss
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.models.translation.domain_conditioned import DomainConditionedModel
from stylegan_lab.networks.encoders.style_encoder import StyleNetworks
from stylegan_lab.networks.layers.conditioning import append_condition_maps
from stylegan_lab.rng import device_of, per_sample_draw


class StarGAN2(DomainConditionedModel):
    """Each iteration has a discriminator and a generator step with styles from latents, and one of each with styles from
    reference images.

    The mapping network and the style encoder are updated only in the generator step with latents. The discriminator's real images
    are the reference images.

    Args:
        diversity_weight: The initial weight of the diversity loss. It falls linearly to 0.
        diversity_until: The fraction of the training at which the diversity weight reaches 0.
        mapping_lr_mult: The mapping network's learning rate, relative to the optimizer's.
    """

    ema_networks = ("generator", "style_encoder")
    translates_at_random = True

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        discriminator: Callable[..., nn.Module],
        style_encoder: Callable[..., StyleNetworks],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        domains: Sequence[str],
        source: str,
        target: str,
        image_channels: int = 3,
        style_weight: float = 1.0,
        diversity_weight: float = 1.0,
        diversity_until: float = 1.0,
        cycle_weight: float = 1.0,
        mapping_lr_mult: float = 0.01,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(
            discriminator,
            loss,
            optimizer,
            schedule,
            domains,
            source,
            target,
            image_channels,
            d_lr_mult,
            clip_gradients,
            extra_losses,
        )
        weights = {"style": style_weight, "diversity": diversity_weight, "cycle": cycle_weight}
        for name, weight in weights.items():
            check_at_least(f"model.{name}_weight", weight, 0)
        check_at_least("model.diversity_until", diversity_until, 0)
        self.weights, self.diversity_until = weights, diversity_until
        self.style_encoder = style_encoder(domains=len(self.domains))
        self.generator = self.build_conditional_generator(generator, self.style_encoder.style_dim)
        self.generators = self.add_generators("generators", self.generator)
        self.mapping_networks = self.add_player(
            "mapping_networks", self.style_encoder.mapping, optimizer=optimizer, lr_mult=mapping_lr_mult
        )
        self.style_encoders = self.add_generators("style_encoders", self.style_encoder.encoder)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)

    def training_step(self, batch: DomainBatch, batch_idx: int) -> None:
        latent, latent2 = self.shared(self.draw_latents, batch["target"]).detached
        for name, source in (("latent", latent), ("reference", batch["b"])):
            self.optimize_discriminators(self.discriminators, self.discriminator_losses, name, batch, source)
        if self.is_generator_step(self.iteration):
            players = [self.generators, self.mapping_networks, self.style_encoders]
            self.optimize(players, self.generator_losses, "latent", batch, latent, latent2)
            self.optimize(self.generators, self.generator_losses, "reference", batch, batch["b"], batch["other"])

    def draw_latents(self, target: Tensor) -> tuple[Tensor, Tensor]:
        one, other = (per_sample_draw(len(target), self.sample_latents, self.device) for _ in range(2))
        return one, other

    def style(self, source: Tensor, target: Tensor) -> Tensor:
        """Return styles of the target domains. `source` holds latents (N, D) or reference images."""
        network = self.style_encoder.mapping if source.dim() == 2 else self.style_encoder.encoder
        styles: Tensor = network(source, target)
        return styles

    def discriminator_losses(self, name: str, batch: DomainBatch, source: Tensor) -> Losses:
        with torch.no_grad():
            fake = self.apply_style(batch["a"], self.style(source, batch["target"]))
        discriminator = self.conditioned_discriminator(batch["target"])
        losses = self.adversarial_loss.discriminator_loss(discriminator, batch["b"], fake, self.iteration)
        return losses.with_prefix(name)

    def generator_losses(self, name: str, batch: DomainBatch, source: Tensor, other_source: Tensor) -> Losses:
        a, style = batch["a"], self.style(source, batch["target"])
        fake = self.apply_style(a, style)
        discriminator = self.conditioned_discriminator(batch["target"])
        losses = self.adversarial_loss.generator_loss(discriminator, batch["b"], fake)
        if self.weights["style"] > 0:
            reconstruction = self.style_encoder.encoder(fake, batch["target"])
            losses |= Losses({"style": self.weights["style"] * l1_loss(reconstruction, style)})
        if (weight := self.current_diversity_weight()) > 0:
            with torch.no_grad():
                other = self.apply_style(a, self.style(other_source, batch["target"]))
            losses |= Losses({"diversity": -weight * l1_loss(fake, other)})
        if self.weights["cycle"] > 0:
            back = self.apply_style(fake, self.style_encoder.encoder(a, batch["source"]))
            losses |= Losses({"cycle": self.weights["cycle"] * l1_loss(back, a)})
        return (losses | Losses({}, outputs={"fake": Output(fake, a, batch["b"])})).with_prefix(name)

    def current_diversity_weight(self) -> float:
        """Return the weight of the diversity loss in this iteration. It follows from the iteration, so it is not saved in
        checkpoints."""
        span = self.diversity_until * self.max_iterations if self.max_iterations else float("inf")
        return self.weights["diversity"] * max(0.0, 1 - (self.iteration - 1) / span) if span > 0 else 0.0

    def apply_style(self, image: Tensor, style: Tensor) -> Tensor:
        translated: Tensor = self.generator(append_condition_maps(image, style))
        return translated

    def sample_latents(self, count: int, rng: torch.Generator | None = None) -> Tensor:
        return torch.randn(count, self.style_encoder.latent_dim, generator=rng, device=device_of(rng))

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """Translate each image with its own random style. `style_seed` makes the styles reproducible."""
        latents = self.sample_latents(len(image), torch.Generator().manual_seed(self.style_seed)).to(self.device)
        return self.apply_style(image, self.style_encoder.mapping(latents, self.target_labels(direction, image)))

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        style = self.style_encoder.encoder(reference, self.target_labels(direction, reference))
        return self.apply_style(image, style.expand(len(image), -1))

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        """Return the input images, a row of translations to each domain, a row of translations in the styles of the reference
        images, and the reference images."""
        styles = self.style_encoder.encoder(batch["b"], self.target_labels("a2b", batch["b"]))
        rows = super().sample_rows(batch)
        return rows | {"in the style below": self.apply_style(batch["a"], styles), "style": batch["b"]}
