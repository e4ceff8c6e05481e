"""`stylegan-lab reproduce`: train what a baseline asks for, score it by its protocol, say how far off that is."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from stylegan_lab.callbacks.interruption import CODES, OUT_OF_TIME
from stylegan_lab.cli.passing_on import passing_on
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.resuming import settings_of, settings_that_differ
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.cli.wording import in_our_words
from stylegan_lab.experiment import build_data, build_metrics
from stylegan_lab.hardware import number_of_ranks
from stylegan_lab.instantiate import recorded
from stylegan_lab.marks import BETTER
from stylegan_lab.mistake import Mistake
from stylegan_lab.reproduction import settings
from stylegan_lab.reproduction.baseline import Baseline, read_baselines
from stylegan_lab.reproduction.result import RECORDED, Result, Results, numbers_of
from stylegan_lab.reproduction.settings import GIVEN, OF_NO_MATTER
from stylegan_lab.reproduction.table import text, told
from stylegan_lab.reproduction.verdict import Verdict, verdict, why_not_run
from stylegan_lab.runs import Run, find_run
from stylegan_lab.sweeps.playing import command

INTERRUPTED = {*CODES.values(), OUT_OF_TIME}


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab reproduce",
        description="Train a baseline and hold it against what its paper, or this project, says of it. Without a name: the table "
        "of all, from recorded results. What is recorded is not trained again; what was interrupted goes on. Leaves with 0 only "
        "if all that was named is reproduced.",
        epilog="example: stylegan-lab reproduce pix2pix_facades_64 data.root=datasets/facades/train",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="baselines; and SETTING=VALUE, such as data.root=FOLDER"
    )
    parser.add_argument("--run", metavar="RUN", help="score this run of the baseline, instead of training one")
    parser.add_argument("--results", type=Path, default=RECORDED, metavar="FOLDER", help="where results are recorded")
    parser.add_argument("--runs", type=Path, default=Path("runs/reproduce"), metavar="FOLDER", help="where it trains")
    options = parser.parse_intermixed_args(arguments)
    given = [each for each in options.names if "=" in each]
    names = [each for each in options.names if "=" not in each]
    results, baselines = Results(options.results), read_baselines(names)
    if not names:
        if options.run or given:
            raise Mistake("which baseline? `stylegan-lab reproduce` names them all")
        print(text([recorded_verdict(each, results) for each in baselines]))
        return 0
    quiet()
    check_given(given)
    if options.run:
        if len(baselines) > 1:
            raise Mistake(f"--run is one training; which of {', '.join(names)} is it of?")
        record_run(baselines[0], find_run(options.run)[0], results)
        verdicts = [recorded_verdict(baselines[0], results)]
    else:
        verdicts = [Reproduction(each, given, options.runs, results).play() for each in baselines]
    print(text(verdicts))
    return 0 if all(each.status == "reproduced" for each in verdicts) else 1


@dataclass(frozen=True)
class Reproduction:
    baseline: Baseline
    given: Sequence[str]  # where the data is, and how to train here
    runs: Path
    results: Results

    def play(self) -> Verdict:
        """Every seed that is not recorded yet, unless something keeps all of them from being played here."""
        print(told(self.baseline), flush=True)
        missing = [seed for seed in self.baseline.seeds if self.results.find(self.baseline, seed) is None]
        if missing and (why := why_not_here(self.baseline, self.given)):
            print(f"  not run    {why}")
            return verdict(self.baseline, self.results.of(self.baseline), why)
        if missing:
            config = composed(self.baseline, missing[0], self.given)
            check_batch(self.baseline, number_of_ranks(config), config.data.get("batch_size", 1))
        for seed in missing:
            self._play_seed(seed)
        return recorded_verdict(self.baseline, self.results)

    def _play_seed(self, seed: int) -> None:
        run = Run((self.runs / self.baseline.name / f"seed{seed}-{self.baseline.fingerprint[:6]}").absolute())
        anew, before = not run.metrics.exists(), time.monotonic()
        overrides = [*self.baseline.training(seed), "evaluate=false", "logger=none", *self.given]
        with passing_on() as passing:
            process = subprocess.Popen(command(overrides, run.folder))
            passing.to(process.pid)
            try:
                code = process.wait()
            except KeyboardInterrupt:  # which the training heard too
                process.wait()
                raise
        if code:
            why = Mistake(
                f"{self.baseline.name}, seed {seed}: its training left with {code}; repeat the command to go on"
            )
            raise why if code not in INTERRUPTED else left(code, why)
        record(self.baseline, seed, run, self.results, time.monotonic() - before if anew else None)


def left(code: int, why: Mistake) -> SystemExit:
    """As the training did, so that a queue knows that there is more to do."""
    print(f"stylegan-lab: {why}", file=sys.stderr)
    return SystemExit(code)


def record(baseline: Baseline, seed: int, run: Run, results: Results, seconds: float | None = None) -> None:
    from stylegan_lab.cli.evaluate import evaluate

    config = composed(baseline, seed)
    count = baseline.n if generates(config) else None  # a translator is asked for what is held out, however many
    scores = evaluate(run, baseline.checkpoint, baseline.split, baseline.raw, count=count, instead=config.metrics)
    if baseline.n not in (None, scores["n"]):
        raise Mistake(f"{baseline.name}: {scores['n']} pictures were measured, and its protocol says {baseline.n}")
    if missing := [name for name in baseline.numbers if name not in numbers_of(scores)]:
        raise Mistake(f"{baseline.name}: {', '.join(missing)} cannot be measured of this data")
    print(f"recorded   {results.record(Result.of(baseline, seed, run, scores, seconds))}", flush=True)


def record_run(baseline: Baseline, run: Run, results: Results) -> None:
    """A run trained by hand counts if it is what the baseline would have trained, to its end."""
    if baseline.lacks:
        raise Mistake(f"{baseline.name} cannot be judged yet: {baseline.lacks}")
    seed = settings_of(run)["seed"]
    if seed not in baseline.seeds:
        raise Mistake(f"{run.folder} has seed={seed}; {baseline.name} asks for {', '.join(map(str, baseline.seeds))}")
    if differ := settings_that_differ(run, recorded(composed(baseline, seed)), OF_NO_MATTER):
        raise Mistake(
            f"{run.folder} is another experiment than {baseline.name} asks for: {', '.join(differ[:5])}"
            f"{' and more' if len(differ) > 5 else ''}"
        )
    ranks = json.loads(run.read("environment.json"))["world_size"]
    check_batch(baseline, ranks, settings_of(run)["data"].get("batch_size", 1))
    if not re.search(r"all \d+ iterations are played", run.read("log.txt")):
        raise Mistake(f"{run.folder} was not trained to its end")
    record(baseline, seed, run, results)


def recorded_verdict(baseline: Baseline, results: Results) -> Verdict:
    return verdict(baseline, results.of(baseline), why_not_run(baseline, results.outdated(baseline)))


def check_given(given: Sequence[str]) -> None:
    """Only what leaves the experiment what it is."""
    for each in given:
        if each.split("=")[0] not in GIVEN:
            raise Mistake(f"{each} would make it another experiment; what may be given: {', '.join(GIVEN)}")


def check_batch(baseline: Baseline, ranks: int, each: int) -> None:
    """However many devices share it, a step sees what it sees in the baseline."""
    config = composed(baseline, baseline.seeds[0])
    asked = number_of_ranks(config) * config.data.get("batch_size", 1)
    if ranks * each != asked:
        raise Mistake(
            f"{ranks} x {each} samples (devices x data.batch_size) would make it another experiment: a step of {baseline.name} "
            f"sees {asked}; {_fitting(asked, ranks)}"
        )


def _fitting(asked: int, ranks: int) -> str:
    return (
        f"that is data.batch_size={asked // ranks}"
        if asked % ranks == 0
        else "choose devices whose number divides that"
    )


def why_not_here(baseline: Baseline, given: Sequence[str]) -> str:
    """What keeps it from being trained here; nothing if it can begin."""
    if not baseline.numbers:
        return "its paper gives no number"
    if baseline.lacks:
        return baseline.lacks
    if "gpu_hours" in baseline.cost and not torch.cuda.is_available():
        return f"it takes {baseline.told_cost}, and no GPU is visible here"
    try:
        config = composed(baseline, baseline.seeds[0], given)
        measured = build_metrics(config)
        build_data(config)
    except Mistake as mistake:
        return str(mistake).splitlines()[0]
    if baseline.split == "train" and not generates(config):
        return "split: train is for generators; give split: test"
    unknown = [name for name in baseline.numbers if name.split("/")[-1] not in {*measured, *BETTER}]
    return f"{', '.join(unknown)} cannot be measured here" if unknown else ""


def generates(config: DictConfig) -> bool:
    return "latents" in config.model


def composed(baseline: Baseline, seed: int, given: Sequence[str] = ()) -> DictConfig:
    try:
        return settings.composed(baseline, seed, given)
    except (HydraException, OmegaConfBaseException) as error:
        raise in_our_words(error, [*baseline.training(seed), *given]) from error
