"""`stylegan-lab data download`: one of the papers' data sets, ready to train on."""

from pathlib import Path

from stylegan_lab.cli.data_list import hash_of, named
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.sets.catalogue import ROOT, default_root
from stylegan_lab.data.sets.download import download
from stylegan_lab.mistake import Mistake


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    paper_set = named(options.name)
    root = options.root or default_root()
    there = (root / paper_set.name).is_dir()
    if paper_set.to_be_accepted and not there and not options.accept_terms:
        raise Mistake(
            f"{paper_set.name} comes with terms ({paper_set.terms}; see {paper_set.source}); "
            "if you accept them, repeat the command with --accept-terms"
        )
    folder = download(paper_set, root, options.keep_archive)
    print(f"{'data':9} {folder}{' was there already' if there else ''}")
    for line in contents(folder):
        print(f"{'':9} {line}")
    print(f"{'terms':9} {paper_set.terms}")
    if not there:
        for file in paper_set.files:
            print(f"{'SHA-256':9} {hash_of(file.urls[0], file.expected.sha256)}")
    if paper_set.config:
        place = f" data.root={folder}" if folder != default_root() / paper_set.name else ""
        print(f"{'next':9} stylegan-lab train data={paper_set.name}{place}")
    return 0


def contents(folder: Path) -> list[str]:
    """How many files stand in each of its folders, over all their classes."""
    folders = sorted(path for path in folder.iterdir() if path.is_dir())
    return [f"{path.name}: {sum(file.is_file() for file in path.rglob('*')):,} in all" for path in folders]


def _parser() -> Parser:
    parser = Parser(
        prog="stylegan-lab data download",
        description="Fetch one of the papers' data sets, check it, and unpack it where data=NAME finds it.",
        epilog="example: stylegan-lab data download facades",
    )
    parser.add_argument("name", metavar="NAME", help="as `stylegan-lab data list` names it")
    parser.add_argument("--root", type=Path, help=f"the folder to put it in (${ROOT}, else datasets)")
    parser.add_argument("--accept-terms", action="store_true", help="the terms that the set comes with")
    parser.add_argument("--keep-archive", action="store_true", help="leave what was fetched beside it")
    return parser
