"""CUT and FastCUT (Park et al., 2020): one-sided translation with a patchwise contrastive loss (PatchNCE)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.contrastive import patch_nce_of_layers
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.networks.discriminators.output import Discriminator
from stylegan_lab.networks.encoders.patch_projector import PatchProjector, forward_with_features
from stylegan_lab.networks.generators.resnet import ResNetBlock, ResNetGenerator
from stylegan_lab.rng import batch_draw

PROBE_SIZE = 64  # pixels of the image that finds the channels of each layer


class Translation(NamedTuple):
    """The translation of an image, and the generator's feature maps of that image, which are the keys of PatchNCE."""

    fake: Tensor
    keys: list[Tensor]


class CUT(AdversarialModel):
    """Trains with a GAN loss, and with PatchNCE between the input and its translation.

    Args:
        nce_layers: The generator's layers whose features are compared; null takes its input, both downsampling layers, its
            first and its middle block.
        nce_patches: Patches per layer.
        nce_channels: Channels of the projected features.
        identity_nce: Also apply PatchNCE to images of the target domain, which should not change.
        flip_equivariance: With probability 0.5 the flipped batch is translated and compared with the unflipped one (FastCUT).
    """

    batch_type = UnpairedBatch
    ema_networks = ("generator",)
    network_types: ClassVar = {"generator": ResNetGenerator}

    def __init__(
        self,
        generator: Callable[[], nn.Module],
        discriminator: Callable[[], nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        nce_weight: float = 1.0,
        nce_layers: Sequence[int] | None = None,
        nce_patches: int = 256,
        nce_channels: int = 256,
        temperature: float = 0.07,
        identity_nce: bool = True,
        flip_equivariance: bool = False,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        check_at_least("model.nce_weight", nce_weight, 0)
        check_at_least("model.nce_patches", nce_patches, 2)
        self.generator, self.discriminator = generator(), discriminator()
        self.nce_layers = _nce_layers(self.generator, nce_layers)
        self.nce_weight, self.nce_patches, self.temperature = nce_weight, nce_patches, temperature
        self.identity_nce, self.flip_equivariance = identity_nce and nce_weight > 0, flip_equivariance
        # A deterministic generator's features from the translation itself serve as keys.
        self.is_deterministic = not any(
            isinstance(layer, nn.Dropout | nn.BatchNorm2d | nn.SyncBatchNorm) for layer in self.generator.modules()
        )
        with torch.random.fork_rng([]), torch.no_grad():
            channels = [each.shape[1] for each in self.encode(torch.zeros(1, 3, PROBE_SIZE, PROBE_SIZE))]
        self.projector = PatchProjector(channels, nce_channels)
        self.generators = self.add_generators("generators", self.generator, self.projector)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)

    @property
    def compilable_networks(self) -> Sequence[nn.Module]:
        """The networks to compile. They include the residual blocks of the generator instead of the whole generator, because CUT
        calls its layers one by one to read the features between them."""
        blocks = [layer for layer in self.generator.layers if isinstance(layer, ResNetBlock)]  # type: ignore[union-attr]
        return [*blocks, *(network for network in super().compilable_networks if network is not self.generator)]

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        flipped = self.flip_equivariance and self.draw_flip()
        translation = self.shared(self.translate_and_encode, a, flipped)
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, b, translation.detached.fake)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, a, b, translation, flipped)

    def discriminator_losses(self, b: Tensor, fake: Tensor) -> Losses:
        return self.adversarial_loss.discriminator_loss(self.discriminator, b, fake, self.iteration)

    def generator_losses(
        self, a: Tensor, b: Tensor, translation: Translation, flipped: bool = False
    ) -> Iterator[Losses]:
        """Yield the losses of the translation of `a`, then those of the translation of `b`. The graph of the first is freed
        before that of the second is built, so only one graph is in memory at a time."""
        losses = self.adversarial_loss.generator_loss(self.discriminator, b, translation.fake)
        weight = self.nce_weight / (2 if self.identity_nce else 1)
        if weight > 0:
            losses |= Losses({"nce": weight * self.nce(translation, flipped)})
        yield losses | Losses({}, outputs={"fake": Output(translation.fake, a.flip(-1) if flipped else a, b)})
        if self.identity_nce:
            yield Losses({"nce_identity": weight * self.nce(self.translate_and_encode(b, flipped), flipped)})

    def nce(self, translation: Translation, flipped: bool) -> Tensor:
        queries = [each.flip(-1) if flipped else each for each in self.encode(translation.fake)]
        return patch_nce_of_layers(self.projector, queries, translation.keys, self.nce_patches, self.temperature)

    def translate_and_encode(self, image: Tensor, flipped: bool) -> Translation:
        source = image.flip(-1) if flipped else image
        fake, keys = forward_with_features(self.generator.layers, source, self.nce_layers, to_the_end=True)  # type: ignore[arg-type]
        if self.nce_weight > 0 and (flipped or not self.is_deterministic):
            with torch.no_grad():
                keys = self.encode(image)
        return Translation(fake, keys)

    def draw_flip(self) -> bool:
        with self.keyed_draws():
            return batch_draw(lambda rng: bool(torch.rand((), generator=rng) < 0.5))

    def encode(self, image: Tensor) -> list[Tensor]:
        return forward_with_features(self.generator.layers, image, self.nce_layers)[1]  # type: ignore[arg-type]

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return (self.discriminator,)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.generator(image)
        return translated

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        return {"a": batch["a"], "a to b": self.generator(batch["a"]), "b": batch["b"]}


def _nce_layers(generator: nn.Module, setting: Sequence[int] | None) -> list[int]:
    """The layers whose features are compared, checked against the generator."""
    chain = getattr(generator, "layers", None)
    if not isinstance(chain, nn.Sequential) or not hasattr(generator, "nce_layers"):
        raise UserError(
            "model.network_mismatch",
            f"model=cut reads features between the layers of its generator, which {type(generator).__name__} does not allow; "
            "use generator=resnet9, resnet6 or resnet_small",
        )
    layers = list(dict.fromkeys(setting if setting is not None else generator.nce_layers))  # type: ignore[arg-type]
    count = len(chain)
    if not layers or not all(0 <= layer < count for layer in layers):
        raise UserError(
            "model.unknown_nce_layers",
            f"model.nce_layers={layers}: the generator has layers 0 to {count - 1}; choose from these, or use null",
        )
    return layers
