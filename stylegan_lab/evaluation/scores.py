"""Scores: pictures measured by every metric that what they are held against allows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan_lab.evaluation.metrics import METRICS, Against, Metric, check_enough
from stylegan_lab.images.convert import to_unit
from stylegan_lab.images.gallery import PictureSet


@dataclass(frozen=True)
class Domains:
    """Held-out pictures in [0, 1]; `b[i]` is the true translation of `a[i]` if `paired`, else there may be more of one than of
    the other. They are of one size, but where a translation enlarges."""

    a: Tensor
    b: Tensor
    paired: bool

    def first(self, of_a: int, of_b: int) -> "Domains":
        return Domains(self.a[:of_a], self.b[:of_b], self.paired)

    def untranslated(self) -> Tensor:
        """`a`, plainly enlarged if `b` is larger."""
        size = self.b.shape[-2:]
        return self.a if self.a.shape[-2:] == size else F.interpolate(self.a, size, mode="bicubic").clamp(0, 1)

    def reversed(self) -> "Domains":
        return Domains(self.b, self.a, self.paired)

    def others(self) -> dict[Against, PictureSet]:
        """What translations of `a` are held against. What needs a truth is left out where there is none."""
        known: dict[Against, PictureSet] = {"target": self.b, "input": self.untranslated()}
        return known | {"truth": self.b} if self.paired else known


def gather(batches: Iterable[Mapping[str, Tensor]], paired: bool) -> Domains:
    seen = [(to_unit(batch["a"]), to_unit(batch["b"])) for batch in batches]
    return Domains(torch.cat([a for a, _ in seen]), torch.cat([b for _, b in seen]), paired)


def score(
    pictures: PictureSet, others: Mapping[Against, PictureSet], metrics: Mapping[str, Metric] = METRICS
) -> dict[str, float]:
    """Pictures in [0, 1] by every metric that compares them with one of the `others`."""
    possible = {name: metric for name, metric in metrics.items() if metric.against in others}
    for name, metric in possible.items():
        check_enough(name, metric, min(pictures.shape[-2:]), len(pictures), len(others[metric.against]))
    return {name: metric(pictures, others[metric.against]) for name, metric in possible.items()}
