"""Writes baselines.md from baselines/ and its results, so that the page cannot go stale: `make docs`; a test compares."""

from pathlib import Path

from stylegan_lab.reproduction.baseline import STANDINGS, Baseline, read_baselines
from stylegan_lab.reproduction.result import RECORDED, Results
from stylegan_lab.reproduction.table import markdown
from stylegan_lab.reproduction.verdict import Verdict, verdict, why_not_run

HEAD = """# Baselines

Written by `make docs` from `baselines/*.yaml` and the results recorded in `baselines/results`.

```bash
stylegan-lab reproduce    # this table, in the terminal
```

With a name it trains what is not recorded yet, each seed in a run of its own below `runs/reproduce`, scores it by the baseline's
protocol, records that and prints how far off it is. A repeated command goes on with what was interrupted.

```console
stylegan-lab reproduce pix2pix_scenes
stylegan-lab reproduce pix2pix_facades_64 data.root=datasets/facades/train
stylegan-lab reproduce pix2pix_scenes --run runs/pix2pix_scenes/20260101-120000-ab12 --results mine
```

## How a status comes about

Held against what is expected is the mean over the seeds that a baseline asks for. A number holds if it is no worse than expected by
more than its tolerance; better always holds, and the difference shows it.

- *reproduced*: every number holds, for every seed, from code that stands in a commit.
- *partly*: some numbers hold and others do not, or seeds are missing, or the code was changed and not committed.
- *failed*: none holds.
- *not run*: it was not run. What keeps it from being run, such as weights, data or a GPU that no checkout brings along, is said.
  So is what its protocol asks for and an evaluation cannot do yet: until then no score of it counts.

A result carries the fingerprint of the baseline it was recorded for: whoever changes a tolerance, a number, a protocol's split or
checkpoint, or an override has made another baseline, under which nothing is recorded yet. So what is expected stands written before
what it judges is run. It carries a print of the experiment's settings too, and no longer counts once these are edited. Its commits
are those of every sitting of the training and of what scored it.

## The papers'

Costs are estimates until someone pays them.

"""
MIDDLE = """
## On embedded pictures, and on real ones at 64 px

What this project says of itself in the headers of its [configs](configs.md), and what a model has to beat. Tolerances of the
former are two deviations of a single run among the seeds that the header names, and never less than what its rounding hides.
Those at 64 px reproduce no paper's number: they say whether minutes of training beat what is had without a model.

"""
TAIL = """
## What each is

"""


def page() -> str:
    results = Results(RECORDED)
    verdicts = [_verdict(each, results) for each in read_baselines()]
    own = [each for each in verdicts if each.baseline.standing in ("recorded", "bar")]
    papers = [each for each in verdicts if each not in own]
    described = "".join(_described(each.baseline) for each in [*papers, *own])
    return HEAD + markdown(papers) + MIDDLE + markdown(own) + TAIL + described


def _verdict(baseline: Baseline, results: Results) -> Verdict:
    return verdict(baseline, results.of(baseline), why_not_run(baseline, results.outdated(baseline)))


def _described(baseline: Baseline) -> str:
    overrides = "".join(f" `{each}`" for each in [f"experiment={baseline.experiment}", *baseline.overrides])
    return (
        f"- **{baseline.name}**: {baseline.title}.{overrides}. {baseline.source}: {STANDINGS[baseline.standing]}. "
        f"Protocol: {baseline.protocol}. {baseline.told_cost}.\n"
    )


if __name__ == "__main__":
    Path(__file__).with_name("baselines.md").write_text(page())
