"""The inception score (Salimans et al., 2016): does a classifier see one thing in each picture, and many things in all?"""

import torch
from torch import Tensor

from stylegan_lab.evaluation.crowd import Crowd

SPLITS = 10


def inception_score(fake: Crowd, _: Crowd, head: Tensor) -> float:
    """exp of the mean divergence of a picture's classes from all pictures' classes, averaged over splits. `head` (classes, D)
    makes class scores of features, with no bias, as the published code has it."""
    parts = (fake.vectors @ head.double().T).softmax(1).tensor_split(min(SPLITS, len(fake)))
    return float(torch.stack([_divergence(classes).exp() for classes in parts]).mean())


def _divergence(classes: Tensor) -> Tensor:
    return (torch.special.xlogy(classes, classes / classes.mean(0))).sum(1).mean()
