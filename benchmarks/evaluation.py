"""Measure the speed of evaluation: the predictions of a model, and each metric that needs no downloaded weights.

python -m benchmarks.evaluation '{"images": 64, "size": 256}'
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.measure import Cost, cost_of
from benchmarks.training_step import build
from stylegan_lab.evaluation.evaluator import compute_scores, evaluators, predict_all
from stylegan_lab.evaluation.feature_extractors import FeatureSet
from stylegan_lab.evaluation.feature_metrics import frechet_distance
from stylegan_lab.training.experiment import build_metrics
from stylegan_lab.training.warning_filters import silence_warnings


def main(images: int = 64, size: int = 256, generator: str = "resnet9", features: int = 2048) -> dict[str, Any]:
    silence_warnings()
    overrides = ["model=cyclegan", f"generator={generator}", f"data.size={size}", f"data.test_images={images}"]
    experiment = build(overrides, 1)
    module = experiment.module.eval().requires_grad_(False)
    evaluator = evaluators(module, experiment.data, "test")["a2b"]  # type: ignore[arg-type]
    references = evaluator.reference_sets
    costs = {"translate": cost_of(lambda: predict_all(evaluator, module, 1))}  # type: ignore[arg-type]
    predictions = predict_all(evaluator, module, 1)  # type: ignore[arg-type]
    for name, metric in build_metrics(experiment.config).items():
        if metric.reference in references:
            costs[name] = cost_of(score(predictions, references, name, metric))
    vectors = [FeatureSet(torch.randn(images, features)) for _ in range(2)]
    costs[f"Frechet distance of {images} x {features}"] = cost_of(lambda: frechet_distance(*vectors))
    return {name: rates(cost, images) for name, cost in costs.items()}


def score(*arguments: Any) -> Callable[[], Any]:
    predictions, references, name, metric = arguments
    return lambda: compute_scores(predictions, references, {name: metric})


def rates(cost: Cost, images: int) -> dict[str, float]:
    return {"seconds": cost.wall, "cpu_seconds": cost.cpu, "images_per_second": images / cost.wall}


if __name__ == "__main__":
    print(json.dumps(main(**json.loads(sys.argv[1]))))
