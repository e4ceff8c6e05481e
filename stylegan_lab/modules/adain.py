"""AdaIN (Huang & Belongie, 2017): any style, given by a picture, in one pass. Only the decoder learns."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Unpaired
from stylegan_lab.losses.perception import Maps, Perception
from stylegan_lab.losses.style import moments
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake, at_least, some_weight
from stylegan_lab.modules.module import Module, OptimizerFactory, Schedule
from stylegan_lab.modules.ranks import mean
from stylegan_lab.nets.decoder import restyled

PROBE = 64  # pixels, to see how many channels the encoder ends in and how often it halves


class AdaIN(Module):
    """The encoder is the feature net, to the deepest of its style layers. Without a style picture the mean statistics of
    those seen in training serve, which `usual_style` follows."""

    takes = Unpaired
    averaged = ("decoder",)
    usual_style: Tensor

    def __init__(
        self,
        decoder: Callable[..., nn.Module],
        features: Callable[[], Perception],
        optimizer: OptimizerFactory,
        schedule: Schedule,
        content_weight: float = 1.0,
        style_weight: float = 0.01,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(schedule, clip_gradients)
        at_least("model.content_weight", content_weight, 0)
        at_least("model.style_weight", style_weight, 0)
        some_weight(content=content_weight, style=style_weight)
        self.content_weight, self.style_weight = content_weight, style_weight
        self.perception = features()
        _, channels, side, _ = self.deepest(self.perception.remember(torch.zeros(1, 3, PROBE, PROBE))).shape
        doublings = (PROBE // side).bit_length() - 1
        if side * 2**doublings != PROBE:
            raise Mistake(
                f"an encoder that leaves {side} of {PROBE} pixels cannot be mirrored by doublings; give features=vgg19_adain, "
                "vgg16, or untrained"
            )
        self.decoder = decoder(inputs=channels, doublings=doublings)
        self.register_buffer("usual_style", torch.stack([torch.zeros(channels), torch.ones(channels)]))
        self.generators = self.player("generators", self.decoder, optimizer=optimizer)

    def training_step(self, batch: Unpaired, batch_idx: int) -> None:
        content, style = self.perception.remember(batch["a"]), self.perception.remember(batch["b"])
        target = restyled(self.deepest(content), *moments(self.deepest(style)))
        self.follow(style)
        self.descend(self.generators, self.terms, target, style)

    def terms(self, target: Tensor, style: Maps) -> Terms:
        """The content to keep is the restyled maps, not those of the photo."""
        seen = self.perception.see(self.decoder(target))
        terms = Terms({})
        if self.content_weight > 0:
            terms |= Terms({"content": self.content_weight * (self.deepest(seen) - target).square().mean()})
        if self.style_weight > 0:
            terms |= Terms({"style": self.style_weight * self.perception.style(seen, style)})
        return terms

    def deepest(self, maps: Maps) -> Tensor:
        return maps[list(self.perception.style_layers)[-1]]

    def follow(self, style: Maps) -> None:
        """The mean over all styles seen so far, of means and of deviations."""
        here = torch.stack([statistic.mean(dim=0).flatten() for statistic in moments(self.deepest(style))])
        self.usual_style.lerp_(mean(here), 1 / self.parts_played)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        mean, deviation = self.usual_style[..., None, None].unbind()
        return self.decoded(image, mean[None], deviation[None])

    def translate_like(self, image: Tensor, reference: Tensor, direction: str = "a2b") -> Tensor:
        return self.stylize(image, [reference])

    def stylize(
        self, image: Tensor, styles: Sequence[Tensor], shares: Sequence[float] | None = None, strength: float = 1.0
    ) -> Tensor:
        """After style pictures (N, C, H, W), mixed in the given shares; `strength` 0 leaves the content's own statistics."""
        shares = shares or [1 / len(styles)] * len(styles)
        each = [moments(self.deepest(self.perception.remember(style))) for style in styles]
        means = torch.stack([share * mean for share, (mean, _) in zip(shares, each, strict=True)]).sum(dim=0)
        deviations = torch.stack([share * deviation for share, (_, deviation) in zip(shares, each, strict=True)]).sum(
            dim=0
        )
        return self.decoded(image, means, deviations, strength)

    def decoded(self, image: Tensor, mean: Tensor, deviation: Tensor, strength: float = 1.0) -> Tensor:
        maps = self.deepest(self.perception.remember(image))
        mixed = torch.lerp(maps, restyled(maps, mean, deviation), strength)
        styled: Tensor = self.decoder(mixed)
        return styled

    def sample(self, batch: Unpaired) -> list[Tensor]:
        return [batch["a"], self.stylize(batch["a"], [batch["b"]]), batch["b"]]
