"""CUT and FastCUT (Park et al., 2020): one translator, whose own encoder must find each patch again among all others."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from stylegan_lab.images.batch import Unpaired
from stylegan_lab.losses.contest import Contest
from stylegan_lab.losses.draws import for_all
from stylegan_lab.losses.nce import patch_nce
from stylegan_lab.losses.terms import Terms
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.adversarial import AdversarialModule
from stylegan_lab.modules.module import OptimizerFactory, Schedule
from stylegan_lab.nets.patch_projector import PatchProjector
from stylegan_lab.nets.taps import tapped

PROBE = 64  # pixels, to see how many channels each layer has


class CUT(AdversarialModule):
    """`nce_layers` counts the translator's layers; null takes its input, both halvings, its first and its middle block.
    `identity_nce`: what is of the target domain already should keep its patches too. `flip_equivariance`: half of the time the
    mirrored picture is translated, and has to match the one that was not (FastCUT)."""

    takes = Unpaired
    averaged = ("translator",)

    def __init__(
        self,
        translator: Callable[[], nn.Module],
        critic: Callable[[], nn.Module],
        loss: Contest,
        optimizer: OptimizerFactory,
        schedule: Schedule,
        nce_weight: float = 1.0,
        nce_layers: Sequence[int] | None = None,
        nce_patches: int = 256,
        nce_channels: int = 256,
        temperature: float = 0.07,
        identity_nce: bool = True,
        flip_equivariance: bool = False,
        critic_rate: float = 1.0,
        clip_gradients: float | None = None,
    ) -> None:
        super().__init__(loss, optimizer, schedule, critic_rate, clip_gradients)
        at_least("model.nce_weight", nce_weight, 0)
        at_least("model.nce_patches", nce_patches, 2)
        self.translator, self.critic = translator(), critic()
        self.nce_layers = _layers(self.translator, nce_layers)
        self.nce_weight, self.nce_patches, self.temperature = nce_weight, nce_patches, temperature
        self.identity_nce, self.flip_equivariance = identity_nce and nce_weight > 0, flip_equivariance
        # Where the translator does the same thing twice, the maps of its first pass serve as keys.
        self.is_repeatable = not any(
            isinstance(layer, nn.Dropout | nn.BatchNorm2d | nn.SyncBatchNorm) for layer in self.translator.modules()
        )
        with torch.random.fork_rng([]), torch.no_grad():
            channels = [each.shape[1] for each in self.encoded(torch.zeros(1, 3, PROBE, PROBE))]
        self.projector = PatchProjector(channels, nce_channels)
        self.generators = self.generator_player("generators", self.translator, self.projector)
        self.critics = self.critic_player("critics", self.critic)

    def training_step(self, batch: Unpaired, batch_idx: int) -> None:
        a, b = batch["a"], batch["b"]
        flipped = self.flip_equivariance and for_all(lambda dice: bool(torch.rand((), generator=dice) < 0.5))
        source = torch.cat([a, b]) if self.identity_nce else a
        there, keys = self.translated(source.flip(-1) if flipped else source)
        if self.nce_weight > 0 and (flipped or not self.is_repeatable):
            with torch.no_grad():
                keys = self.encoded(source)
        self.descend_critics(self.critics, self.critic_terms, b, there[: len(a)].detach())
        if self.generators_play(self.iteration):
            self.descend(self.generators, self.generator_terms, b, there, keys, flipped)

    def critic_terms(self, b: Tensor, fake: Tensor) -> Terms:
        return self.contest.critic(self.critic, b, fake, self.iteration)

    def generator_terms(self, b: Tensor, there: Tensor, keys: Sequence[Tensor], flipped: bool = False) -> Terms:
        """`there`: the translation of `a`, and of `b` behind it if what is at home already has to keep its patches."""
        terms = self.contest.generator(self.critic, b, there[: len(there) // 2] if self.identity_nce else there)
        if self.nce_weight > 0:
            queries = [each.flip(-1) if flipped else each for each in self.encoded(there)]
            weight = self.nce_weight / (2 if self.identity_nce else 1)
            terms |= Terms({"nce": weight * self.nce(_first(queries, self), _first(keys, self))})
            if self.identity_nce:
                terms |= Terms({"nce_identity": weight * self.nce(_second(queries), _second(keys))})
        return terms

    def nce(self, queries: Sequence[Tensor], keys: Sequence[Tensor]) -> Tensor:
        """The mean over layers, each at places of its own, the same for the whole batch."""
        counts = [each.shape[-2] * each.shape[-1] for each in queries]
        shuffled = for_all(lambda dice: [torch.randperm(count, generator=dice) for count in counts])
        places = [order[: self.nce_patches].to(self.device) for order in shuffled]
        found, wanted = self.projector(queries, places), self.projector([key.detach() for key in keys], places)
        losses = [patch_nce(query, key, self.temperature) for query, key in zip(found, wanted, strict=True)]
        return torch.stack(losses).mean()

    def translated(self, image: Tensor) -> tuple[Tensor, list[Tensor]]:
        return tapped(self.translator.layers, image, self.nce_layers, to_the_end=True)  # type: ignore[arg-type]

    def encoded(self, image: Tensor) -> list[Tensor]:
        return tapped(self.translator.layers, image, self.nce_layers)[1]  # type: ignore[arg-type]

    def translate(self, image: Tensor, direction: str = "a2b") -> Tensor:
        translated: Tensor = self.translator(image)
        return translated

    def sample(self, batch: Unpaired) -> list[Tensor]:
        return [batch["a"], self.translator(batch["a"]), batch["b"]]


def _first(maps: Sequence[Tensor], module: CUT) -> list[Tensor]:
    return [each[: len(each) // 2] if module.identity_nce else each for each in maps]


def _second(maps: Sequence[Tensor]) -> list[Tensor]:
    return [each[len(each) // 2 :] for each in maps]


def _layers(translator: nn.Module, asked: Sequence[int] | None) -> list[int]:
    """The layers to look at, once it is sure that the translator has them."""
    chain = getattr(translator, "layers", None)
    if not isinstance(chain, nn.Sequential) or not hasattr(translator, "landmarks"):
        raise Mistake(
            f"model=cut looks between the layers of a chain, which {type(translator).__name__} is not; "
            "give translator=resnet9, resnet6 or resnet_small"
        )
    layers = list(dict.fromkeys(asked if asked is not None else translator.landmarks))  # type: ignore[arg-type]
    count = len(chain)
    if not layers or not all(0 <= layer < count for layer in layers):
        raise Mistake(
            f"model.nce_layers={layers}: the translator has layers 0 to {count - 1}; give some of these, or null"
        )
    return layers
