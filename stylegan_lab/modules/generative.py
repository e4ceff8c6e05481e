"""A generative module: noise, and a class where one is asked for, becomes pictures; a critic holds them against real ones."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.images.batch import Kind, Labelled, Plain
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.draws import for_each
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.latents import Latents, numbered
from stylegan_lab.nets.verdict import Judge

SHOWN_CLASSES = 16


class GenerativeModule(AdversarialModule):
    """`classes` names those that pictures are made of on request; none: pictures as they come.

    Both nets are told a class as a one-hot row beside their input, or None where there are no classes.
    """

    takes: Kind = Plain
    averaged = ("generator",)
    directions = ()

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
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        at_least("data.channels", image_channels, 1)
        self.latent = latents
        self.classes = [str(name) for name in classes]
        if self.classes:
            self.takes = Labelled
        told = {"classes": len(self.classes)} if self.classes else {}
        self.generator = _told(generator, "generator", latent_size=latents.size, image_channels=image_channels, **told)
        self.critic = _told(critic, "adversary", image_channels=image_channels, **told)
        self.generators = self.generator_player("generator", self.generator)
        self.critics = self.critic_player("critic", self.critic)

    def latents(self, count: int, each: int = 1) -> Tensor:
        """Fresh ones, so many for each picture at hand."""

        def draw(pictures: int, dice: torch.Generator | None) -> Tensor:
            return self.latent(pictures * each, dice).unflatten(0, (pictures, each))

        return for_each(count, draw).flatten(0, 1).to(self.device)

    def condition(self, batch: Any) -> Tensor | None:
        return self.one_hot(batch["label"]) if self.classes else None

    def one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels.long(), len(self.classes)).to(self.device, torch.get_default_dtype())

    def told(self, labels: Tensor | None) -> Tensor | None:
        """What nets hear of labels; nothing where there are no classes, or none is said."""
        return self.one_hot(labels) if self.classes and labels is not None else None

    def knowing(self, condition: Tensor | None) -> Judge:
        """The critic, told of which class the images are said to be."""
        return self.critic if condition is None else lambda image: self.critic(image, condition)

    def generate(self, latents: Tensor, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """A picture for each latent; of a run with classes, of the class numbered beside it."""
        if truncation is not None:
            raise Mistake(
                f"--truncation is for generators with a mapping net (stylegan2); this run is a {type(self).__name__}"
            )
        pictures: Tensor = self.generator(latents, self.told(labels))
        return pictures

    def mix(
        self, latents: Tensor, others: Tensor, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Coarse features of pictures with the fine ones of others."""
        raise Mistake(f"--mix is for generators of styles (stylegan2); this run is a {type(self).__name__}")

    def numbered_latents(self, seed: int, first: int, count: int) -> Tensor:
        """Those of pictures `first`, `first` + 1, ...: each by its seed and number alone."""
        return numbered(self.latent, seed, first, count).to(self.device)

    def rehearse(self, channels: int, least: int, size: int) -> None:
        latents = self.numbered_latents(0, 0, 2)
        labels = torch.zeros(2, dtype=torch.long, device=self.device) if self.classes else None
        pictures = self.generate(latents, labels)
        if pictures.shape[1:] != (channels, size, size):
            found, wanted = "x".join(map(str, pictures.shape[1:])), f"{channels}x{size}x{size}"
            raise Mistake(
                f"the generator makes pictures of {found}, and the data hold {wanted}; give generator.size={size}"
            )
        self.knowing(self.told(labels))(pictures)

    def beside_real(self, batch: Any) -> dict[str, tuple[Tensor, Tensor]]:
        latents = self.numbered_latents(0, 0, len(batch["image"]))
        return {"generator": (self.generate(latents, batch["label"] if self.classes else None), batch["image"])}

    def sample(self, batch: Any) -> list[Tensor]:
        """Without classes a square, with classes a row for each; a column of those has one latent."""
        columns = len(batch["image"])
        if not self.classes:
            latents = self.numbered_latents(0, 0, columns * columns)
            return [self.generate(row) for row in latents.split(columns)]
        latents = self.numbered_latents(0, 0, columns)
        return [
            self.generate(latents, torch.full((columns,), label, device=self.device))
            for label in range(min(len(self.classes), SHOWN_CLASSES))
        ]

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        raise Mistake(
            f"a {type(self).__name__} makes pictures from noise and translates none; `stylegan-lab generate RUN OUT` uses it"
        )


def _told(net: Callable[..., nn.Module], role: str, **facts: Any) -> nn.Module:
    """What only the model knows, told to the net that was chosen."""
    try:
        return net(**facts)
    except TypeError as error:
        name = getattr(getattr(net, "func", net), "__name__", str(net))
        if "classes" not in facts or "classes" not in str(error):
            raise Mistake(f"{role}={name} cannot serve here: {error}") from None
        raise Mistake(
            f"{name} cannot be told a class, which this model asks of its {role}; choose another {role}=, or model.classes=[]"
        ) from None
