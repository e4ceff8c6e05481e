"""`stylegan-lab evaluate`: score a run on a split, next to baselines that need no model."""

from argparse import Namespace

from stylegan_lab.runs.reader import find_run
from stylegan_lab.training.evaluate import evaluate_checkpoint


def main(options: Namespace) -> int:
    run, checkpoint = find_run(options.run)
    checkpoint, metrics = options.checkpoint or checkpoint, options.metrics.split(",") if options.metrics else []
    use_ema, weights = options.use_ema, options.weights
    print(evaluate_checkpoint(run, checkpoint, options.split, use_ema, options.trust, options.n, metrics, weights))
    return 0
