"""UNSB (Kim et al., 2024): unpaired translation as a Schrödinger bridge, a Markov chain whose every step is a GAN generator."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from stylegan_lab.errors import check_at_least
from stylegan_lab.images.batch import UnpairedBatch
from stylegan_lab.losses.contrastive import patch_nce_of_layers
from stylegan_lab.losses.extra import ExtraLoss
from stylegan_lab.losses.gan_loss import AdversarialLoss
from stylegan_lab.losses.losses import Losses, Output
from stylegan_lab.models.adversarial import AdversarialModel
from stylegan_lab.models.base import OptimizerFactory, Schedule
from stylegan_lab.networks.discriminators.output import Discriminator
from stylegan_lab.networks.encoders.patch_projector import PatchProjector
from stylegan_lab.networks.generators.unsb import UNSBGenerator
from stylegan_lab.precision import to_float32
from stylegan_lab.rng import batch_draw, randn

PROBE_SIZE = 64  # pixels of the image that finds the channels of each layer
Noise = Callable[..., Tensor]  # noise(count, *shape): standard normal, a row for each image


class BridgeStep(NamedTuple):
    """States x_t and predictions x_T of one step of the chains. `noisy` and `noisy2` are the states of chains that start at two
    source images, and `fake` and `fake2` their predictions. `noisy_b` is the state of a chain that starts at a target image."""

    noisy: Tensor
    noisy2: Tensor
    noisy_b: Tensor | None
    fake: Tensor
    fake2: Tensor

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return a pair of x_t and the prediction, concatenated along the channels, for each of the two source images."""
        return torch.cat([self.noisy, self.fake], dim=1), torch.cat([self.noisy2, self.fake2], dim=1)


