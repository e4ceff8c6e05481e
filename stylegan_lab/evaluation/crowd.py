"""A crowd: the vectors that a feature net makes of a set of pictures, and the statistics that metrics are made of."""

from functools import cached_property

import torch
from torch import Tensor

from stylegan_lab.mistake import Mistake

ROWS = 1024  # of a table of distances held at a time


class Crowd:
    """Statistics are computed when first asked for, in float64, and kept."""

    def __init__(self, vectors: Tensor) -> None:
        self.vectors = vectors.detach().cpu().double()
        if bad := int((~self.vectors.isfinite()).any(1).sum()):
            raise Mistake(
                f"the features of {bad} of {len(vectors)} pictures are not finite: the weights of the feature net are "
                "damaged, or its numbers overflow"
            )

    def __len__(self) -> int:
        return len(self.vectors)

    @property
    def dimensions(self) -> int:
        return self.vectors.shape[1]

    @cached_property
    def mean(self) -> Tensor:
        return self.vectors.mean(0)

    @cached_property
    def root(self) -> Tensor:
        """R with R^T R the unbiased covariance. The covariance itself is never made: fewer pictures than dimensions leave it
        without full rank, and squaring would lose half of the digits."""
        centred = (self.vectors - self.mean) / (len(self) - 1) ** 0.5
        return centred if len(self) <= self.dimensions else torch.linalg.qr(centred, mode="r").R

    def radii(self, neighbours: int) -> Tensor:
        """How far each vector's nearest others reach: the distance to that many, itself not counted."""
        if neighbours not in self._radii:
            parts = []
            for start in range(0, len(self), ROWS):
                apart = torch.cdist(self.vectors[start : start + ROWS], self.vectors)
                apart[torch.arange(len(apart)), start + torch.arange(len(apart))] = -1
                parts.append(apart.kthvalue(neighbours + 1, dim=1).values)
            self._radii[neighbours] = torch.cat(parts)
        return self._radii[neighbours]

    @cached_property
    def _radii(self) -> dict[int, Tensor]:
        return {}
