"""Evaluate a checkpoint of a run on a split: write scores.json and an image grid, log the scores, and describe them in a table."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from stylegan_lab.config.paths import config_choices
from stylegan_lab.errors import UserError
from stylegan_lab.evaluation.classifier_metrics import ClassifierScore, missing_reasons, present
from stylegan_lab.evaluation.device import metrics_on
from stylegan_lab.evaluation.evaluator import compute_scores, evaluators, image_counts, predict_all
from stylegan_lab.evaluation.metric_direction import ARROWS
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.images.grid import grid
from stylegan_lab.images.image_io import write_image
from stylegan_lab.models.generation.generative import GenerativeModel
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.reader import find_run
from stylegan_lab.runs.run import Run
from stylegan_lab.suggestions import lookup
from stylegan_lab.training.experiment import (
    build_data,
    build_logger_factory,
    build_metrics,
    config_from_checkpoint,
    restore_module,
)
from stylegan_lab.training.hardware import training_device


@dataclass(frozen=True)
class Evaluation:
    """The scores of one evaluation, as written to scores.json, and the text that is printed."""

    document: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        return self.text


def evaluate(
    run: Run | str | Path,
    split: str = "test",
    *,
    checkpoint: str | None = None,
    use_ema: bool = True,
    n: int | None = None,
    metrics: Sequence[str] = (),
    weights: str | None = None,
    trust: Sequence[str] = (),
) -> dict[str, float]:
    """Evaluate a run, write its scores.json and return the scores by name, such as `ssim`.

    Args:
        run: A run, its folder, or a checkpoint file.
        split: `test`, `val` or, for a model that generates images from noise, `train`.
        checkpoint: `last`, `best` or an iteration such as `001000`. None: `run` if it is a checkpoint file, or else
            `last`.
        use_ema: Use the EMA weights if the run has them, or else the trained weights.
        n: How many images a model makes from noise.
        metrics: Choices of the config group `metrics`, besides the run's own.
        weights: The weights file of the feature network of `metrics`, instead of a download.
        trust: Packages of your own whose classes the checkpoint may name.
    """
    found, name = find_run(run.folder if isinstance(run, Run) else run)
    evaluation = evaluate_checkpoint(found, checkpoint or name, split, use_ema, trust, n, metrics, weights)
    scores: dict[str, float] = evaluation.document["metrics"]
    return scores


def evaluate_checkpoint(
    run: Run,
    checkpoint: str,
    split: str,
    use_ema: bool = True,
    trust: Sequence[str] = (),
    count: int | None = None,
    extra_metrics: Sequence[str] = (),
    weights: str | None = None,
    metrics_config: DictConfig | None = None,
) -> Evaluation:
    """Evaluate a checkpoint on `test`, `val` or `train`.

    `count` is the number of images that a model generates from noise. `extra_metrics` are choices of the group `metrics`
    that are added to the run's metrics, and `weights` is the file for their feature network. `metrics_config` replaces the
    run's metrics.
    """
    path = run.checkpoint(checkpoint)
    contents = read_checkpoint(path)
    model = restore_module(contents, use_ema, trust)
    config = config_from_checkpoint(contents, trust)
    if metrics_config is not None:
        config.metrics = metrics_config
    choices = config_choices("metrics")
    del choices["default"]  # the run's own
    for name in extra_metrics:
        entries = OmegaConf.load(lookup("--metrics", name, choices, "cli.unknown_choice"))
        if weights is not None:
            _set_weights(name, entries, weights)
        config.metrics.update(entries)
    metrics = build_metrics(config)
    if split == "train" and not isinstance(model, GenerativeModel):
        raise UserError(
            "evaluation.unsupported_split",
            "--split train is for generative models only: a translation is evaluated on held-out images; use --split val or test",
        )
    device = training_device(config)
    model.to(device)
    data = build_data(config)
    (_, main), *others = evaluators(model, data, split, count).items()
    if count not in (None, main.count):
        raise UserError(
            "evaluation.unsupported_count",
            f"--n {count} is for generative models only: a translation is evaluated on every held-out image, here {main.count}; "
            "leave out --n",
        )
    with metrics_on(device):
        predictions = predict_all(main, model, data.batch_size)
        scores = compute_scores(predictions, main.reference_sets, metrics)
        baselines = {
            name: compute_scores(images, main.reference_sets, metrics) for name, images in main.baselines().items()
        }
        all_classifier_scores = main.classifier_scores(predictions)
        missing, classifier_scores = missing_reasons(all_classifier_scores), present(all_classifier_scores)
        scores |= {name: score.value for name, score in classifier_scores.items()}
        if classifier_scores:
            baselines["held out"] = {name: score.held_out for name, score in classifier_scores.items()}
        described: Mapping[str, Metric | ClassifierScore] = {**metrics, **classifier_scores}
        other_directions = {direction.replace("2", "_to_"): evaluator for direction, evaluator in others}
        directions = {
            direction: compute_scores(predict_all(evaluator, model, data.batch_size), evaluator.reference_sets, metrics)
            for direction, evaluator in other_directions.items()
        }
    rows = [row * 2 - 1 for row in main.grid_rows(predictions, columns=8)]
    image = write_image(grid(rows), run.folder / f"{split}.png", main.grid_row_names(len(rows)))
    document = {
        "schema": 1,
        "iteration": contents["iteration"],
        "checkpoint": path.name,
        "ema": bool(contents.get("ema")) and use_ema,
        "split": split,
        "n": main.count,
        "counts": image_counts(main),
        "metrics": scores,
        "missing": missing,
        **{name.replace(" ", "_"): values for name, values in baselines.items()},
        "directions": directions,
        "counts_of_directions": {name: image_counts(evaluator) for name, evaluator in other_directions.items()},
        "better": {name: described[name].direction for name in scores},
        "protocol": {name: described[name].protocol for name in scores} | {"size": data.size, "bits": 8},
    }
    run.record_scores(document)
    if use_ema:  # the loggers would log both under the same names
        log_scores(run, config, document, image)
    counts = ", ".join(f"{number:,} {name}" for name, number in image_counts(main).items())
    lines = [
        scores_table({main.name: scores} | baselines, described),
        *(f"missing    {name}: {why}" for name, why in missing.items()),
        f"counts     {counts}; the {split} split",
        f"image      {image}  (rows: {main.legend})",
        f"scores     {run.scores}",
        f"run        {run.folder}",
    ]
    return Evaluation(document, "\n".join(lines))


def _set_weights(name: str, entries: Any, weights: str) -> None:
    for entry in entries.values():
        network = entry.get("features", entry)
        if "weights" not in network:
            raise UserError(
                "evaluation.weights_not_used",
                f"--weights {weights}: --metrics {name} uses no weights file; leave one of them out",
            )
        network.weights = weights


def log_scores(run: Run, config: DictConfig, scores: Mapping[str, Any], image: Path) -> None:
    """Log scores with the loggers of the training, under the names that sweeps use, such as test/ssim.

    Lightning's own loggers are left out, because they would start a new log. They are not allowed in the config of a
    checkpoint either.
    """
    split, iteration = scores["split"], scores["iteration"]
    for key, entry in config.logger.items():
        # A checkpoint may come from somebody else: it may not send values of the environment. Others of its values are resolved.
        if "${" in str(OmegaConf.to_container(config.logger, resolve=False)[key]):  # type: ignore[index]
            print(f"not logged by {key}: its settings in the checkpoint read the environment")
            continue
        with suppress(UserError):  # a logger's package may be missing on this machine
            make = build_logger_factory(f"evaluate.{key}", entry, config.trust)
            logger = make(run)
            logger.log_metrics({f"{split}/{name}": value for name, value in scores["metrics"].items()}, step=iteration)
            if hasattr(logger, "log_image"):
                logger.log_image(split, [str(image)], step=iteration)
            logger.finalize("success")


def scores_table(rows: Mapping[str, dict[str, float]], metrics: Mapping[str, Metric | ClassifierScore]) -> str:
    """Return a table with one row for each entry of `rows`. Arrows show which direction is better, and a dash marks a
    metric that a row does not have."""
    names = list(next(iter(rows.values())))
    heads = [f"{name} {ARROWS[metrics[name].direction]}" for name in names]
    width = max(len(label) for label in rows) + 2
    lines = [" " * width + "  ".join(heads)]
    for label, scores in rows.items():
        values = (f"{scores[name]:.4g}" if name in scores else "–" for name in names)
        cells = (value.rjust(len(head)) for value, head in zip(values, heads, strict=True))
        lines.append(label.ljust(width) + "  ".join(cells))
    return "\n".join(lines)
