"""`stylegan-lab compare`: what runs were asked, scored and cost, side by side; needs no GPU and no network."""

import json
import random
import shutil
from pathlib import Path

from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.comparison.as_json import as_json
from stylegan_lab.comparison.comparison import Comparison, compare
from stylegan_lab.comparison.found import find_runs
from stylegan_lab.comparison.page import page
from stylegan_lab.comparison.table import as_csv, as_markdown, as_text
from stylegan_lab.comparison.votes import read_votes
from stylegan_lab.mistake import Mistake, at_least
from stylegan_lab.whole import write_text

WIDTH = 160  # of a table that no terminal shows
FORMS = {
    "csv": as_csv,
    "json": lambda comparison: as_json(comparison.as_json(), indent=2),
    "markdown": as_markdown,
}


def main(arguments: list[str]) -> int:
    parser = Parser(
        prog="stylegan-lab compare",
        description="Settings that differ, scores (mean and spread over seeds) and cost of runs, read from their folders.",
        epilog="example: stylegan-lab compare runs/demo runs/sweeps/20260101-120000 --html page.html",
    )
    parser.add_argument("runs", nargs="+", metavar="RUNS", help="run folders, folders that hold runs, sweeps, patterns")
    parser.add_argument(
        "--scores", default="", metavar="NAMES", help="those to show, as test/ssim,val/psnr; the first one sorts"
    )
    for name in FORMS:
        parser.add_argument(f"--{name}", nargs="?", const="-", metavar="FILE", help=f"as {name}; without FILE, printed")
    parser.add_argument("--html", metavar="FILE", help="one page with curves and samples, which needs no network")
    parser.add_argument(
        "--blind", metavar="FILE", help="a page that asks people which of two unlabelled pictures is better"
    )
    parser.add_argument("--questions", type=int, default=60, metavar="N", help="at most so many on that page (60)")
    parser.add_argument("--votes", nargs="+", default=[], metavar="FILES", help="answers that were saved on such pages")
    options = parser.parse_args(arguments)
    asked = [name for name in options.scores.split(",") if name]
    wanted = {name: place for name in FORMS if (place := getattr(options, name)) is not None}
    if sum(place == "-" for place in wanted.values()) > 1:
        raise Mistake(f"{' and '.join(f'--{name}' for name in wanted)} would be printed together; give a FILE each")
    comparison = compare(find_runs(options.runs), asked)
    if options.votes:
        comparison = comparison.judged(read_votes([Path(path) for path in options.votes]))
    if options.blind:
        _ask(comparison, Path(options.blind), options.questions)
    if options.html:
        write_file("--html", Path(options.html), page(comparison))
    if not wanted and not options.html and not options.blind:
        print(as_text(comparison, shutil.get_terminal_size((WIDTH, 24)).columns))
    for name, place in wanted.items():
        _hand_over(comparison, name, place)
    return 0


def _hand_over(comparison: Comparison, name: str, place: str) -> None:
    text = FORMS[name](comparison)
    if place == "-":
        print(text)
    else:
        write_file(f"--{name}", Path(place), f"{text}\n")


def _ask(comparison: Comparison, path: Path, most: int) -> None:
    from stylegan_lab.comparison.blind import blind

    at_least("--questions", most, 1)
    text, key = blind(comparison, most, random.SystemRandom())
    write_file("--blind", path, text)
    write_file("--blind", path.with_suffix(".key.json"), json.dumps(key, indent=1) + "\n")
    print(f"send       {path.name} to judges, and keep the key; then: stylegan-lab compare RUNS --votes FILES")


def write_file(option: str, path: Path, text: str) -> None:
    if path.is_dir():
        raise Mistake(f"{option} {path}: a folder; give a file's name, or put {option} after RUNS")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, text)
    except OSError as error:
        raise Mistake(f"{path} cannot be written: {error.strerror}") from None
    print(f"written    {path}")
