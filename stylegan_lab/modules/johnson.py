"""Feed-forward style transfer (Johnson et al., 2016): a translator learns one style picture by what a feature net sees."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Stylized
from stylegan_lab.losses.perception import Maps, Perception
from stylegan_lab.losses.terms import Terms
from stylegan_lab.losses.variation import total_variation
from stylegan_lab.mistake import at_least, some_weight
from stylegan_lab.modules.module import Module, OptimizerFactory, Schedule


class Johnson(Module):
    takes = Stylized
    averaged = ("translator",)

    def __init__(
        self,
        translator: Callable[[], nn.Module],
        features: Callable[[], Perception],
        optimizer: OptimizerFactory,
        schedule: Schedule,
        content_weight: float = 1.0,
        style_weight: float = 5.0,
        variation_weight: float = 1e-6,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients)
        at_least("model.content_weight", content_weight, 0)
        at_least("model.style_weight", style_weight, 0)
        at_least("model.variation_weight", variation_weight, 0)
        some_weight(content=content_weight, style=style_weight, variation=variation_weight)
        self.translator = translator()
        self.content_weight, self.style_weight, self.variation_weight = content_weight, style_weight, variation_weight
        self._features = features
        self._style: tuple[Tensor, Maps] | None = None
        self.generators = self.player("generators", self.translator, optimizer=optimizer)

    @cached_property
    def perception(self) -> Perception:
        return self._features()

    def prepare(self) -> None:
        if self.content_weight > 0 or self.style_weight > 0:
            _ = self.perception

    def training_step(self, batch: Stylized, batch_idx: int) -> None:
        self.descend(self.generators, self.terms, batch["a"], batch["b"][:1])

    def terms(self, content: Tensor, style: Tensor) -> Terms:
        image = self.translator(content)
        terms = Terms({})
        if self.content_weight > 0 or self.style_weight > 0:
            seen = self.perception.see(image)
        if self.content_weight > 0:
            there = self.perception.content(seen, self.perception.remember(content))
            terms |= Terms({"content": self.content_weight * there})
        if self.style_weight > 0:
            terms |= Terms({"style": self.style_weight * self.perception.style(seen, self.seen_of(style))})
        if self.variation_weight > 0:
            terms |= Terms({"variation": self.variation_weight * total_variation(image)})
        return terms

    def seen_of(self, style: Tensor) -> Maps:
        """What is seen of the style picture, which need not be looked at again while it is the same."""
        if self._style is None or not torch.equal(self._style[0], style):
            self._style = style, self.perception.remember(style)
        return self._style[1]

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.translator(image)
        return translated

    def sample(self, batch: Stylized) -> list[Tensor]:
        return [batch["a"], self.translator(batch["a"]), batch["b"]]
