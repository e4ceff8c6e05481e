"""Implements `stylegan-lab data check`: reads every image of a folder once, and reports issues as text or JSON."""

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stylegan_lab.console import format_table, report_progress
from stylegan_lab.data.folders.issues import (
    DataIssue,
    IssueItem,
    Probes,
    few_images_issue,
    file_issues,
    find_other_files,
    format_count,
    other_files_below,
    pair_issues,
    pair_name_issues,
    side_by_side_issues,
    single_pair_issues,
    split_issues,
)
from stylegan_lab.data.folders.layout import CONTENTS, Layout, LayoutPart, detect_layout, matched_pairs
from stylegan_lab.data.folders.listing import images_below
from stylegan_lab.data.folders.scan import ProbedImage, scan_images
from stylegan_lab.errors import UserError
from stylegan_lab.images.open_image import SUFFIXES, display_name

ModelsByData = Mapping[str, Sequence[str]]  # models that fit each data config; the first is suggested
SCHEMA = 1
UNQUOTED = re.compile(r"[\w./+-]+", re.ASCII)
MAX_LISTED = 10  # items of an issue that is not serious; serious issues are listed in full


class DomainSummary(NamedTuple):
    """A summary of one domain in one split. `smallest`, `median` and `largest` are (width, height), compared by area; `sizes` is
    the number of different sizes."""

    split: str
    domain: str
    images: int
    bad: int
    smallest: tuple[int, int] | None
    median: tuple[int, int] | None
    largest: tuple[int, int] | None
    sizes: int
    modes: Mapping[str, int]
    formats: Mapping[str, int]
    rotated: int


class DataReport(NamedTuple):
    """The result of a check. The paths in its issues are relative to the root."""

    root: Path
    layout: Layout
    summaries: Sequence[DomainSummary]
    issues: Sequence[DataIssue]

    @property
    def has_no_problems(self) -> bool:
        return not any(issue.serious for issue in self.issues)


def check_folder(root: Path) -> DataReport:
    files, others = _list_files(root)
    with report_progress("checking", len(files), in_bytes=False) as advance:
        found = scan_images([root / path for path in files], advance)
    probes = {path.relative_to(root): probe for path, probe in found.items()}

    def image_size(path: Path) -> tuple[int, int] | None:
        probe = probes[path]
        return (probe.width, probe.height) if isinstance(probe, ProbedImage) else None

    layout = detect_layout(files, image_size)
    issues = [*file_issues(layout.parts, probes), *_layout_issues(layout, probes), *find_other_files(root, others)]
    issues.sort(key=lambda issue: not issue.serious)
    return DataReport(root, layout, [_summary(part, probes) for part in layout.parts], issues)


def _list_files(root: Path) -> tuple[list[Path], list[Path]]:
    """The images and the other files below the root, relative to it."""
    if not root.is_dir():
        if root.exists():
            raise UserError("data.not_a_folder", f"{display_name(root)} is a file; give a folder of images")
        raise UserError("data.folder_missing", f"{display_name(root)} does not exist; give a folder of images")
    images = [path.relative_to(root) for path in images_below(root)]
    others = list(other_files_below(root))
    if not images:
        details = "".join(f"; {issue.message}" for issue in find_other_files(root, others))
        raise UserError(
            "data.no_images",
            f"{display_name(root)} contains no images ({', '.join(sorted(SUFFIXES))}){display_name(details)}",
        )
    return images, others


def _layout_issues(layout: Layout, probes: Probes) -> Iterator[DataIssue]:
    yield from split_issues(_split_separately(layout))
    if layout.data == "single_pair":
        yield from single_pair_issues(layout.parts, probes)
    if layout.data != "paired":
        yield from few_images_issue(layout.data, sum(len(part.files) for part in layout.parts))
        return
    if not any(layout.domains):
        yield from side_by_side_issues(layout.parts, probes)
        return
    yield from pair_name_issues(layout.parts)
    a, b = (name for name in layout.domains if name)
    pairs: list[tuple[Path, Path]] = []
    missing: list[IssueItem] = []
    for split, (in_a, in_b) in matched_pairs(layout.parts):
        if in_a and in_b:
            pairs.append((in_a, in_b))
        elif image := in_a or in_b:
            other = " ".join(filter(None, (split, b if in_a else a)))
            missing.append(IssueItem((image,), f"has no counterpart in {other}"))
    yield from pair_issues(pairs, missing, probes)


def _split_separately(layout: Layout) -> dict[str, list[LayoutPart]]:
    """The parts that training splits into train, val and test at a time, by the name of what it splits."""
    if layout.data == "single_pair":
        return {}
    domains = [name for name in layout.domains if name] if layout.data != "flat" else []
    if not domains:
        return {"the folder": list(layout.parts)}
    if layout.data == "style":
        domains = [name for name in domains if name.lower() in CONTENTS]
    if layout.data == "paired":
        domains = domains[:1]  # the other one follows it
    return {name: [part for part in layout.parts if part.domain == name] for name in domains}


