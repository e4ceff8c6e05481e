"""`stylegan-lab reproduce`: train what a baseline asks for, score it by its protocol, say how far off that is."""

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra import compose, initialize_config_dir

from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.conf_dir import CONF
from stylegan_lab.experiment import build_metrics
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction.baseline import Baseline, read_baselines
from stylegan_lab.reproduction.result import RECORDED, Result, Results
from stylegan_lab.reproduction.table import text, told
from stylegan_lab.reproduction.verdict import Verdict, verdict
from stylegan_lab.runs import Run, find_run
from stylegan_lab.sweeps.playing import command

MINE = (
    "data.root",
    "data.a",
    "data.b",
    "data.workers",
    "data.cache",
    "data.cache_dir",
    "logger",
    "strategy",
    "time_limit",
)


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab reproduce",
        description="Train a baseline and hold it against what its paper or this project says of it; without a name, the table "
        "of all from recorded results. What is recorded already is not trained again; what was interrupted goes on.",
        epilog="example: stylegan-lab reproduce pix2pix_scenes",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="baselines; or SETTING=VALUE, such as data.root=FOLDER"
    )
    parser.add_argument("--run", metavar="RUN", help="score this run of it instead of training one")
    parser.add_argument("--results", type=Path, default=RECORDED, metavar="FOLDER", help="where results are recorded")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"), metavar="FOLDER", help="where it trains")
    parser.add_argument("--seed", type=int, action="append", help="only this of its seeds; may be given again")
    options = parser.parse_args(arguments)
    given = [each for each in options.names if "=" in each]
    names = [each for each in options.names if "=" not in each]
    results, baselines = Results(options.results), read_baselines(names)
    if not names:
        if options.run or given or options.seed:
            raise Mistake("which baseline? `stylegan-lab reproduce` names them all")
        print(text([verdict(each, results.of(each), why_not_run(each, results)) for each in baselines]))
        return 0
    quiet()
    check_given(given)
    if options.run:
        if len(baselines) > 1:
            raise Mistake(f"--run is one training; which of {', '.join(names)} is it of?")
        record_run(baselines[0], find_run(options.run)[0], results)
        verdicts = [verdict(baselines[0], results.of(baselines[0]))]
    else:
        verdicts = [
            Reproduction(each, given, options.runs, results).play(options.seed or each.seeds) for each in baselines
        ]
    print(text(verdicts))
    return 0 if all(each.status == "reproduced" for each in verdicts) else 1


@dataclass(frozen=True)
class Reproduction:
    baseline: Baseline
    given: Sequence[str]  # where data is, and how it is to be trained here
    runs: Path
    results: Results

    def play(self, seeds: Sequence[int]) -> Verdict:
        print(told(self.baseline), flush=True)
        if not (why := why_not_here(self.baseline, self.given)):
            for seed in seeds:
                if self.results.find(self.baseline, seed) is None:
                    self.play_seed(seed)
        recorded = self.results.of(self.baseline)
        return verdict(self.baseline, recorded, why)

    def play_seed(self, seed: int) -> None:
        folder = (self.runs / self.baseline.name / f"seed{seed}-{self.baseline.fingerprint[:6]}").absolute()
        overrides = [*self.baseline.training(seed), "evaluate=false", "logger=none", *self.given]
        before = time.monotonic()
        code = subprocess.run(command(overrides, folder), check=False).returncode
        if code:
            raise Mistake(f"{self.baseline.name}: its training left with {code}; repeat the command to go on")
        record(self.baseline, seed, Run(folder), self.results, time.monotonic() - before)


def record(baseline: Baseline, seed: int, run: Run, results: Results, seconds: float | None) -> None:
    from stylegan_lab.cli.evaluate import evaluate

    scores = evaluate(run, baseline.checkpoint, baseline.split, baseline.raw)
    if baseline.n not in (None, scores["n"]):
        raise Mistake(f"{baseline.name}: {scores['n']} pictures were measured, and its protocol says {baseline.n}")
    if missing := [name for name in baseline.numbers if name not in scores["metrics"]]:
        raise Mistake(f"{baseline.name}: {', '.join(missing)} cannot be measured of this data")
    print(f"recorded   {results.record(Result.of(baseline, seed, run, scores, seconds))}", flush=True)


def record_run(baseline: Baseline, run: Run, results: Results) -> None:
    raise NotImplementedError


def check_given(given: Sequence[str]) -> None:
    """Only what leaves the experiment what it is."""
    for each in given:
        if each.split("=")[0] not in MINE:
            raise Mistake(f"{each} would make it another experiment; what may be given: {', '.join(MINE)}")


def why_not_run(baseline: Baseline, results: Results) -> str:
    if results.outdated(baseline):
        return "it was changed after its results were recorded"
    return f"needs {', '.join(baseline.needs)}" if baseline.needs else ""


def why_not_here(baseline: Baseline, given: Sequence[str]) -> str:
    """What keeps it from being trained here; nothing if that can begin."""
    if "gpu_hours" in baseline.cost and not torch.cuda.is_available():
        return f"it takes {baseline.told_cost}, and no GPU is visible here"
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", overrides=[*baseline.training(baseline.seeds[0]), *given])
    measured = build_metrics(config)
    if missing := [name for name in baseline.numbers if name not in measured]:
        return f"{', '.join(missing)} is no metric here"
    return ""
