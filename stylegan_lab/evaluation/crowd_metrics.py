"""Metrics of two crowds, one for each way of comparing them, named after what sees the pictures: `fid_squeezenet`, never FID."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from stylegan_lab.better import Better
from stylegan_lab.choice import choose
from stylegan_lab.evaluation.embedding import Embedding
from stylegan_lab.evaluation.frechet import frechet_distance
from stylegan_lab.evaluation.inception_score import SPLITS, inception_score
from stylegan_lab.evaluation.kernel_distance import MOST, SUBSETS, kernel_distance
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.evaluation.neighbourhood import NEAREST, NEAREST_DENSE, coverage, density, precision, recall
from stylegan_lab.mistake import Mistake


class Comparison(NamedTuple):
    measure: Callable[..., float]
    better: Better
    protocol: str
    least: int  # pictures on either side


COMPARISONS = {
    "fid": Comparison(frechet_distance, "lower", "Fréchet distance of mean and unbiased covariance, float64", 2),
    "kid": Comparison(
        kernel_distance,
        "lower",
        f"unbiased squared MMD, kernel (x.y/D + 1)^3, mean of {SUBSETS} subsets of at most {MOST}",
        2,
    ),
    "precision": Comparison(precision, "higher", f"share of fakes within reach of a real, k={NEAREST}", NEAREST + 1),
    "recall": Comparison(recall, "higher", f"share of reals within reach of a fake, k={NEAREST}", NEAREST + 1),
    "density": Comparison(density, "higher", f"reals that reach a fake, over k={NEAREST_DENSE}", NEAREST_DENSE + 1),
    "coverage": Comparison(
        coverage, "higher", f"share of reals that reach a fake, k={NEAREST_DENSE}", NEAREST_DENSE + 1
    ),
}
CLASSES = Comparison(
    inception_score, "higher", f"exp of the divergence of classes, mean of {SPLITS} splits, no bias", SPLITS
)


def crowd_metrics(features: Embedding, which: Sequence[str] = ("fid", "kid")) -> dict[str, Metric]:
    """`which` of fid, kid, precision, recall, density, coverage; and `is`, where the net has a classifier's head."""
    known = dict(COMPARISONS)
    if features.head is not None:
        known["is"] = CLASSES._replace(measure=partial(inception_score, head=features.head))
    elif "is" in which:
        raise Mistake(f"metrics: `is` needs classes, which {features.name} does not give; features=inception does")
    return {f"{name}_{features.name}": _metric(choose("metrics", name, known), features) for name in which}


def _metric(comparison: Comparison, features: Embedding) -> Metric:
    measure, better, protocol, least = comparison
    return Metric(measure, "target", better, f"{protocol}; {features.protocol}", features, least)
