"""A baseline: the scores an experiment should reach, their source and protocol, and the tolerance.

A recorded result counts only while two fingerprints are unchanged: `Baseline.fingerprint` (expected scores, tolerances,
overrides, seeds, split, checkpoint), and `settings_fingerprint` (the composed settings of the baseline's experiment).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from stylegan_lab.config.compose import compose_config
from stylegan_lab.config.paths import BASELINES, CONF
from stylegan_lab.config.schema import check_arguments, check_setting_type
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.evaluation.metric_direction import Direction
from stylegan_lab.suggestions import did_you_mean, lookup

SOURCE_TYPES = {
    "authors_code": "read in the authors' repository",
    "reimplementation": "read in the table of another implementation",
    "paper": "cited from the paper without its text at hand; check it there before quoting it",
    "own_runs": "recorded runs of this project from before the baseline was written",
    "no_model": "reached without a model, measured before anything was trained",
}
COSTS = {"gpu_hours": "GPU hours", "cpu_minutes": "CPU minutes"}

# Settings that `reproduce` accepts on the command line: they adapt a baseline to a machine.
MACHINE_SETTINGS = (
    *("data.root", "data.a", "data.b", "data.num_workers", "data.cache", "data.cache_dir", "data.batch_size"),
    *("logger", "strategy", "time_limit", "compile", "channels_last", "tf32", "optimizer.fused"),
)
# Settings in which a run that is passed to `reproduce --run` may differ from the baseline.
IRRELEVANT_SETTINGS = (
    *(*MACHINE_SETTINGS, "callbacks", "trainer", "seed", "resume", "evaluate", "output_dir", "runs_dir", "name"),
    *("dry_run", "overwrite", "allow_changed_data", "trust", "vars", "metrics", "model.optimizer.fused"),
)
# They may differ in a run, which is scored with the metrics of its baseline, but they are part of what the baseline asks for.
FINGERPRINTED_ALL_THE_SAME = ("data.batch_size", "vars", "metrics")
DESCRIPTIVE_FIELDS = ("title", "source", "source_type", "protocol", "cost", "requires", "unsupported")


@dataclass(frozen=True)
class ExpectedScore:
    expected: float
    tolerance: float
    direction: Direction

    def is_reached(self, score: float) -> bool:
        """Whether `score` is as good as expected or better, or worse than expected by at most the tolerance."""
        return self.improvement(score) >= -self.tolerance

    def improvement(self, score: float) -> float:
        return score - self.expected if self.direction == "higher" else self.expected - score


@dataclass(frozen=True)
class Baseline:
    name: str
    title: str
    experiment: str
    source: str
    source_type: Literal["authors_code", "reimplementation", "paper", "own_runs", "no_model"]
    protocol: str
    cost: Mapping[str, float]  # of one seed
    metrics: Mapping[str, ExpectedScore]  # b_to_a/METRIC for the other direction; empty if the paper reports no score
    overrides: list[str] = field(default_factory=list)
    seeds: list[int] = field(default_factory=lambda: [0])
    split: Literal["test", "val", "train"] = "test"  # train: for generators
    checkpoint: str = "last"
    raw: bool = False  # evaluate the trained weights instead of their EMA
    num_images: int | None = None  # evaluated, or generated; None: as many as the split has
    requires: list[str] = field(default_factory=list)  # data, weights or hardware that the repository does not include
    unsupported: str = ""  # what its protocol needs and evaluation cannot do; until then no result counts

    @property
    def fingerprint(self) -> str:
        """A hash of everything that a result is compared with. The hash reveals when a tolerance was changed after the
        result was known."""
        return _digest({name: value for name, value in asdict(self).items() if name not in DESCRIPTIVE_FIELDS})

    @property
    def cost_text(self) -> str:
        ((unit, amount),) = self.cost.items()
        return f"{amount:g} {COSTS[unit]}{f' x {len(self.seeds)} seeds' if len(self.seeds) > 1 else ''}"

    def training_overrides(self, seed: int) -> list[str]:
        return [f"experiment={self.experiment}", *self.overrides, f"seed={seed}"]

    def describe(self) -> str:
        """Describe the baseline in a few lines."""
        seeds = f"seed{'s' * (len(self.seeds) > 1)} {', '.join(map(str, self.seeds))}"
        lines = [
            f"{self.name}: {self.title}",
            f"  experiment   {' '.join([self.experiment, *self.overrides])}, {seeds}",
            f"  source       {self.source} ({SOURCE_TYPES[self.source_type]})",
            f"  protocol     {self.protocol}",
            *([f"  unsupported  {self.unsupported}"] if self.unsupported else []),
            f"  cost         {self.cost_text}",
        ]
        return "\n".join(lines)


def read_baselines(names: Iterable[str] = (), folder: Path = BASELINES) -> list[Baseline]:
    """Read the baselines with these names, or all baselines if no names are given."""
    paths = {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return [read_baseline(lookup("baseline", name, paths)) for name in list(names) or paths]


def read_baseline(path: Path) -> Baseline:
    where = f"baselines/{path.name}"
    try:
        contents: Any = OmegaConf.to_container(OmegaConf.load(path))
    except Exception as error:  # the YAML parser raises a different exception for each kind of damage
        raise UserError(
            "baseline.unreadable", f"{where} cannot be read; correct this file: {str(error).splitlines()[0]}"
        ) from None
    if not isinstance(contents, dict):
        raise UserError("baseline.not_a_mapping", f"{where} must be a mapping of keys to values")
    arguments = {"name": path.stem} | {str(key): value for key, value in contents.items()}
    check_arguments(where, Baseline, arguments, complete=True)
    experiments = sorted(each.stem for each in (CONF / "experiment").glob("*.yaml"))
    if (experiment := arguments["experiment"]) not in experiments:
        raise UserError(
            "baseline.unknown_experiment",
            f"{where}: experiment={experiment} is unknown{did_you_mean(experiment, experiments)}; "
            "give the name of a file in conf/experiment/",
        )
    if not arguments.get("seeds", [0]):
        raise UserError("baseline.no_seeds", f"{where}: seeds is empty; give the seeds to train, such as [0, 1, 2]")
    _check_mapping(f"{where}.cost", arguments["cost"], f"one of {', '.join(COSTS)}")
    if len(arguments["cost"]) != 1:
        raise UserError(
            "baseline.not_one_cost",
            f"{where}.cost has {len(arguments['cost'])} entries; give one of {', '.join(COSTS)}",
        )
    for unit, amount in arguments["cost"].items():
        lookup(f"{where}.cost", unit, COSTS)
        check_setting_type(f"{where}.cost.{unit}", amount, float)
    example = "a metric, such as ssim: {expected: 0.5, tolerance: 0.1, direction: higher}"
    _check_mapping(f"{where}.metrics", arguments["metrics"], example)
    metrics = {name: _expected_score(f"{where}.metrics.{name}", each) for name, each in arguments["metrics"].items()}
    return Baseline(**{**arguments, "metrics": metrics})


def compose_baseline(baseline: Baseline, seed: int, overrides: Sequence[str] = ()) -> DictConfig:
    return compose_config([*baseline.training_overrides(seed), *overrides])


LATER_GENERATOR_SETTINGS = {
    "n_downsample": 2,
    "out_channels": None,
    "stem_padding": "reflect",
    "block_padding": "reflect",
    "zero_padding": False,
    "embedding_dim": 64,
    "resampling_filter": [1.0, 2.0, 1.0],
}


def settings_fingerprint(baseline: Baseline) -> str:
    """Return a hash of the composed config without the settings that do not affect the scores.

    The settings of callbacks are left out too, except those of the EMA. Interpolations are kept as written: their values
    can depend on the machine."""
    try:
        composed = compose_baseline(baseline, baseline.seeds[0])
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(
            "baseline.not_composable",
            f"baselines/{baseline.name}.yaml cannot be composed; correct this file: {str(error).splitlines()[0]}",
        ) from error
    config: Any = OmegaConf.to_container(composed, resolve=False)
    ema = (config["callbacks"] or {}).get("ema")
    for key in set(IRRELEVANT_SETTINGS).difference(FINGERPRINTED_ALL_THE_SAME):
        *parents, last = key.split(".")
        (config[parents[0]] if parents else config).pop(last, None)
    if "Adam" in config["optimizer"]["_target_"]:  # the digests of recorded results contain its former default
        config["optimizer"]["fused"] = None
    if not config["model"].get("extra_losses"):  # an empty table changes nothing
        config["model"].pop("extra_losses", None)
    model = config["model"]
    # The digests of recorded results contain former weights.
    if "features" not in model or not (model["content_weight"] or model["style_weight"]):
        config["features"]["style"] = dict.fromkeys(config["features"]["style"], 1.0)
    for key, default in LATER_GENERATOR_SETTINGS.items():  # at its default, a setting that came later changes nothing
        if config["generator"].get(key) == default:
            config["generator"].pop(key, None)
    return _digest([config, ema])


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _expected_score(where: str, contents: Any) -> ExpectedScore:
    _check_mapping(where, contents, "expected, tolerance and direction")
    check_arguments(where, ExpectedScore, contents, complete=True)
    check_at_least(f"{where}.tolerance", contents["tolerance"], 0)
    return ExpectedScore(**contents)


def _check_mapping(where: str, contents: Any, expected: str) -> None:
    if not isinstance(contents, dict):
        raise UserError("baseline.not_a_mapping", f"{where} must be a mapping with {expected}")
