"""Compare metrics of unpaired translation: which score can be trusted without ground truth? (docs/which-metric.md)

    python -m benchmarks.which_metric train --runs runs/which_metric                      # 104 trainings, resumable
    python -m benchmarks.which_metric score --runs runs/which_metric --features FOLDER    # writes the CSV, resumable
    python -m benchmarks.which_metric rank                                                # from the CSV

Unpaired translation has no ground truth, except on the embedded domains, where the true translation of every photo is
known. `train` trains runs of several models, losses, weights, lengths and seeds. `score` computes all metrics of each run,
and writes benchmarks/results/which_metric.csv, with a line for each direction of each run. `rank` compares the ranking of
the runs by each metric that needs no ground truth with their ranking by the true error, and draws docs/which-metric.png.
"""

import argparse
import csv
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import RESULTS, ROOT, table
from stylegan_lab.config.compose import compose_config
from stylegan_lab.data.datamodule import ImageDataModule
from stylegan_lab.evaluation.classifier_metrics import present
from stylegan_lab.evaluation.evaluator import compute_scores, evaluators, predict_all
from stylegan_lab.reporting.statistics import ranks
from stylegan_lab.runs.checkpoint import read_checkpoint
from stylegan_lab.runs.reader import read_overrides
from stylegan_lab.runs.run import Run
from stylegan_lab.training.experiment import build_data, build_metrics, config_from_checkpoint, restore_module

CSV = RESULTS / "which_metric.csv"
FIGURE = ROOT / "docs" / "which-metric.png"
# Learned and plain errors to the true translation. A metric is judged by its agreement with each.
TRUE_ERRORS = ("l1", "ssim", "lpips_squeeze")
NEEDS_TRUTH = {*TRUE_ERRORS, "psnr", "ms_ssim"}
COMMON = [
    "logger=none", "evaluate=false", "data.target=ukiyoe,mosaic", "iterations=100,400", "seed=0,1",
    "callbacks.samples=null", "callbacks.validation.every=0",
]  # fmt: skip
SWEEPS = {  # 48, 24, 8 and 24 runs
    "cyclegan": ["experiment=demo", "loss=lsgan,hinge", "model.cycle_weight=1,5,20"],
    "cut": ["experiment=cut_scenes", "model.nce_weight=0,1,4"],
    "fastcut": ["experiment=fastcut_scenes"],
    "perceptual": ["experiment=perceptual_unpaired_scenes", "model.content_weight=0.5,2,8"],
}
WEIGHTS = ("model.cycle_weight", "model.nce_weight", "model.content_weight")
FEATURES = {  # metric configs, and the file of weights that each of them takes
    "squeezenet": "squeezenet1_1.safetensors",
    "inception_768": "inception_v3_2015_to_mixed8.npz",
}
PERCEPTUAL = {  # metrics by name: what builds them besides the weights
    "lpips_truth": "_target_: stylegan_lab.evaluation.perceptual_metrics.lpips, net: squeeze",
    "lpips_input": "_target_: stylegan_lab.evaluation.perceptual_metrics.lpips, net: squeeze, reference: input",
    "style": "_target_: stylegan_lab.evaluation.perceptual_metrics.style_distance, net: squeezenet",
}
SETS = "[fid,kid,precision,recall,density,coverage]"
LOWER_IS_BETTER = ("l1", "lpips", "fid", "kid", "sliced", "palette", "style")
SCORES = "all_scores.json"  # of a run, in its folder
SETTINGS = ("loss", "data.target", "iterations", "seed")
TEXTS = {"run", "model", "direction", "weight", *SETTINGS}
RESAMPLES = 2000
CANDIDATES = 10
MIN_RUNS = 4
Rows = Sequence[Mapping[str, Any]]


class Ranking(NamedTuple):
    """How well the order of runs by a metric agrees with their order by the true error: Spearman's rho, 1 at best, with 95%
    intervals."""

    overall: float  # among all runs of a domain
    low: float
    high: float
    within: float  # among runs of one model
    within_low: float
    within_high: float
    best_of_ten: float  # see `regret`


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    training, scoring, ranking = map(commands.add_parser, ("train", "score", "rank"))
    for each in (training, scoring):
        each.add_argument("--runs", type=Path, required=True, help="where the sweeps are; the same folder resumes them")
    training.add_argument("--sweeps", nargs="*", default=list(SWEEPS), choices=list(SWEEPS))
    training.add_argument("overrides", nargs="*", help="of all runs")
    files = ", ".join(FEATURES.values())
    scoring.add_argument("--features", type=Path, required=True, metavar="FOLDER", help=f"with {files}")
    scoring.add_argument("--directions", nargs="*", default=["a2b", "b2a"], choices=["a2b", "b2a"])
    for each in (scoring, ranking):
        each.add_argument("--csv", type=Path, default=CSV)
    arguments = parser.parse_args()
    if arguments.command == "train":
        train(arguments.runs, arguments.sweeps, arguments.overrides)
    elif arguments.command == "score":
        score(arguments.runs, metric_overrides(arguments.features), arguments.directions)
        write_csv(arguments.csv, replace_rows(arguments.csv, read_runs(arguments.runs)))
    else:
        rank(read_csv(arguments.csv))


def metric_overrides(folder: Path) -> list[str]:
    """Return the overrides that choose the metrics that need no weights, and the metrics whose weights are in the folder."""
    names, settings = ["default", "untrained"], [f"metrics.untrained.names={SETS}"]
    weights = {name: json.dumps(str((folder / file).resolve())) for name, file in FEATURES.items()}
    for name, file in weights.items():
        names.append(name)
        settings += [f"metrics.{name}.features.weights={file}", f"metrics.{name}.names={SETS}"]
    for name, built in PERCEPTUAL.items():
        settings.append(f"+metrics.{name}={{{built}, weights: {weights['squeezenet']}}}")
    return [f"metrics=[{','.join(names)}]", *settings]


def train(runs: Path, sweeps: Sequence[str], overrides: Sequence[str]) -> None:
    for name in sweeps:
        settings = [*COMMON, *SWEEPS[name], *overrides, f"output_dir={runs / name}"]
        subprocess.run([sys.executable, "-m", "stylegan_lab", "train", "-m", *settings], check=True)


def score(runs: Path, overrides: Sequence[str], directions: Sequence[str]) -> None:
    """Compute all metrics for the last checkpoint of each run, in each direction of the run that is not scored yet."""
    metrics = build_metrics(compose_config(["experiment=demo", *overrides]))
    built: dict[str, tuple[ImageDataModule, Mapping[str, Any]]] = {}
    finished = sorted(file.parents[1] for file in runs.glob("*/*/checkpoints/last.ckpt"))
    for direction, run in product(directions, map(Run, finished)):
        path = run.folder / SCORES
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        if direction in found:
            continue
        contents = read_checkpoint(run.checkpoint("last"))
        model, config = restore_module(contents), config_from_checkpoint(contents)
        key = f"{config.data.target} {config.model._target_}"
        if key not in built:
            data = build_data(config)
            built[key] = data, evaluators(model, data, "test")
        data, choices = built[key]
        if (evaluator := choices.get(direction)) is None:
            continue
        images = predict_all(evaluator, model, data.batch_size)
        found[direction] = compute_scores(images, evaluator.reference_sets, metrics)
        found[direction] |= {name: each.value for name, each in present(evaluator.classifier_scores(images)).items()}
        path.write_text(json.dumps(found), encoding="utf-8")
        print(f"{run.folder}: {direction}", flush=True)


def read_runs(runs: Path) -> list[dict[str, Any]]:
    """Return a row for each scored direction of each run."""
    rows = []
    for file in sorted(runs.glob(f"*/*/{SCORES}")):
        scores = json.loads(file.read_text(encoding="utf-8"))
        chosen = dict(override.split("=", 1) for override in read_overrides(Run(file.parent)))
        settings = {"run": str(file.parent.relative_to(runs)), "model": file.parent.parent.name}
        settings |= {key: chosen.get(key, "") for key in SETTINGS}
        settings["weight"] = next((chosen[key] for key in WEIGHTS if key in chosen), "")
        for direction, values in scores.items():
            rows.append({**settings, "direction": direction, **values})
    return rows


def replace_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of a CSV file. The given rows replace those of the same runs, and are added otherwise."""
    scored = {row["run"] for row in rows}
    kept = [row for row in read_csv(path) if row["run"] not in scored] if path.exists() else []
    return [*kept, *rows]


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    names = list({name: None for row in rows for name in row})
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, names, restval="")
        writer.writeheader()
        writer.writerows(
            {name: round_to(value) if isinstance(value, float) else value for name, value in row.items()}
            for row in rows
        )
    print(f"{len(rows)} rows in {path}")


def round_to(value: float, digits: int = 6) -> float:
    return float(f"{value:.{digits}g}")


def read_csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [
            {name: text if name in TEXTS else float(text or "nan") for name, text in row.items()}
            for row in csv.DictReader(file)
        ]


def rank(rows: Sequence[Mapping[str, Any]]) -> None:
    metrics = [name for name in rows[0] if name not in TEXTS | NEEDS_TRUTH]
    domains = group(rows, "data.target", "direction")
    comparable = group(rows, "data.target", "direction", "model")
    print(f"{len(rows)} rows of {len({row['run'] for row in rows})} runs, {len(domains)} domains")
    results = {
        error: {name: rank_metric(name, error, domains, comparable) for name in metrics} for error in TRUE_ERRORS
    }
    print(
        table(
            [table_row(name, [results[error][name] for error in TRUE_ERRORS]) for name in by_agreement(results)[::-1]]
        )
    )
    draw(results)


def table_row(name: str, rankings: Sequence[Ranking]) -> dict[str, str]:
    """A metric's agreement with each true error: among all runs, and among the runs of one model; and its choice of ten runs."""
    found = {"metric": f"`{name}`"}
    for error, each in zip(TRUE_ERRORS, rankings, strict=True):
        found[error] = f"{each.overall:.2f} ({each.low:.2f} to {each.high:.2f})"
    found["one model"] = ", ".join(f"{each.within:.2f}" for each in rankings)
    found["better runs missed"] = f"{np.mean([each.best_of_ten for each in rankings]):.0%}"
    return found


