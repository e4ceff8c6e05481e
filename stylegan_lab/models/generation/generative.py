"""The base class of generation models: a generator makes images from noise, and from a class if the model has classes."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import BatchType, ImageBatch, LabelledBatch
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.networks.discriminators.output import Discriminator, discriminate
from stylegan_lab.networks.latents import Latents, numbered_latents
from stylegan_lab.rng import per_sample_draw

MAX_SAMPLE_ROWS = 16  # classes shown in a sample image


class GenerativeModel(AdversarialModel):
    """A GAN from noise to images. With `classes` the GAN is conditional on the class.

    Generator and discriminator get the class as a one-hot vector in their second argument, or None without classes.
    """

    batch_type: BatchType = ImageBatch
    ema_networks = ("generator",)
    directions = ()
    extra_loss_arguments: ClassVar = ("fake", "real")
    network_arguments: ClassVar = {"generator": ("latent_dim", "image_channels"), "discriminator": ("image_channels",)}

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
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        check_at_least("data.channels", image_channels, 1)
        self.latent_distribution = latents
        self.classes = [str(name) for name in classes]
        if self.classes:
            self.batch_type = LabelledBatch
        conditioning = {"classes": len(self.classes)} if self.classes else {}
        self.generator = _build_network(
            generator, "generator", latent_dim=latents.size, image_channels=image_channels, **conditioning
        )
        self.discriminator = _build_network(
            discriminator, "discriminator", image_channels=image_channels, **conditioning
        )
        self.generators = self.add_generators("generator", self.generator)
        self.discriminators = self.add_discriminators("discriminator", self.discriminator)

    def sample_latents(self, count: int, per_image: int = 1) -> Tensor:
        """Sample `per_image` latents for each of `count` images."""

        def draw(images: int, rng: torch.Generator | None) -> Tensor:
            return self.latent_distribution(images * per_image, rng).unflatten(0, (images, per_image))

        return per_sample_draw(count, draw, self.device).flatten(0, 1)

    def condition(self, batch: Any) -> Tensor | None:
        return self.one_hot(batch["label"]) if self.classes else None

    def one_hot(self, labels: Tensor) -> Tensor:
        return F.one_hot(labels.long(), len(self.classes)).to(self.device, torch.get_default_dtype())

    def class_condition(self, labels: Tensor | None) -> Tensor | None:
        """Return one-hot labels, or None if the model has no classes or no labels are given."""
        return self.one_hot(labels) if self.classes and labels is not None else None

    def conditioned_discriminator(self, condition: Tensor | None) -> Discriminator:
        """Return the discriminator with `condition`, the one-hot classes of the images, as its second argument."""
        return self.discriminator if condition is None else lambda image: self.discriminator(image, condition)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Generate images from latents."""
        return self.generate(latents, labels)

    def predict_step(self, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> Tensor:
        """Generate images from a tensor of latents. For a batch, generate as many images as it has, of the same classes."""
        if isinstance(batch, Tensor):
            return self.generate(batch)
        seed = batch_idx * self.trainer.world_size + self.global_rank
        latents = self.numbered_latents(seed, 0, len(batch["image"]))
        return self.generate(latents, batch["label"] if self.classes else None)

    def generate(self, latents: Tensor, labels: Tensor | None = None, truncation: float | None = None) -> Tensor:
        """Generate an image from each latent. `labels` are class numbers, for a model with classes."""
        if truncation is not None:
            raise UserError(
                "generate.no_truncation",
                f"--truncation needs a generator with a mapping network (model=stylegan2), "
                f"but this run is {type(self).__name__}; leave --truncation out",
            )
        images: Tensor = self.generator(latents, self.class_condition(labels))
        return images

    def mix(
        self, latents: Tensor, others: Tensor, labels: Tensor | None = None, truncation: float | None = None
    ) -> Tensor:
        """Generate images with style mixing, from the coarse styles of `latents` and the fine styles of `others`."""
        raise UserError(
            "generate.no_style_mixing",
            f"--style-mixing needs a style-based generator (model=stylegan2), "
            f"but this run is {type(self).__name__}; leave --style-mixing out",
        )

    def numbered_latents(self, seed: int, first: int, count: int) -> Tensor:
        """Return `count` latents of an endless sequence, from number `first` on. Each latent depends only on the seed and on its
        number."""
        return numbered_latents(self.latent_distribution, seed, first, count).to(self.device)

    def sanity_check(self, channels: int, size: int, factor: int = 1) -> None:
        latents = self.numbered_latents(0, 0, 2)
        labels = torch.zeros(2, dtype=torch.long, device=self.device) if self.classes else None
        images = self.generate(latents, labels)
        if images.shape[1:] != (channels, size, size):
            found, expected = "x".join(map(str, images.shape[1:])), f"{channels}x{size}x{size}"
            raise UserError(
                "model.output_size_mismatch",
                f"the generator makes images of {found}, but the data has images of {expected}; set generator.size={size}",
            )
        discriminate(self.conditioned_discriminator(self.class_condition(labels)), images)

    def fake_and_real(self, batch: Any) -> dict[str, tuple[Tensor, Tensor]]:
        latents = self.numbered_latents(0, 0, len(batch["image"]))
        return {"generator": (self.generate(latents, batch["label"] if self.classes else None), batch["image"])}

    def sample_rows(self, batch: Any) -> Mapping[str, Tensor] | Sequence[Tensor]:
        """Return a square grid of images. With classes, the grid has a row for each class and a column for each latent."""
        columns = len(batch["image"])
        if not self.classes:
            latents = self.numbered_latents(0, 0, columns * columns)
            return [self.generate(row) for row in latents.split(columns)]
        latents = self.numbered_latents(0, 0, columns)
        return {
            str(name): self.generate(latents, torch.full((columns,), label, device=self.device))
            for label, name in enumerate(self.classes[:MAX_SAMPLE_ROWS])
        }

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        raise UserError(
            "translate.generation_model",
            f"{type(self).__name__} generates images from noise and cannot translate; use `stylegan-lab generate RUN OUT`",
        )


def _build_network(network: Callable[..., nn.Module], role: str, **arguments: Any) -> nn.Module:
    """Build a network with the arguments that only the model knows."""
    try:
        return network(**arguments)
    except TypeError as error:
        name = getattr(getattr(network, "func", network), "__name__", str(network))
        if "classes" not in arguments or "classes" not in str(error):
            raise UserError("model.network_mismatch", f"{role}={name} does not fit this model: {error}") from None
        raise UserError(
            "model.network_mismatch",
            f"{role}={name} takes no classes, but model.classes is set; choose another {role}=, or set model.classes=[]",
        ) from None
