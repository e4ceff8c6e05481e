"""AdaIN (Huang & Belongie, 2017): transfers the style of any image in one pass. Only the decoder is trained."""

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from stylegan_lab.distributed import mean_over_ranks
from stylegan_lab.errors import UserError, any_positive_weight_error, check_at_least
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.losses.perceptual import FeatureMaps, PerceptualLoss, channel_moments
from stylegan_lab.models.base import BaseModel, OptimizerFactory, Schedule
from stylegan_lab.networks.generators.adain_decoder import adaptive_instance_norm
from stylegan_lab.precision import to_float32

PROBE_SIZE = 64  # pixels of the image that finds the encoder's output channels and its downsampling factor


class AdaIN(BaseModel):
    """Trains a decoder (the generator) for a fixed encoder, which is the feature network up to the deepest style layer.

    Without a style image, `translate` uses `mean_style`: the mean channel statistics of all training styles. `strength` is the
    content-style trade-off (alpha) of translations, from 0 (content) to 1 (style).
    """

    batch_type = UnpairedBatch
    ema_networks = ("generator",)
    network_arguments: ClassVar = {"generator": ("in_channels", "n_upsample")}
    mean_style: Tensor
    strength = 1.0

    def __init__(
        self,
        generator: Callable[..., nn.Module],
        features: Callable[[], PerceptualLoss],
        optimizer: OptimizerFactory,
        schedule: Schedule,
        content_weight: float = 1.0,
        style_weight: float = 0.01,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients, extra_losses)
        check_at_least("model.content_weight", content_weight, 0)
        check_at_least("model.style_weight", style_weight, 0)
        any_positive_weight_error(content=content_weight, style=style_weight)
        self.content_weight, self.style_weight = content_weight, style_weight
        self.perceptual_loss = features()
        probe = self.encode(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE))
        _, channels, side, _ = probe.shape
        n_upsample = (PROBE_SIZE // side).bit_length() - 1
        if side * 2**n_upsample != PROBE_SIZE:
            raise UserError(
                "model.network_mismatch",
                f"features: the encoder reduces {PROBE_SIZE} pixels to {side}, and doubling this size does not lead back to "
                f"{PROBE_SIZE}, so the decoder cannot invert it; use features=vgg19_adain, vgg16, or untrained",
            )
        self.generator = generator(in_channels=channels, n_upsample=n_upsample)
        self.register_buffer("mean_style", torch.stack([torch.zeros(channels), torch.ones(channels)]))
        self.generators = self.add_player("generators", self.generator, optimizer=optimizer)

    def load_feature_networks(self) -> list[str]:
        return self.perceptual_loss.notes()  # which is part of the model, and loaded with it

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        done = self.optimize(self.generators, self.losses, batch["a"], batch["b"])
        self.update_mean_style(done.stats["style_moments"])

    def losses(self, a: Tensor, b: Tensor) -> Losses:
        """Return the content and style losses. The target of the content loss is the output of AdaIN, not the features of the
        content image (Eq. 12)."""
        style = self.perceptual_loss.target_features(b)
        moments = channel_moments(self.deepest_layer(style))
        target = adaptive_instance_norm(self.encode(a), *moments)
        image = self.generator(target)
        features = self.perceptual_loss.features(image)
        losses = Losses({}, {"style_moments": torch.stack([moment.flatten(1) for moment in moments], dim=1)})
        if self.content_weight > 0:
            content = (self.deepest_layer(features) - target).square().mean()
            losses |= Losses({"content": self.content_weight * content})
        if self.style_weight > 0:
            losses |= Losses({"style": self.style_weight * self.perceptual_loss.style(features, style)})
        return losses | Losses({}, outputs={"fake": Output(image, a, b)})

    def encode(self, image: Tensor) -> Tensor:
        return self.deepest_layer(self.perceptual_loss.target_features(image))

    def deepest_layer(self, maps: FeatureMaps) -> Tensor:
        return maps[list(self.perceptual_loss.style_layers)[-1]]

    @torch.no_grad()
    def update_mean_style(self, moments: Tensor) -> None:
        """Update this rank's running mean over all training styles. `moments` (N, 2, C) are the channel means and standard
        deviations of a batch of style images."""
        self.mean_style.lerp_(moments.mean(dim=0), 1 / self.iteration)

    def sync_buffers(self) -> None:
        super().sync_buffers()
        self.mean_style.copy_(mean_over_ranks(self.mean_style))

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        mean, std = self.mean_style[..., None, None].unbind()
        return self.decode(image, mean[None], std[None], self.strength)

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        return self.stylize(image, [reference], strength=self.strength)

    def stylize(
        self, image: Tensor, styles: Sequence[Tensor], weights: Sequence[float] | None = None, strength: float = 1.0
    ) -> Tensor:
        """Stylize images with one or more style images (N, C, H, W), whose styles are mixed by `weights`. `strength=0` keeps the
        channel statistics of the content image."""
        weights = weights or [1 / len(styles)] * len(styles)
        moments = [channel_moments(self.encode(style)) for style in styles]
        mean = torch.stack([weight * mean for weight, (mean, _) in zip(weights, moments, strict=True)]).sum(dim=0)
        std = torch.stack([weight * std for weight, (_, std) in zip(weights, moments, strict=True)]).sum(dim=0)
        return self.decode(image, mean, std, strength)

    def decode(self, image: Tensor, mean: Tensor, std: Tensor, strength: float = 1.0) -> Tensor:
        maps = to_float32(self.encode(image))
        mixed = torch.lerp(maps, adaptive_instance_norm(maps, mean, std), strength)
        styled: Tensor = self.generator(mixed)
        return styled

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        return {"content": batch["a"], "output": self.stylize(batch["a"], [batch["b"]]), "style": batch["b"]}
