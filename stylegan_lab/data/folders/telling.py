"""What a check found, as a text for people and as a document for machines; both say the same."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from stylegan_lab.aligned import aligned
from stylegan_lab.data.folders.checking import Report, Summary
from stylegan_lab.data.folders.findings import Finding, number
from stylegan_lab.data.folders.layout import Layout
from stylegan_lab.images.unreadable import shown

Fits = Mapping[str, Sequence[str]]  # models, by the choice of data with which they can play
SCHEMA = 1
PLAIN = re.compile(r"[\w./+-]+", re.ASCII)
SHOWN = 10  # items of what is only good to know; what is serious is told whole


def text(report: Report, fits: Fits) -> str:
    return "\n".join(_lines(report, fits))


def document(report: Report, fits: Fits) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "root": shown(report.root),
        "clean": report.clean,
        "layout": {
            "data": report.layout.data,
            "also": list(report.layout.also),
            "root": shown(report.root / report.layout.below),
            "evidence": [shown(sentence) for sentence in report.layout.evidence],
        },
        "parts": [{**summary._asdict(), "domain": shown(summary.domain)} for summary in report.summaries],
        "findings": [
            {
                "kind": finding.kind,
                "serious": finding.serious,
                "says": shown(finding.says),
                "items": [
                    {"files": [shown(path) for path in item.files], "note": shown(item.note)} for item in finding.items
                ],
            }
            for finding in report.findings
        ],
        "fits": [
            {"data": data, "models": list(models), "command": command(report, data, models[0])}
            for data, models in fits.items()
        ],
    }


def command(report: Report, data: str, model: str) -> str:
    root = shown(report.root / report.layout.below)
    if not PLAIN.fullmatch(root):  # Hydra's quotes within the shell's
        root = '"' + root.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"stylegan-lab train model={model} data={data} {shlex.quote(f'data.root={root}')}"


def _lines(report: Report, fits: Fits) -> Iterator[str]:
    count = number(sum(summary.pictures for summary in report.summaries), "picture")
    yield f"{shown(report.root)}: {count}, to be read by data={report.layout.data}"
    yield from (f"  {shown(sentence)}" for sentence in report.layout.evidence)
    yield ""
    yield from _table([_row(summary, report.layout) for summary in report.summaries])
    for title, serious in (("to mend", True), ("good to know", False)):
        if found := [finding for finding in report.findings if finding.serious == serious]:
            yield from ("", title)
            for finding in found:
                yield from _told(finding)
    yield from ("", "what fits")
    yield from _table([(f"data={data}", f"model={' or '.join(models)}") for data, models in fits.items()])
    data, models = next(iter(fits.items()))
    yield f"  {command(report, data, models[0])}"
    yield ""
    to_mend = sum(finding.serious for finding in report.findings)
    yield f"{number(to_mend, 'thing')} to mend" if to_mend else "nothing to mend"


def _row(summary: Summary, layout: Layout) -> tuple[str, ...]:
    outside = "beside the folders" if any(layout.domains) and not summary.domain else ""
    name = " ".join(filter(None, (summary.split, shown(summary.domain) or outside))) or "all"
    count = number(summary.pictures, "picture") + (f", {summary.bad:,} bad" if summary.bad else "")
    return name, count, _sizes(summary), _counts(summary.modes), _counts(summary.formats)


def _sizes(summary: Summary) -> str:
    smallest, median, largest = (
        f"{size[0]}x{size[1]}" if size else "" for size in (summary.smallest, summary.median, summary.largest)
    )
    return smallest if summary.sizes < 2 else f"{smallest} to {largest}, median {median} ({summary.sizes:,} sizes)"


def _counts(counts: Mapping[str, int]) -> str:
    """JPEG, or where there are several: 12 JPEG, 3 PNG"""
    return (
        next(iter(counts), "") if len(counts) < 2 else ", ".join(f"{count:,} {name}" for name, count in counts.items())
    )


def _told(finding: Finding) -> Iterator[str]:
    yield f"  {shown(finding.says)}{':' if finding.items else ''}"
    items = finding.items if finding.serious else finding.items[:SHOWN]
    yield from (f"    {', '.join(shown(path) for path in item.files)}  {shown(item.note)}".rstrip() for item in items)
    if len(items) < len(finding.items):
        yield f"    and {len(finding.items) - len(items):,} more; --json names them all"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (f"  {line}" for line in aligned(rows))