def _summary(part: LayoutPart, probes: Probes) -> DomainSummary:
    readable = [probe for path in part.files if isinstance(probe := probes[path], ProbedImage)]
    sizes = sorted(((probe.width, probe.height) for probe in readable), key=lambda size: (size[0] * size[1], size))
    return DomainSummary(
        split=part.split,
        domain=part.domain,
        images=len(part.files),
        bad=len(part.files) - len(readable),
        smallest=sizes[0] if sizes else None,
        median=sizes[len(sizes) // 2] if sizes else None,
        largest=sizes[-1] if sizes else None,
        sizes=len(set(sizes)),
        modes=dict(Counter(probe.mode for probe in readable).most_common()),
        formats=dict(Counter(probe.format for probe in readable).most_common()),
        rotated=sum(probe.rotated for probe in readable),
    )


def data_report_as_text(report: DataReport, models_by_data: ModelsByData) -> str:
    return "\n".join(_lines(report, models_by_data))


def data_report_as_json(report: DataReport, models_by_data: ModelsByData) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "root": display_name(report.root),
        "clean": report.has_no_problems,
        "layout": {
            "data": report.layout.data,
            "also": list(report.layout.also),
            "root": display_name(report.root / report.layout.root),
            "evidence": [display_name(sentence) for sentence in report.layout.evidence],
        },
        "parts": [{**summary._asdict(), "domain": display_name(summary.domain)} for summary in report.summaries],
        "issues": [
            {
                "kind": issue.kind,
                "serious": issue.serious,
                "message": display_name(issue.message),
                "items": [
                    {"files": list(map(display_name, item.files)), "note": display_name(item.note)}
                    for item in issue.items
                ],
            }
            for issue in report.issues
        ],
        "suggestions": [
            {"data": data, "models": list(models), "command": suggested_command(report, data, models[0])}
            for data, models in models_by_data.items()
        ],
    }


def suggested_command(report: DataReport, data: str, model: str) -> str:
    root = display_name(report.root / report.layout.root)
    if not UNQUOTED.fullmatch(root):  # Hydra's quotes inside those of the shell
        root = '"' + root.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"stylegan-lab train model={model} data={data} {shlex.quote(f'data.root={root}')}"


def _lines(report: DataReport, models_by_data: ModelsByData) -> Iterator[str]:
    count = format_count(sum(summary.images for summary in report.summaries), "image")
    yield f"{display_name(report.root)}: {count}, to be read by data={report.layout.data}"
    yield from (f"  {display_name(sentence)}" for sentence in report.layout.evidence)
    yield ""
    yield from _table([_row(summary, report.layout) for summary in report.summaries])
    for title, serious in (("problems", True), ("hints", False)):
        if found := [issue for issue in report.issues if issue.serious == serious]:
            yield from ("", title)
            for issue in found:
                yield from _issue_lines(issue)
    yield from ("", "models for this data")
    yield from _table([(f"data={data}", f"model={' or '.join(models)}") for data, models in models_by_data.items()])
    data, models = next(iter(models_by_data.items()))
    yield f"  {suggested_command(report, data, models[0])}"
    yield ""
    problems = sum(issue.serious for issue in report.issues)
    yield format_count(problems, "problem") if problems else "no problems"


def _row(summary: DomainSummary, layout: Layout) -> tuple[str, ...]:
    outside = "outside the folders" if any(layout.domains) and not summary.domain else ""
    name = " ".join(filter(None, (summary.split, display_name(summary.domain) or outside))) or "all"
    count = format_count(summary.images, "image") + (f", {summary.bad:,} bad" if summary.bad else "")
    return name, count, _sizes(summary), _counts(summary.modes), _counts(summary.formats)


def _sizes(summary: DomainSummary) -> str:
    shown = (summary.smallest, summary.median, summary.largest)
    smallest, median, largest = (f"{size[0]}x{size[1]}" if size else "" for size in shown)
    return smallest if summary.sizes < 2 else f"{smallest} to {largest}, median {median} ({summary.sizes:,} sizes)"


def _counts(counts: Mapping[str, int]) -> str:
    """ "JPEG", or if there are several kinds "12 JPEG, 3 PNG"."""
    return ", ".join(f"{count:,} {name}" for name, count in counts.items()) if len(counts) > 1 else "".join(counts)


def _issue_lines(issue: DataIssue) -> Iterator[str]:
    yield f"  {display_name(issue.message)}{':' if issue.items else ''}"
    items = issue.items if issue.serious else issue.items[:MAX_LISTED]
    for item in items:
        yield f"    {', '.join(map(display_name, item.files))}  {display_name(item.note)}".rstrip()
    if len(items) < len(issue.items):
        yield f"    and {len(issue.items) - len(items):,} more; --json lists all"


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield from (f"  {line}" for line in format_table(rows))
