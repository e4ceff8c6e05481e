"""Finds the network with which a model translates, by observing one translation. This network can be exported, and applied
in strips."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from stylegan_lab.models.base import BaseModel
from stylegan_lab.networks.layers.conditioning import append_condition_maps

PROBE_SIZE = 32


@dataclass(frozen=True)
class TranslationNetwork:
    """A network that translates an image in one call. A `condition` (1, K) is appended to the image as constant maps."""

    name: str
    network: nn.Module
    condition: Tensor | None = None
    batch_statistics: frozenset[nn.Module] = field(default_factory=frozenset)  # the norms that use those of the image
    dropouts: frozenset[nn.Module] = field(default_factory=frozenset)  # the ones that are active

    def inputs(self, images: Tensor) -> Tensor:
        if self.condition is None:
            return images
        return append_condition_maps(images, self.condition.expand(len(images), -1))


def required_size(module: BaseModel) -> tuple[int, int]:
    """Return the number of which the sides of images must be a multiple, and the smallest possible side, for all networks
    in use."""
    networks = [getattr(module, name) for name in module.ema_networks]
    multiple, smallest = (
        max((int(getattr(net, key, 1)) for net in networks), default=1) for key in ("multiple_of", "min_size")
    )
    return multiple, -(-smallest // multiple) * multiple


@torch.no_grad()
def find_translation_network(
    module: BaseModel, translate: Callable[[Tensor], Tensor], channels: int = 3
) -> TranslationNetwork | None:
    """Return the network of a model if `translate` calls one network exactly once and returns the output unchanged, or else
    None."""
    multiple, smallest = required_size(module)
    side = max(smallest, -(-PROBE_SIZE // multiple) * multiple)
    probe = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1
    calls: list[tuple[TranslationNetwork | None, Tensor]] = []

    def watch(name: str) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        return lambda network, given, output: calls.append((_from_call(name, network, given, probe), output))

    hooks = [module.get_submodule(name).register_forward_hook(watch(name)) for name in module.ema_networks]
    try:
        translated = translate(probe.to(module.device))
    finally:
        for hook in hooks:
            hook.remove()
    if len(calls) != 1:
        return None
    ((found, output),) = calls
    return found if isinstance(output, Tensor) and torch.equal(output, translated) else None


def _from_call(name: str, network: nn.Module, given: tuple[Any, ...], probe: Tensor) -> TranslationNetwork | None:
    if len(given) != 1 or not isinstance(given[0], Tensor) or given[0].dim() != 4:
        return None
    image, maps = given[0][:, : probe.shape[1]], given[0][:, probe.shape[1] :]
    condition = maps[:, :, :1, :1].clone()
    if not torch.equal(image, probe.to(image)) or not torch.equal(maps, condition.expand_as(maps)):
        return None
    layers = list(network.modules())
    norms = [each for each in layers if isinstance(each, nn.BatchNorm2d) and each.running_mean is None]
    dropouts = [each for each in layers if isinstance(each, nn.Dropout) and each.training]
    return TranslationNetwork(
        name, network, condition[:, :, 0, 0] if maps.shape[1] else None, frozenset(norms), frozenset(dropouts)
    )
