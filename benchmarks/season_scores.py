"""Score translations between summer and winter, and four references that need no model.

    python -m benchmarks.season_scores --features FOLDER RUN [RUN ...]

The runs must share a size. The references are the untranslated photographs, their colors mapped to those of the other season,
as many training photographs of the other season (what a perfect translation would look like to a score that ignores the
content), and for each photograph the most similar training photograph of the other season. FOLDER is that of which_metric.
"""

import argparse
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.measure import RESULTS, table
from benchmarks.which_metric import FEATURES, PERCEPTUAL
from stylegan_lab.config.compose import compose_config
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.evaluation.evaluator import TranslationEvaluator, compute_scores, predict_all
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.images.value_range import to_unit
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.reader import find_run
from stylegan_lab.training.experiment import build_data, build_metrics, config_from_checkpoint, restore_module

FILE = RESULTS / "season_scores.json"  # rows of other runs are kept, and the references are scored once
INCEPTION = ("inception_192", "inception_768")
SMALL = 16  # pixels, at which photographs are compared to find the most similar one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+")
    parser.add_argument(
        "--features", type=Path, required=True, metavar="FOLDER", help=f"with {', '.join(FEATURES.values())}"
    )
    arguments = parser.parse_args()
    metrics = chosen_metrics(arguments.features)
    rows: dict[str, dict[str, dict[str, float]]] = {"a2b": {}, "b2a": {}}
    if FILE.exists():
        rows |= json.loads(FILE.read_text(encoding="utf-8"))
    for name in arguments.runs:
        contents = read_checkpoint(find_run(name)[0].checkpoint("last"))
        config = config_from_checkpoint(contents)
        model, data = restore_module(contents).eval(), build_data(config)
        for direction in model.directions:
            evaluator = TranslationEvaluator(data, "test", direction)
            if not rows[direction]:
                for reference, images in references(evaluator, data):
                    rows[direction][reference] = compute_scores(images, evaluator.reference_sets, metrics)
            row = f"{type(model).__name__}, {contents['iteration']:,} iterations"
            images = predict_all(evaluator, model, batch_size=1)
            rows[direction][row] = compute_scores(images, evaluator.reference_sets, metrics)
            FILE.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
            print(f"{row}: {direction}", flush=True)
    for direction, found in rows.items():
        print(f"\n{direction}\n" + table([{"images": name, **scores} for name, scores in found.items()]))


def chosen_metrics(folder: Path) -> Mapping[str, Metric]:
    """Return the metrics that need no weights, and those whose weights are in the folder."""
    squeezenet, inception = (json.dumps(str((folder / file).resolve())) for file in FEATURES.values())
    settings = [f"metrics.{name}.features.weights={inception}" for name in INCEPTION]
    settings += [f"metrics.squeezenet.features.weights={squeezenet}"]
    settings += [f"+metrics.lpips_input={{{PERCEPTUAL['lpips_input']}, weights: {squeezenet}}}"]
    return build_metrics(compose_config([f"metrics=[default,squeezenet,{','.join(INCEPTION)}]", *settings]))


def references(evaluator: TranslationEvaluator, data: ImageDataModule) -> Iterator[tuple[str, Tensor]]:
    inputs, end = evaluator.domains.a, evaluator.direction[-1]
    source, target = (training_photographs(data, domain) for domain in (evaluator.direction[0], end))
    drawn = torch.randperm(len(target), generator=torch.Generator().manual_seed(0))
    yield "untranslated", inputs
    yield "colors mapped", map_colors(inputs, source, target)
    yield "other photographs of the target season", target[drawn[: len(inputs)]]
    yield "the most similar of these", target[most_similar(inputs, target)]


def training_photographs(data: ImageDataModule, domain: str) -> Tensor:
    return torch.cat([to_unit(batch[domain]) for batch in data.training_batches(data.num_samples)])


def map_colors(images: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Map colors linearly so that their mean and covariance in `source` become those in `target`: of all such maps, the one that
    moves colors least (Pitié & Kokaram, 2007)."""
    (mean_s, covariance_s), (mean_t, covariance_t) = map(color_statistics, (source, target))
    root = matrix_root(covariance_s)
    inverse = torch.linalg.inv(root)
    matrix = inverse @ matrix_root(root @ covariance_t @ root) @ inverse
    mapped = (images.movedim(1, -1).double() - mean_s) @ matrix.T + mean_t
    return mapped.movedim(-1, 1).float().clamp(0, 1)


def color_statistics(images: Tensor) -> tuple[Tensor, Tensor]:
    colors = images.movedim(1, -1).reshape(-1, images.shape[1]).double()
    return colors.mean(0), torch.cov(colors.T)


def matrix_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    return vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T


def most_similar(images: Tensor, candidates: Tensor) -> Tensor:
    """Return the index of the candidate that is nearest to each image in squared error at a small size."""
    one, other = (F.adaptive_avg_pool2d(each, SMALL).flatten(1) for each in (images, candidates))
    return torch.cdist(one, other).argmin(dim=1)


if __name__ == "__main__":
    main()
