"""Feed-forward style transfer (Johnson et al., 2016): a generator learns the style of one image with perceptual losses."""

from collections.abc import Callable, Mapping
from functools import cached_property

from torch import Tensor, nn

from stylegan_lab.errors import any_positive_weight_error, check_at_least
from stylegan_lab.images.batch import StyleBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.losses.perceptual import FeatureMaps, PerceptualLoss, total_variation
from stylegan_lab.models.base import BaseModel, OptimizerFactory, Schedule


class Johnson(BaseModel):
    """Trains a feed-forward generator with content, style and total variation losses. A loss of weight 0 is not computed."""

    batch_type = StyleBatch
    ema_networks = ("generator",)

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        features: Callable[[], PerceptualLoss],
        optimizer: OptimizerFactory,
        schedule: Schedule,
        content_weight: float = 1.0,
        style_weight: float = 1e4,
        tv_weight: float = 2e-7,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients, extra_losses)
        check_at_least("model.content_weight", content_weight, 0)
        check_at_least("model.style_weight", style_weight, 0)
        check_at_least("model.tv_weight", tv_weight, 0)
        any_positive_weight_error(content=content_weight, style=style_weight, tv=tv_weight)
        self.generator = generator()
        self.content_weight, self.style_weight, self.tv_weight = content_weight, style_weight, tv_weight
        self._features = features
        self._style_features: FeatureMaps | None = None  # the style image is the same in every batch
        self.generators = self.add_player("generators", self.generator, optimizer=optimizer)

    @cached_property
    def perceptual_loss(self) -> PerceptualLoss:
        return self._features()

    def load_feature_networks(self) -> list[str]:
        return self.perceptual_loss.notes() if self.content_weight > 0 or self.style_weight > 0 else []

    def on_fit_start(self) -> None:
        super().on_fit_start()
        self._style_features = None

    def training_step(self, batch: StyleBatch, batch_idx: int) -> None:
        self.optimize(self.generators, self.losses, batch["a"], batch["b"][:1])

    def losses(self, content: Tensor, style: Tensor) -> Losses:
        image = self.generator(content)
        losses = Losses({})
        if self.content_weight > 0 or self.style_weight > 0:
            features = self.perceptual_loss.features(image)
        if self.content_weight > 0:
            loss = self.perceptual_loss.content(features, self.perceptual_loss.target_features(content))
            losses |= Losses({"content": self.content_weight * loss})
        if self.style_weight > 0:
            loss = self.perceptual_loss.style(features, self.style_features(style))
            losses |= Losses({"style": self.style_weight * loss})
        if self.tv_weight > 0:
            losses |= Losses({"tv": self.tv_weight * total_variation(image)})
        return losses | Losses({}, outputs={"fake": Output(image, content, style)})

    def style_features(self, style: Tensor) -> FeatureMaps:
        """Return the style image's features. They are computed once, in the first iteration of a training."""
        if self._style_features is None:
            self._style_features = self.perceptual_loss.target_features(style)
        return self._style_features

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.generator(image)
        return translated

    def sample_rows(self, batch: StyleBatch) -> dict[str, Tensor]:
        return {"content": batch["a"], "output": self.generator(batch["a"]), "style": batch["b"]}
