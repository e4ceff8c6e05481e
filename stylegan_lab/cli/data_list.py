"""`stylegan-lab data list`: the papers' data sets, or all that is known of one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stylegan_lab.choice import nearest
from stylegan_lab.cli.run_parser import Parser
from stylegan_lab.data.sets.catalogue import SETS, PaperSet, default_root
from stylegan_lab.data.sets.download import seen
from stylegan_lab.mistake import Mistake
from stylegan_lab.progress import amount


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    sets = [named(options.name)] if options.name else list(SETS.values())
    root = options.root or default_root()
    if options.json:
        print(json.dumps([facts(each, root) for each in sets], indent=2))
    elif options.name:
        print(described(sets[0], root))
    else:
        print(table(sets, root))
        print("\n`stylegan-lab data list NAME` says more, `stylegan-lab data download NAME` fetches one")
    return 0


def table(sets: Sequence[PaperSet], root: Path) -> str:
    """A line each; those that are there are marked."""
    rows = []
    for each in sets:
        mark = "*" if (root / each.name).is_dir() else " "
        rows.append((mark + each.name, size(each), "; ".join(filter(None, (each.what, each.pictures)))))
    wide = max(len(name) for name, _, _ in rows)
    return "\n".join(f"{name:{wide}}  {fetched:>12}  {what}" for name, fetched, what in rows)


def named(name: str) -> PaperSet:
    if name not in SETS:
        raise Mistake(f"no data set {name}{nearest(name, SETS)}; `stylegan-lab data list` shows all of them")
    return SETS[name]


def size(paper_set: PaperSet) -> str:
    if not paper_set.files:
        return "by hand"
    if paper_set.size is None:
        return "unknown"
    return f"{'' if paper_set.exact else 'about '}{amount(paper_set.size)}"


def described(paper_set: PaperSet, root: Path) -> str:
    """All that is known, in words."""
    lines = {
        "what": paper_set.what,
        "pictures": paper_set.pictures or "not published",
        "size": size(paper_set),
        "terms": paper_set.terms + ("; to be accepted with --accept-terms" if paper_set.to_be_accepted else ""),
        "source": paper_set.source,
        "layout": f"{root / paper_set.name}: {paper_set.layout}",
        "read by": f"data={paper_set.name}" if paper_set.config else "translate, after a training on monet2photo",
    }
    if paper_set.instead:
        lines["by hand"] = paper_set.instead
    told = [f"{name:9} {value}" for name, value in lines.items()]
    for file in paper_set.files:
        told += [f"{'file':9} {file.urls[0]}", f"{'SHA-256':9} {hash_of(file.urls[0], file.expected.sha256)}"]
    return "\n".join(told)


def hash_of(url: str, published: str | None) -> str:
    if published:
        return f"{published} (published)"
    if first := seen().get(url):
        return f"{first} (as first fetched here)"
    return "not published: recorded when it is first fetched, and checked from then on"


def facts(paper_set: PaperSet, root: Path) -> dict[str, Any]:
    return {
        "name": paper_set.name,
        "what": paper_set.what,
        "pictures": paper_set.pictures,
        "bytes": paper_set.size,
        "exact": paper_set.exact,
        "terms": paper_set.terms,
        "source": paper_set.source,
        "layout": paper_set.layout,
        "data": paper_set.name if paper_set.config else None,
        "by_hand": paper_set.instead,
        "there": (root / paper_set.name).is_dir(),
        "files": [{"urls": list(file.urls), **file.expected._asdict()} for file in paper_set.files],
    }


def _parser() -> Parser:
    parser = Parser(
        prog="stylegan-lab data list",
        description="The papers' data sets: size, licence, source. * marks those that are there.",
        epilog="example: stylegan-lab data list horse2zebra",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="say all that is known of this one")
    parser.add_argument("--root", type=Path, help="where they are kept ($STYLEGAN_LAB_DATA, else datasets)")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser
