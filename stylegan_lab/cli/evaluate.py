"""`stylegan-lab evaluate`: score a run's translations of held-out pictures, beside what is reached without a model."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from stylegan_lab.checkpoint import read_checkpoint
from stylegan_lab.cli.quiet import quiet
from stylegan_lab.cli.run_parser import run_parser
from stylegan_lab.data.image_data import ImageData
from stylegan_lab.evaluation.colour_map import ColourMap
from stylegan_lab.evaluation.metrics import Metric
from stylegan_lab.evaluation.scores import Domains, gather, score, translate_all
from stylegan_lab.experiment import build_data, build_metrics, config_of, restore_module
from stylegan_lab.images.grid import grid
from stylegan_lab.images.write import write_picture
from stylegan_lab.runs import Run, find_run

Scores = dict[str, float]


def main(arguments: list[str]) -> int:
    parser = run_parser(
        "evaluate",
        "Score a run's translations of held-out pictures; writes scores.json and a picture into the run.",
        "runs/demo/20260101-120000-ab12 --checkpoint best",
    )
    parser.add_argument("--split", choices=("test", "val"), default="test")
    options = parser.parse_args(arguments)
    quiet()
    run, checkpoint = find_run(options.run)
    evaluate(run, options.checkpoint or checkpoint, options.split, options.raw, options.trust)
    return 0


def evaluate(run: Run, checkpoint: str, split: str, raw: bool = False, trust: Sequence[str] = ()) -> dict[str, Any]:
    path = run.checkpoint(checkpoint)
    contents = read_checkpoint(path)
    module = restore_module(contents, raw, trust)
    config = config_of(contents, trust)
    metrics = build_metrics(config)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    module.to(device)
    data = build_data(config)
    domains = gather(data.batches(data.held_out(split)), data.true_pairs)
    reference = _references(data)
    directions: dict[str, Scores] = {}
    for direction in module.directions:
        seen = domains if direction == "a2b" else domains.reversed()
        translate = partial(module.translate, direction=direction)
        translated = translate_all(translate, seen.a, data.batch_size, device)
        directions[direction] = score(translated, seen, metrics)
        if direction == "a2b":
            shown = [images[:8] * 2 - 1 for images in (seen.a, translated, seen.b)]
    rows: dict[str, Scores] = {
        "translated": directions.pop("a2b"),
        "untranslated": score(domains.untranslated(), domains, metrics),
    }
    if reference is not None:
        colour_map = ColourMap(reference.untranslated(), reference.b)
        rows["colour map"] = score(colour_map(domains.untranslated()), domains, metrics)
    picture = write_picture(grid(shown), run.folder / f"{split}.png")
    scores = {
        "schema": 1,
        "iteration": contents["iteration"],
        "checkpoint": path.name,
        "ema": bool(contents.get("ema")) and not raw,
        "split": split,
        "n": len(domains.a),
        "metrics": rows["translated"],
        "untranslated": rows["untranslated"],
        "colour_map": rows.get("colour map"),
        "directions": {direction.replace("2", "_to_"): value for direction, value in directions.items()},
        "better": {name: metrics[name].better for name in rows["translated"]},
        "protocol": {name: metrics[name].protocol for name in rows["translated"]} | {"size": data.size, "bits": 8},
    }
    run.record_scores(scores)
    print(table(rows, metrics))
    print(f"picture    {picture}  (rows: input, translation, {'truth' if domains.paired else 'target domain'})")
    print(f"scores     {run.scores}")
    print(f"run        {run.folder}")
    return scores


def table(rows: Mapping[str, Scores], metrics: Mapping[str, Metric]) -> str:
    """Scores, a line each, with an arrow at what is better."""
    names = list(next(iter(rows.values())))
    heads = [f"{name} {'↑' if metrics[name].better == 'higher' else '↓'}" for name in names]
    first = max(len(label) for label in rows) + 2
    lines = [" " * first + "  ".join(heads)]
    for label, scores in rows.items():
        cells = (f"{scores[name]:.4g}".rjust(len(head)) for name, head in zip(names, heads, strict=True))
        lines.append(label.ljust(first) + "  ".join(cells))
    return "\n".join(lines)


def _references(data: ImageData) -> Domains | None:
    pairs = data.reference_pairs()
    return None if pairs is None else gather(data.batches(pairs), paired=True)
