"""Scores: a translation measured by every metric its data allow, beside what the input alone would have scored."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.evaluation.metrics import METRICS, Metric
from stylegan_lab.images.convert import to_unit

Translate = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Domains:
    """Held-out pictures in [0, 1]; `b[i]` is the true translation of `a[i]` if `paired`. They are of one size, but where a
    translation enlarges."""

    a: Tensor
    b: Tensor
    paired: bool

    def untranslated(self) -> Tensor:
        """`a`, plainly enlarged if `b` is larger."""
        size = self.b.shape[-2:]
        return self.a if self.a.shape[-2:] == size else F.interpolate(self.a, size, mode="bicubic").clamp(0, 1)

    def reversed(self) -> "Domains":
        return Domains(self.b, self.a, self.paired)


def gather(batches: Iterable[Mapping[str, Tensor]], paired: bool) -> Domains:
    seen = [(to_unit(batch["a"]), to_unit(batch["b"])) for batch in batches]
    return Domains(torch.cat([a for a, _ in seen]), torch.cat([b for _, b in seen]), paired)


def score(translated: Tensor, domains: Domains, metrics: Mapping[str, Metric] = METRICS) -> dict[str, float]:
    """Measure translations of `domains.a`, in [0, 1]. What needs a truth is left out where there is none."""
    others = {"target": domains.b, "input": domains.untranslated()} | ({"truth": domains.b} if domains.paired else {})
    return {
        name: metric.measure(translated, others[metric.against])
        for name, metric in metrics.items()
        if metric.against in others
    }


@torch.no_grad()
def translate_all(translate: Translate, images: Tensor, batch_size: int, device: torch.device) -> Tensor:
    """Images in [0, 1] through a translator and through the 8 bits in which its pictures would be saved."""
    parts = [to_unit(translate((part * 2 - 1).to(device))).cpu() for part in images.split(batch_size)]
    return torch.cat(parts)
