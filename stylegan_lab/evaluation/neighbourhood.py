"""Is what one crowd shows among the other's near neighbours? Precision and recall (Kynkaanniemi et al., 2019), density and
coverage (Naeem et al., 2020)."""

import torch
from torch import Tensor

from stylegan_lab.evaluation.crowd import ROWS, Crowd

NEAREST = 3  # of precision and recall, as published
NEAREST_DENSE = 5  # of density and coverage


def precision(fake: Crowd, real: Crowd) -> float:
    """The share of fakes that lie within reach of some real picture."""
    return float(torch.cat([within.any(1) for within in _within(fake, real, NEAREST)]).double().mean())


def recall(fake: Crowd, real: Crowd) -> float:
    """The share of real pictures that lie within reach of some fake."""
    return precision(real, fake)


def density(fake: Crowd, real: Crowd) -> float:
    """How many real pictures reach a fake, over how many reach a real one; about 1 for two sets of one kind."""
    counts = torch.cat([within.sum(1) for within in _within(fake, real, NEAREST_DENSE)])
    return float(counts.double().mean()) / NEAREST_DENSE


def coverage(fake: Crowd, real: Crowd) -> float:
    """The share of real pictures that reach some fake."""
    return float(torch.stack([within.any(0) for within in _within(fake, real, NEAREST_DENSE)]).any(0).double().mean())


def _within(crowd: Crowd, centres: Crowd, neighbours: int) -> list[Tensor]:
    """Which of `crowd` (rows, some at a time) lie within the radius of which of `centres`."""
    radii = centres.radii(neighbours)
    return [torch.cdist(rows, centres.vectors) <= radii for rows in crowd.vectors.split(ROWS)]
