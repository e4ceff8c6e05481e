"""Metrics on features: Fréchet distance (FID), kernel distance (KID), precision and recall, density and coverage, inception score.

The name of each metric includes the network that computes the features: `fid_squeezenet`, never plain FID.
"""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.feature_extractors import ROWS, FeatureSet, MetricFeatures
from stylegan_lab.evaluation.metric_direction import Direction
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.suggestions import lookup


def frechet_distance(one: FeatureSet, other: FeatureSet) -> float:
    """Return the Fréchet distance between Gaussians fitted to two feature sets (Dowson & Landau, 1982; Heusel et al., 2017).

    It is |m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^1/2). With C = R^T R, the last trace is the sum of the singular values of R1
    R2^T, which is exact for covariances of any rank and never imaginary.
    """
    shift = (one.mean - other.mean).square().sum()
    spread = one.covariance_root.square().sum() + other.covariance_root.square().sum()
    shared = torch.linalg.svdvals(one.covariance_root @ other.covariance_root.T).sum()
    return max(0.0, float(shift + spread - 2 * shared))


KID_SUBSETS, KID_SUBSET_SIZE, KID_SEED = 100, 1000, 20180104
KID_PROTOCOL = f"unbiased squared MMD, kernel (x.y/D + 1)^3, mean of {KID_SUBSETS} subsets of at most {KID_SUBSET_SIZE}"


def kernel_distance(one: FeatureSet, other: FeatureSet) -> float:
    """Return the unbiased squared MMD (Binkowski et al., 2018), averaged over random subsets. It can be slightly below 0."""
    size = min(KID_SUBSET_SIZE, len(one), len(other))
    rng = torch.Generator().manual_seed(KID_SEED)
    subsets = 1 if size == len(one) == len(other) else KID_SUBSETS  # each subset would hold every vector
    return sum(_mmd(_random_subset(one, size, rng), _random_subset(other, size, rng)) for _ in range(subsets)) / subsets


def _random_subset(features: FeatureSet, size: int, rng: torch.Generator) -> Tensor:
    return features.vectors[torch.randperm(len(features), generator=rng)[:size]]


def _mmd(one: Tensor, other: Tensor) -> float:
    """Eq. 4 of the paper. No vector is compared with itself."""
    kernels = _polynomial_kernel(one, one), _polynomial_kernel(other, other)
    within = sum(kernel.sum() - kernel.diagonal().sum() for kernel in kernels) / (len(one) * (len(one) - 1))
    return float(within - 2 * _polynomial_kernel(one, other).mean())


def _polynomial_kernel(one: Tensor, other: Tensor) -> Tensor:
    """The kernel of the paper: (x.y / D + 1)^3."""
    return (one @ other.T / one.shape[1] + 1) ** 3


PRECISION_K = 3  # for precision and recall (Kynkaanniemi et al., 2019)
DENSITY_K = 5  # for density and coverage (Naeem et al., 2020)


def precision(fake: FeatureSet, real: FeatureSet) -> float:
    """Return the share of fake images within the neighborhood of some real image."""
    return float(torch.cat([within.any(1) for within in _within(fake, real, PRECISION_K)]).double().mean())


def recall(fake: FeatureSet, real: FeatureSet) -> float:
    """Return the share of real images within the neighborhood of some fake image."""
    return precision(real, fake)


def density(fake: FeatureSet, real: FeatureSet) -> float:
    """Return how many real neighborhoods a fake image lies in on average, divided by the number of neighbors that defines a
    neighborhood. It is about 1 if both sets have the same distribution."""
    counts = torch.cat([within.sum(1) for within in _within(fake, real, DENSITY_K)])
    return float(counts.double().mean()) / DENSITY_K


def coverage(fake: FeatureSet, real: FeatureSet) -> float:
    """Return the share of real images whose neighborhood holds some fake image."""
    covered = torch.stack([within.any(0) for within in _within(fake, real, DENSITY_K)]).any(0)
    return float(covered.double().mean())


def _within(features: FeatureSet, centers: FeatureSet, neighbors: int) -> list[Tensor]:
    """Return, in chunks of rows, which of `features` lie within the radius of which of `centers`."""
    radii = centers.radii(neighbors)
    return [torch.cdist(rows, centers.vectors) <= radii for rows in features.vectors.split(ROWS)]


INCEPTION_SCORE_SPLITS = 10


def inception_score(fake: FeatureSet, _: FeatureSet, head: Tensor) -> float:
    """Return the inception score (Salimans et al., 2016), averaged over splits of the images.

    It is the exponential of the mean KL divergence of p(class | image) from p(class). `head` (classes, D) computes the class logits
    without a bias, as the published code does.
    """
    parts = (fake.vectors @ head.double().T).softmax(1).tensor_split(min(INCEPTION_SCORE_SPLITS, len(fake)))
    divergences = [torch.special.xlogy(classes, classes / classes.mean(0)).sum(1).mean() for classes in parts]
    return float(torch.stack([divergence.exp() for divergence in divergences]).mean())


Comparison = tuple[Callable[..., float], Direction, str, int]  # with the protocol and the smallest number of images

FEATURE_COMPARISONS: dict[str, Comparison] = {
    "fid": (frechet_distance, "lower", "Fréchet distance of mean and unbiased covariance, float64", 2),
    "kid": (kernel_distance, "lower", KID_PROTOCOL, 2),
    "precision": (precision, "higher", f"share of fakes within reach of a real, k={PRECISION_K}", PRECISION_K + 1),
    "recall": (recall, "higher", f"share of reals within reach of a fake, k={PRECISION_K}", PRECISION_K + 1),
    "density": (density, "higher", f"reals that reach a fake, over k={DENSITY_K}", DENSITY_K + 1),
    "coverage": (coverage, "higher", f"share of reals that reach a fake, k={DENSITY_K}", DENSITY_K + 1),
}


def feature_metrics(features: MetricFeatures, names: Sequence[str] = ("fid", "kid")) -> dict[str, Metric]:
    """Return metrics on these features by name: the metrics of FEATURE_COMPARISONS, and `is` if the network has a classifier."""
    comparisons = dict(FEATURE_COMPARISONS)
    if features.head is not None:
        protocol = f"exp of the divergence of classes, mean of {INCEPTION_SCORE_SPLITS} splits, no bias"
        comparisons["is"] = partial(inception_score, head=features.head), "higher", protocol, INCEPTION_SCORE_SPLITS
    elif "is" in names:
        raise UserError(
            "evaluation.no_classifier",
            f"metrics: `is` needs a network with a classifier, and {features.name} has none; use features=inception",
        )
    metrics = {}
    for name in names:
        compute, direction, protocol, min_images = lookup("metrics", name, comparisons)
        protocol = f"{protocol}; {features.protocol}"
        metrics[f"{name}_{features.name}"] = Metric(compute, "target", direction, protocol, features, min_images)
    return metrics
