"""StyleGAN2 (Karras et al., 2020): styles, some of them mixed; critic and generator are regularised in turns of their own."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Plain
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.draws import Dice, for_all, for_each
from stylegan_lab.losses.path_length import PathLength, path_lengths
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.modules.player import Player
from stylegan_lab.modules.ranks import mean
from stylegan_lab.nets.generation.stylegan2 import StyleGAN2Generator
from stylegan_lab.nets.latents import Latents

AVERAGED_AT_ONCE = 32  # styles, in each iteration
AVERAGE_KEPT = 0.998


class StyleGAN2(GenerativeModule):
    """`mixing` is the share of pictures that take their fine layers from a second style. Every lazy turn slows its player's
    optimizer down a little, so that all turns together move as far as without it."""

    generator: StyleGAN2Generator
    path_length: Tensor

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
        mixing: float = 0.9,
        path_weight: float = 2.0,
        path_every: int = 4,
        path_shrink: int = 2,
        path_decay: float = 0.01,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(
            generator, critic, loss, optimizer, schedule, latents, classes, image_channels, critic_rate, clip_gradients
        )
        if not isinstance(self.generator, StyleGAN2Generator):
            raise Mistake(
                f"model=stylegan2 needs a generator of styles; {type(self.generator).__name__} is none; give generator=stylegan2"
            )
        least = {"mixing": 0, "path_weight": 0, "path_every": 1, "path_shrink": 1, "path_decay": 0}
        given = (mixing, path_weight, path_every, path_shrink, path_decay)
        for (name, bound), value in zip(least.items(), given, strict=True):
            at_least(f"model.{name}", value, bound)
        self.mixing = mixing
        self.paths = PathLength(path_weight, path_every, path_shrink, path_decay)
        self.register_buffer("path_length", torch.zeros(()))
        if path_weight > 0:
            share_time(self.generators, path_every)
        if loss.penalties:
            share_time(self.critics, loss.penalties_every)

    def training_step(self, batch: Plain, batch_idx: int) -> None:
        real, condition = batch["image"], self.condition(batch)
        walked = None
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, real, condition)
        if self.paths.is_due(self.iteration):
            walked = self.descend(self.generators, self.path_terms, max(1, len(real) // self.paths.shrink))
        with torch.no_grad():
            fake = self.fakes(len(real), condition)
        self.descend_critics(self.critics, self.critic_terms, real, fake, condition)
        if self.contest.penalties_are_due(self.iteration):
            self.descend_critics(self.critics, self.penalty_terms, real, fake, condition)
        self.remember(walked)

    def generator_terms(self, real: Tensor, condition: Tensor | None) -> Terms:
        return self.contest.generator(self.knowing(condition), real, self.fakes(len(real), condition))

    def path_terms(self, count: int) -> Terms:
        styles = self.mixed_styles(count, self.told(for_each(count, self.any_class)))
        lengths = path_lengths(self.drawn, styles)
        return Terms({"path": self.paths.penalty(lengths, self.path_length)}, {"path_length": lengths.detach()})

    def critic_terms(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Terms:
        return self.contest.critic_plays(self.knowing(condition), real, fake)

    def penalty_terms(self, real: Tensor, fake: Tensor, condition: Tensor | None) -> Terms:
        return self.contest.critic_pays(self.knowing(condition), real, fake, self.iteration)

    def fakes(self, count: int, condition: Tensor | None) -> Tensor:
        return self.drawn(self.mixed_styles(count, condition))

    def mixed_styles(self, count: int, condition: Tensor | None) -> Tensor:
        """From a layer on, drawn for each picture, those of a second latent."""
        layers = self.generator.layers
        one, other = (self.generator.styles(self.latents(count), condition) for _ in range(2))
        chance = for_each(count, lambda number, dice: torch.rand(number, 2, generator=dice)).to(self.device)
        crossing = torch.where(chance[:, 0] < self.mixing, 1 + chance[:, 1] * (layers - 1), layers)
        is_first = torch.arange(layers, device=self.device) < crossing.long()[:, None]
        return torch.where(is_first[:, :, None], one, other)

    def drawn(self, styles: Tensor) -> Tensor:
        """With fresh noise in every layer."""
        size = self.generator.noise_size
        seeds = for_each(len(styles), lambda count, dice: torch.randint(2**62, (count,), generator=dice)).tolist()
        dice = [torch.Generator(self.device).manual_seed(seed) for seed in seeds]
        noise = torch.stack([torch.randn(size, generator=each, device=self.device) for each in dice])
        return self.generator.draw(styles, noise)

    @torch.no_grad()
    def remember(self, walked: Terms | None) -> None:
        """The averages that paths are held to and that truncation leads to, the same on every rank."""
        if walked is not None:
            self.path_length.lerp_(mean(walked.notes["path_length"].mean()), self.paths.decay)
        latents, labels = for_all(lambda dice: [draw(AVERAGED_AT_ONCE, dice) for draw in (self.latent, self.any_class)])
        styles = self.generator.mapping(latents.to(self.device), self.told(labels))
        self.generator.average_style.lerp_(styles.mean(dim=0), 1 - AVERAGE_KEPT)

    def any_class(self, count: int, dice: Dice) -> Tensor:
        return torch.randint(max(1, len(self.classes)), (count,), generator=dice)

    def generate(self, latents: Tensor, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        return self.generator.draw(self._styles(latents, labels, truncation))

    def mix(
        self, latents: Tensor, others: Tensor, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """The coarse half of pictures' layers, and the fine half of others'."""
        coarse, fine = (self._styles(each, labels, truncation) for each in (latents, others))
        return self.generator.draw(mixed(coarse, fine, self.generator.layers // 2))

    def _styles(self, latents: Tensor, labels: Tensor | None, truncation: float | None) -> Tensor:
        styles = self.generator.styles(latents, self.told(labels))
        return styles if truncation is None else self.generator.truncated(styles, truncation)


def mixed(styles: Tensor, others: Tensor, crossing: int) -> Tensor:
    """The first `crossing` layers of the one and the rest of the other."""
    return torch.cat([styles[:, :crossing], others[:, crossing:]], dim=1)


def share_time(player: Player, every: int) -> None:
    """For a player that takes one turn more in every so many."""
    share = every / (every + 1)
    for group in player.optimizer.param_groups:
        group["lr"] = group["initial_lr"] = group["lr"] * share
        if "betas" in group:
            group["betas"] = tuple(beta**share for beta in group["betas"])