class UNSB(AdversarialModel):
    """Translates by a chain x_0, ..., x_T from the source image to the target domain. At each step the generator predicts x_T
    from x_t, and x_t+1 is a point between the two with noise added. A training step draws one t, simulates the chain up to
    x_t, and applies three losses to the predictions: a GAN loss, the Schrödinger bridge's transport cost and entropy, and
    PatchNCE.

    Args:
        num_timesteps: T, the number of steps of the chain.
        tau: Scales the variance of the bridge's noise, the transport cost and the entropy.
        sb_weight: The weight of the transport cost and the entropy. An energy network estimates the entropy.
        identity_nce: Also apply PatchNCE to images of the target domain, which should not change.
    """

    batch_type = UnpairedBatch
    extra_draws: ClassVar = {"a2": "a"}
    ema_networks = ("generator",)
    translates_at_random = True
    network_types: ClassVar = {"generator": UNSBGenerator}
    network_arguments: ClassVar = {
        "generator": ("num_timesteps",),
        "discriminator": ("num_timesteps", "image_channels"),
    }

    def __init__(
        self,
        generator: Callable[..., UNSBGenerator],
        discriminator: Callable[..., nn.Module],
        loss: AdversarialLoss,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        image_channels: int = 3,
        num_timesteps: int = 5,
        tau: float = 0.01,
        sb_weight: float = 1.0,
        nce_weight: float = 1.0,
        nce_patches: int = 256,
        nce_channels: int = 256,
        temperature: float = 0.07,
        identity_nce: bool = True,
        d_lr_mult: float = 1.0,
        clip_gradients: float | None = None,
        extra_losses: Mapping[str, ExtraLoss | None] | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, d_lr_mult, clip_gradients, extra_losses)
        check_at_least("model.num_timesteps", num_timesteps, 2)
        check_at_least("model.tau", tau, 0)
        check_at_least("model.sb_weight", sb_weight, 0)
        check_at_least("model.nce_weight", nce_weight, 0)
        check_at_least("model.nce_patches", nce_patches, 2)
        self.times = bridge_times(num_timesteps)
        self.num_timesteps, self.tau = num_timesteps, tau
        self.sb_weight, self.nce_weight = sb_weight, nce_weight
        self.nce_patches, self.temperature = nce_patches, temperature
        self.identity_nce = identity_nce and nce_weight > 0
        self.generator = generator(num_timesteps=num_timesteps)
        self.discriminator = discriminator(num_timesteps=num_timesteps, image_channels=image_channels)
        # The energy of two pairs (x_t, prediction), which are four images.
        self.energy = discriminator(num_timesteps=num_timesteps, image_channels=4 * image_channels)
        with torch.random.fork_rng([]), torch.no_grad():
            probe = torch.zeros(1, image_channels, PROBE_SIZE, PROBE_SIZE)
            channels = [each.shape[1] for each in self.encode(probe, torch.zeros(1, self.generator.latent_dim))]
        self.projector = PatchProjector(channels, nce_channels)
        self.generators = self.add_generators("generators", self.generator, self.projector)
        self.discriminators = self.add_discriminators("discriminators", self.discriminator)
        self.energies = self.add_player("energies", self.energy, optimizer=optimizer, lr_mult=d_lr_mult)

    def training_step(self, batch: UnpairedBatch, batch_idx: int) -> None:
        a, a2, b = batch["a"], batch["a2"], batch["b"]  # type: ignore[typeddict-item]  # an extra draw
        with self.keyed_draws():
            step = batch_draw(lambda rng: int(torch.randint(self.num_timesteps, (), generator=rng)))
        bridge = self.shared(self.predict_pairs, a, a2, b, step)
        detached: BridgeStep = bridge.detached
        self.optimize_discriminators(self.discriminators, self.discriminator_losses, b, detached.fake, step)
        self.optimize(self.energies, self.energy_losses, *detached.pairs(), step)
        if self.is_generator_step(self.iteration):
            self.optimize(self.generators, self.generator_losses, a, b, bridge, step)

    def predict_pairs(self, a: Tensor, a2: Tensor, b: Tensor, step: int) -> BridgeStep:
        with torch.no_grad():
            noisy, noisy2 = (self.simulate(image, step, self.draw_noise) for image in (a, a2))
            noisy_b = self.simulate(b, step, self.draw_noise) if self.identity_nce else None
        fake, fake2 = (self.predict_end(image, step, self.draw_noise) for image in (noisy, noisy2))
        return BridgeStep(noisy, noisy2, noisy_b, fake, fake2)

    def discriminator_losses(self, b: Tensor, fake: Tensor, step: int) -> Losses:
        discriminator = partial(self.discriminator, step=step)
        return self.adversarial_loss.discriminator_loss(discriminator, b, fake, self.iteration)

    def energy_losses(self, pair: Tensor, pair2: Tensor, step: int) -> Losses:
        """Return the losses of the energy network, which maximizes a lower bound of the mutual information of x_t and the
        prediction."""
        joint, independent = self.energy_of(pair, pair, step), self.energy_of(pair, pair2, step)
        log_sum = independent.logsumexp(dim=1)
        return Losses({"joint": -joint.mean(), "independent": log_sum.mean(), "square": log_sum.square().mean()})

    def generator_losses(self, a: Tensor, b: Tensor, bridge: BridgeStep, step: int) -> Losses:
        noisy, fake, (pair, pair2) = bridge.noisy, bridge.fake, bridge.pairs()
        identity = None if bridge.noisy_b is None else self.predict_end(bridge.noisy_b, step, self.draw_noise)
        losses = self.adversarial_loss.generator_loss(partial(self.discriminator, step=step), b, fake)
        if self.sb_weight > 0:
            cost = self.tau * (to_float32(noisy) - to_float32(fake)).square().mean()
            joint, independent = self.energy_of(pair, pair, step), self.energy_of(pair, pair2, step)
            information = joint.mean() - independent.logsumexp(dim=1).mean()
            entropy_weight = self.tau * (self.num_timesteps - step) / self.num_timesteps
            losses |= Losses({
                "transport": self.sb_weight * cost,
                "entropy": -self.sb_weight * entropy_weight * information,
            })  # fmt: skip
        if self.nce_weight > 0:
            weight = self.nce_weight / (2 if identity is not None else 1)
            losses |= Losses({"nce": weight * self.nce(a, fake)})
            if identity is not None:
                losses |= Losses({"nce_identity": weight * self.nce(b, identity)})
        return losses | Losses({}, outputs={"fake": Output(fake, a, b)})

    def energy_of(self, pair: Tensor, other: Tensor, step: int) -> Tensor:
        """Return the energies (N, P) of the patches of each image. The reference code also sums over the batch, which has a
        single image there."""
        (logits,) = self.energy(torch.cat([pair, other], dim=1), step).logits
        return to_float32(logits).flatten(1)

    def nce(self, source: Tensor, translation: Tensor) -> Tensor:
        """Return PatchNCE on the generator's features of source and translation, both at time 0 and with the same latents."""
        latents = self.draw_noise(len(source), self.generator.latent_dim).to(source)
        queries = self.encode(translation, latents)
        with torch.no_grad():
            keys = self.encode(source, latents)
        return patch_nce_of_layers(self.projector, queries, keys, self.nce_patches, self.temperature)

    def encode(self, image: Tensor, latents: Tensor) -> list[Tensor]:
        features: list[Tensor] = self.generator.encode(image, 0, latents, self.generator.nce_layers)
        return features

    def simulate(self, image: Tensor, step: int, noise: Noise) -> Tensor:
        """Simulate the chain that starts at `image`, and return x_t for t = `step`."""
        x = image
        for t in range(step):
            end = self.predict_end(x, t, noise)
            mix, variance = bridge_step(self.times, t)
            x = (1 - mix) * x + mix * end + (self.tau * variance) ** 0.5 * noise(*x.shape).to(x)
        return x

    def predict_end(self, x: Tensor, step: int, noise: Noise) -> Tensor:
        """Predict x_T from x_t with the generator."""
        predicted: Tensor = self.generator(x, step, noise(len(x), self.generator.latent_dim).to(x))
        return predicted

    def draw_noise(self, count: int, *shape: int) -> Tensor:
        return randn(count, *shape, device=self.device)

    def discriminators_for(self, image: Tensor) -> Sequence[Discriminator]:
        return (partial(self.discriminator, step=0),)

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        """Simulate the chain, and return the prediction at its last step. `style_seed` makes the noise reproducible."""
        rng = torch.Generator().manual_seed(self.style_seed)

        def noise(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=rng)

        last = self.num_timesteps - 1
        return self.predict_end(self.simulate(image, last, noise), last, noise)

    def sample_rows(self, batch: UnpairedBatch) -> dict[str, Tensor]:
        return {"a": batch["a"], "a to b": self.translate(batch["a"]), "b": batch["b"]}


def bridge_times(num_timesteps: int) -> Sequence[float]:
    """Return the times of x_0, ..., x_T, from 0 to 1. All but the first are between 0.5 and 1, and the distances between them are
    proportional to 1, 1/2, 1/3, ..."""
    sums = [0.0]
    for index in range(1, num_timesteps):
        sums.append(sums[-1] + 1 / index)
    return [0.0, *(0.5 + 0.5 * each / sums[-1] for each in sums)]


def bridge_step(times: Sequence[float], t: int) -> tuple[float, float]:
    """Return the mean and variance of x_t+1 given x_t and x_T: the weight of x_T in the mean, and the variance for a bridge of
    unit variance."""
    elapsed, left = times[t + 1] - times[t], times[-1] - times[t]
    return elapsed / left, elapsed * (1 - elapsed / left)
