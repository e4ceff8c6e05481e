"""Write docs/baselines.md from baselines/ and the recorded results (`make docs`); a test checks that the page is current."""

from pathlib import Path

from stylegan_lab.reporting.baselines.baseline import SOURCE_TYPES, Baseline, read_baselines
from stylegan_lab.reporting.baselines.result import RECORDED_RESULTS, BaselineResults
from stylegan_lab.reporting.baselines.status import (
    BaselineStatus,
    baseline_status,
    baselines_as_markdown,
    why_not_run,
)

HEAD = """# Reproduce baselines

A baseline states the scores that an experiment should reach, with their source, protocol and
tolerance. This command prints the tables of this page:

```bash
stylegan-lab reproduce
```

With the name of a baseline, `reproduce` trains the seeds that have no recorded result, each in its
own run below `runs/reproduce`. It evaluates these runs by the protocol of the baseline, records the
results, and prints the differences from the expected scores. With `--run`, it evaluates an existing
run instead of training one. Run the same command again to resume an interrupted training.

```console
stylegan-lab reproduce pix2pix_scenes
stylegan-lab reproduce pix2pix_facades_64 data.root=datasets/facades/train
stylegan-lab reproduce pix2pix_scenes --run runs/pix2pix_scenes/20260101-120000-ab12 --results mine
```

## Status

The mean over a baseline's seeds is compared with the expected score. A score is *reached* if it is
better than expected, or worse by at most the tolerance.

- *reproduced*: all scores are reached, all seeds were run, and all changes of the code were
  committed.
- *partial*: some scores are reached and others are not, or seeds are missing, or the code had
  uncommitted changes.
- *failed*: no score is reached.
- *not run*: there is no result. The table gives the reason. For example, the baseline requires
  weights, data or a GPU that the repository does not include, or a protocol that evaluation does
  not support yet.

A result stores two fingerprints: one of the baseline (expected scores, tolerances, overrides,
seeds, split and checkpoint) and one of the settings of its experiment. If either fingerprint
changes, the result no longer counts. Therefore an expected score is always older than the results
that are compared with it. A result also stores the git commit of the evaluation and of each session
of the training. (A resumed training has several sessions.)

`make docs` writes this page from `baselines/*.yaml` and the results in `baselines/results`.

## Scores of papers

For baselines without a result, the costs in the last column are estimates.

"""
MIDDLE = """
## Scores of this project

The expected scores are from the headers of this project's [configs](configs.md), and were measured
on images that the package draws itself. The tolerance is two standard deviations over the seeds, or
the rounding error if that is larger. The baselines whose names end in `_64` are different. They
train on real images for a few minutes, and are compared with scores that are reached without a
model. They do not reproduce a paper.

"""
TAIL = """
## Definitions

Each entry gives the settings of a baseline, the source of its scores, the protocol and the cost.

"""


def page() -> str:
    results = BaselineResults(RECORDED_RESULTS)
    statuses = [_status(each, results) for each in read_baselines()]
    own = [each for each in statuses if each.baseline.source_type in ("own_runs", "no_model")]
    papers = [each for each in statuses if each not in own]
    definitions = "".join(_definition(each.baseline) for each in [*papers, *own])
    return HEAD + baselines_as_markdown(papers) + MIDDLE + baselines_as_markdown(own) + TAIL + definitions


def _status(baseline: Baseline, results: BaselineResults) -> BaselineStatus:
    return baseline_status(
        baseline, results.for_baseline(baseline), why_not_run(baseline, results.why_outdated(baseline))
    )


def _definition(baseline: Baseline) -> str:
    overrides = "".join(f" `{each}`" for each in [f"experiment={baseline.experiment}", *baseline.overrides])
    return (
        f"- **{baseline.name}**: {baseline.title}.{overrides}. {baseline.source}: {SOURCE_TYPES[baseline.source_type]}. "
        f"Protocol: {baseline.protocol}. {baseline.cost_text}.\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("baselines.md").write_text(page())
