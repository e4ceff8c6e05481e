"""`stylegan-lab compare`: show the settings, scores and cost of runs in one table. It needs no GPU and no network."""

import json
import random
import shutil
from argparse import Namespace
from pathlib import Path

from stylegan_lab.console import format_json
from stylegan_lab.errors import UserError, check_at_least
from stylegan_lab.files.atomic_write import write_output_file
from stylegan_lab.reporting.comparison import TEXT_WIDTH, RunComparison, compare_runs
from stylegan_lab.reporting.comparison_page import comparison_page
from stylegan_lab.reporting.comparison_table import as_csv, as_markdown, as_text
from stylegan_lab.reporting.preference_study.votes import read_votes
from stylegan_lab.runs.reader import find_runs

FORMATS = {
    "csv": as_csv,
    "json": lambda comparison: format_json(comparison.as_json(), indent=2),
    "markdown": as_markdown,
}


def main(options: Namespace) -> int:
    score_names = [name for name in options.scores.split(",") if name]
    outputs = {name: path for name in FORMATS if (path := getattr(options, name)) is not None}
    if sum(path == "-" for path in outputs.values()) > 1:
        raise UserError(
            "compare.several_printed",
            f"{' and '.join(f'--{name}' for name in outputs)}: only one of them can be printed; give a FILE to the others",
        )
    comparison = compare_runs(find_runs(options.runs), score_names)
    if options.votes:
        comparison = comparison.with_votes(read_votes([Path(path) for path in options.votes]))
    if options.preference_study:
        _write_study(comparison, Path(options.preference_study), options.questions)
    if options.html:
        write_output_file("--html", Path(options.html), comparison_page(comparison))
    if not outputs and not options.html and not options.preference_study:
        print(as_text(comparison, shutil.get_terminal_size((TEXT_WIDTH, 24)).columns))
    for name, path in outputs.items():
        _output(comparison, name, path)
    return 0


def _output(comparison: RunComparison, name: str, path: str) -> None:
    text = FORMATS[name](comparison)
    if path == "-":
        print(text)
    else:
        write_output_file(f"--{name}", Path(path), f"{text}\n")


def _write_study(comparison: RunComparison, path: Path, num_questions: int) -> None:
    from stylegan_lab.reporting.preference_study.study import build_study

    check_at_least("--questions", num_questions, 1, "cli.too_small")
    text, key = build_study(comparison, num_questions, random.SystemRandom())
    write_output_file("--preference-study", path, text)
    write_output_file("--preference-study", path.with_suffix(".key.json"), json.dumps(key, indent=1) + "\n")
    print(f"send       {path.name} to voters, and keep the key. Later: stylegan-lab compare RUNS --votes FILES")