def by_agreement(results: Mapping[str, Mapping[str, Ranking]]) -> list[str]:
    """The metrics, ordered by their mean agreement with the true errors among all runs."""
    return sorted(results["l1"], key=lambda name: float(np.mean([each[name].overall for each in results.values()])))


def rank_metric(
    name: str, error: str, domains: Sequence[Rows], comparable: Sequence[Rows], resamples: int = RESAMPLES
) -> Ranking:
    """Compute Spearman's rho between a metric and the true error as the mean over groups of runs. The sign of both is set
    so that higher is better."""
    rng = np.random.default_rng(0)
    found = []
    for groups in (domains, comparable):
        pairs = [np.array([[turned(name, row), turned(error, row)] for row in rows]) for rows in groups]
        pairs = [each[np.isfinite(each).all(1)] for each in pairs]
        pairs = [each for each in pairs if len(each) > MIN_RUNS]
        resampled = [
            mean_spearman([each[rng.integers(len(each), size=len(each))] for each in pairs]) for _ in range(resamples)
        ]
        low, high = np.nanquantile(resampled, [0.025, 0.975])
        found += [mean_spearman(pairs), float(low), float(high)]
    best_of_ten = float(np.mean([regret(name, error, rows, rng) for rows in domains]))
    return Ranking(*found, best_of_ten)


def turned(name: str, row: Mapping[str, Any]) -> float:
    return -float(row[name]) if name.startswith(LOWER_IS_BETTER) else float(row[name])


def mean_spearman(pairs: Sequence[NDArray[Any]]) -> float:
    return float(np.mean([spearman(each[:, 0], each[:, 1]) for each in pairs]))


def spearman(first: NDArray[Any], second: NDArray[Any]) -> float:
    ranked = [ranks(each.tolist()) for each in (first, second)]
    if any(min(each) == max(each) for each in ranked):
        return 0.0  # a metric that is the same for all runs orders nothing
    return float(np.corrcoef(*ranked)[0, 1])


def regret(name: str, error: str, rows: Rows, rng: np.random.Generator) -> float:
    """Draw ten runs at random, choose one by this metric, and return the share of the other nine runs that are truly better."""
    scores, truth = (np.array([turned(each, row) for row in rows]) for each in (name, error))
    usable = np.flatnonzero(np.isfinite(scores))
    shares = []
    for _ in range(RESAMPLES if len(usable) > CANDIDATES else 0):
        drawn = rng.choice(usable, CANDIDATES, replace=False)
        chosen = drawn[np.argmax(scores[drawn])]
        shares.append((truth[drawn] > truth[chosen]).sum() / (CANDIDATES - 1))
    return float(np.mean(shares)) if shares else float("nan")


def group(rows: Rows, *keys: str) -> list[Rows]:
    found: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), []).append(row)
    return list(found.values())


def draw(results: Mapping[str, Mapping[str, Ranking]]) -> None:
    """Plot the agreement of each metric with each true error. The metrics are sorted by their mean agreement."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    names = by_agreement(results)
    figure, axes = pyplot.subplots(figsize=(7, 0.28 * len(names) + 1), layout="constrained")
    for shift, (error, rankings) in enumerate(results.items()):
        middle, low, high = np.array([rankings[name][:3] for name in names]).T
        at = np.arange(len(names)) + 0.22 * (shift - 1)
        axes.errorbar(middle, at, xerr=[middle - low, high - middle], fmt="o", markersize=4, label=error)
    axes.set_yticks(range(len(names)), names)
    axes.axvline(0, color="gray", linewidth=0.8)
    axes.set_xlabel("Spearman's rho with the true error, 95% intervals")
    axes.legend(title="true error")
    figure.savefig(FIGURE, dpi=110)


if __name__ == "__main__":
    main()
