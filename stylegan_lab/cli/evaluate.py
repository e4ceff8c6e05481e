"""`stylegan-lab evaluate`: the exam of a split, beside what is reached without a model."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig, OmegaConf

from stylegan_lab.better import SIGNS
from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.choice import choose
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import run_parser
from stylegan_lab.conf_dir import CONF
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.evaluation.scores import score
from stylegan_lab.exam import counts, exams, sat
from stylegan_lab.experiment import build_data, build_metrics, config_of, restore_module
from stylegan_lab.images.grid import grid
from stylegan_lab.images.write import write_picture
from stylegan_lab.instantiate import instantiate_each
from stylegan_lab.marks import Mark
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.modules.generative import GenerativeModule
from stylegan_lab.runs import Run, find_run

Scores = dict[str, float]


def main(arguments: list[str]) -> int:
    parser = run_parser(
        "evaluate",
        "Score a run's pictures against real ones; writes scores.json and a picture into the run.",
        "runs/demo/20260101-120000-ab12 --checkpoint best",
    )
    parser.add_argument(
        "--split",
        choices=("test", "val", "train"),
        default="test",
        help="train: of a generator, which papers hold against all it has seen",
    )
    parser.add_argument("--metrics", metavar="A,B", help=f"beside the run's own: {', '.join(more_metrics())}")
    parser.add_argument(
        "--n", type=int, help="of a generator: so many pictures; as many as the split has, if not given"
    )
    options = parser.parse_args(arguments)
    if options.n is not None:
        at_least("--n", options.n, 2)
    quiet()
    run, checkpoint = find_run(options.run)
    beside = options.metrics.split(",") if options.metrics else []
    evaluate(run, options.checkpoint or checkpoint, options.split, options.raw, options.trust, options.n, beside)
    return 0


def evaluate(
    run: Run,
    checkpoint: str,
    split: str,
    raw: bool = False,
    trust: Sequence[str] = (),
    count: int | None = None,
    beside: Sequence[str] = (),
    instead: DictConfig | None = None,
) -> dict[str, Any]:
    """`beside` the run's own metrics, choices of the group of that name; or others `instead`."""
    path = run.checkpoint(checkpoint)
    contents = read_checkpoint(path)
    module = restore_module(contents, raw, trust)
    config = config_of(contents, trust)
    if instead is not None:
        config.metrics = instead
    for name in beside:
        config.metrics.update(OmegaConf.load(choose("--metrics", name, more_metrics())))
    metrics = build_metrics(config)
    if split == "train" and not isinstance(module, GenerativeModule):
        raise Mistake(
            "--split train is for generators: a translator is asked what no training saw; give --split val, or none"
        )
    module.to(torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    data = build_data(config)
    main, *more = exams(module, data, split, count).items()
    exam = main[1]
    if count not in (None, exam.count):
        raise Mistake(
            f"--n {count} is for generators: a translator is asked for every picture that is held out, here {exam.count}; "
            "leave it out"
        )
    answers = sat(exam, module, data.batch_size)
    rows = {exam.answer: score(answers, exam.others, metrics)}
    references = {name: score(images, exam.others, metrics) for name, images in exam.references().items()}
    marks = exam.marks(answers)
    rows[exam.answer] |= {name: mark.value for name, mark in marks.items()}
    if marks:
        references["held out"] = {name: mark.held_out for name, mark in marks.items()}
    told: Mapping[str, Metric | Mark] = {**metrics, **marks}
    ways = {direction.replace("2", "_to_"): other for direction, other in more}
    directions = {way: score(sat(other, module, data.batch_size), other.others, metrics) for way, other in ways.items()}
    shown = [row * 2 - 1 for row in exam.shown(answers, columns=8)]
    picture = write_picture(grid(shown), run.folder / f"{split}.png")
    scores = {
        "schema": 1,
        "iteration": contents["iteration"],
        "checkpoint": path.name,
        "ema": bool(contents.get("ema")) and not raw,
        "split": split,
        "n": exam.count,
        "counts": counts(exam),
        "metrics": rows[exam.answer],
        **{name.replace(" ", "_"): value for name, value in references.items()},
        "directions": directions,
        "counts_of_directions": {way: counts(other) for way, other in ways.items()},
        "better": {name: told[name].better for name in rows[exam.answer]},
        "protocol": {name: told[name].protocol for name in rows[exam.answer]} | {"size": data.size, "bits": 8},
    }
    run.record_scores(scores)
    if not raw:  # whose scores would stand under the same names
        mirror(run, config, scores, picture)
    print(table(rows | references, told))
    print(f"counts     {', '.join(f'{number:,} {what}' for what, number in counts(exam).items())}; the {split} split")
    print(f"picture    {picture}  (rows: {exam.legend})")
    print(f"scores     {run.scores}")
    print(f"run        {run.folder}")
    return scores


def more_metrics() -> dict[str, Path]:
    return {path.stem: path for path in sorted((CONF / "metrics").glob("*.yaml")) if path.stem != "default"}


def mirror(run: Run, config: DictConfig, scores: Mapping[str, Any], picture: Path) -> None:
    """The loggers that watched the training are told, by the names that sweeps use: test/ssim."""
    split, iteration = scores["split"], scores["iteration"]
    with suppress(Mistake):  # what they need may be missing on this machine
        for make in instantiate_each(config.logger, config.trust, "logger").values():
            logger = make(run)
            logger.log_metrics({f"{split}/{name}": value for name, value in scores["metrics"].items()}, step=iteration)
            if hasattr(logger, "log_image"):
                logger.log_image(split, [str(picture)], step=iteration)
            logger.finalize("success")


def table(rows: Mapping[str, Scores], metrics: Mapping[str, Metric | Mark]) -> str:
    """Scores, a line each, with an arrow at what is better; a dash where there is none."""
    names = list(next(iter(rows.values())))
    heads = [f"{name} {SIGNS[metrics[name].better]}" for name in names]
    first = max(len(label) for label in rows) + 2
    lines = [" " * first + "  ".join(heads)]
    for label, scores in rows.items():
        shown = (f"{scores[name]:.4g}" if name in scores else "–" for name in names)
        cells = (cell.rjust(len(head)) for cell, head in zip(shown, heads, strict=True))
        lines.append(label.ljust(first) + "  ".join(cells))
    return "\n".join(lines)
