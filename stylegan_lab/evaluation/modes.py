"""Modes: how many of the classes samples fall on, and how evenly.

The 1,000-mode protocol (Metz et al., 2017; Srivastava et al., 2017; Lin et al., 2018): three digits stacked as colours are a
number below 1,000; a classifier of single digits reads them in 26,000 samples, and what counts is how many numbers are met and
the divergence KL(samples || real), called reverse KL there."""

import torch
from torch import Tensor

from stylegan_lab.evaluation.classifier import Classifier


def modes_covered(read: Tensor, modes: int) -> int:
    """Of the modes 0, 1, ... how many were read at least once."""
    return int((_counts(read, modes) > 0).sum())


def reverse_kl(read: Tensor, real: Tensor) -> float:
    """Nats from how often modes are met in the real, which is known, to how often they are in the samples; 0 where both are
    alike. A mode that the real never show counts as met once there, else one stray sample would make it infinite."""
    samples = _shares(_counts(read, len(real)))
    truth = _shares(real.double().clamp_min(1))
    return float(torch.where(samples > 0, samples * (samples / truth).log(), 0.0).sum())


def entropy(read: Tensor, modes: int) -> float:
    """Of how often modes are met, in nats: log(modes) where all are met alike, 0 where one alone is."""
    shares = _shares(_counts(read, modes))
    return float(-torch.where(shares > 0, shares * shares.log(), 0.0).sum())


def read_stacked(digits: Classifier, images: Tensor) -> Tensor:
    """(N, 3, H, W) as numbers: the first colour is the digit that weighs most."""
    numbers = torch.zeros(len(images), dtype=torch.long)
    for colour in images.split(1, dim=1):
        numbers = numbers * digits.classes + digits.read(colour)
    return numbers


def _counts(read: Tensor, modes: int) -> Tensor:
    return torch.bincount(read.flatten().cpu(), minlength=modes).double()


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum()
