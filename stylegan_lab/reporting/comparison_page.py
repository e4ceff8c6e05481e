"""The HTML page of a comparison: scores, cost, samples, curves and settings in one file that works offline."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from stylegan_lab.reporting.comparison import ComparisonTableRow, RunComparison
from stylegan_lab.reporting.comparison_table import COSTS, recorded_costs
from stylegan_lab.reporting.curves import PLOT, curve_panels
from stylegan_lab.reporting.html_page import SliderPosition, render_page, sample_sets
from stylegan_lab.reporting.preference_study.preferences import Preferences
from stylegan_lab.reporting.run_record import RunRecord
from stylegan_lab.reporting.score_columns import SIGNIFICANCE_LEVEL, Ranking, ScoreCell

MAX_SETTINGS = 8  # shown in the table of scores; with more, they are in their own table only
RANKING_TEXTS: dict[Ranking, str] = {
    "best": "best",
    "not_significant": f"not significantly different from the best (p >= {SIGNIFICANCE_LEVEL})",
    "worse": "worse than the best",
    "untested": "too few seeds for a test against the best",
    "other_protocol": "the only row measured by its protocol: not compared",
    "unranked": "",
}
RUN_COLUMNS: dict[str, Callable[[RunRecord], Any]] = {
    "seed": lambda run: "" if run.seed is None else run.seed,
    "state": lambda run: run.state,
    "iteration": lambda run: f"{run.iteration:,}",
    "commit": lambda run: (run.environment.get("commit") or "")[:8],
    "hardware": lambda run: run.cost.hardware,
    "warnings": lambda run: "; ".join(run.warnings),
}


def comparison_page(comparison: RunComparison) -> str:
    samples, curve_groups = sample_sets(comparison.runs), curve_panels(comparison.rows)
    shown = comparison.differences.shown
    return render_page(
        "comparison.html.j2",
        comparison=comparison,
        date=time.strftime("%Y-%m-%d"),
        settings=shown if len(shown) <= MAX_SETTINGS else (),
        costs={name: COSTS[name] for name in recorded_costs(comparison)},
        score_title=_score_title,
        preference_title=_preference_title,
        samples=samples,
        run_indices=comparison.run_indices,
        captions=[", ".join(each) if len(each := _settings(row)) <= MAX_SETTINGS else "" for row in comparison.rows],
        curve_groups=curve_groups,
        open_curve_group=next(iter(curve_groups), None),  # scores, or else losses
        plot=PLOT,
        run_columns=RUN_COLUMNS,
        data=_page_data(comparison, samples),
    )


def _score_title(cell: ScoreCell) -> str:
    welch = f", Welch p = {cell.p_value:.2g} after Holm" if cell.p_value is not None else ""
    exact = f", exact p = {cell.exact_p_value:.2g}" if cell.exact_p_value is not None else ""
    protocol = f" of protocol {cell.letter}" if cell.letter and cell.ranking == "best" else ""
    return (
        f"{RANKING_TEXTS[cell.ranking]}{protocol}{welch}{exact} [{', '.join(f'{value:.6g}' for value in cell.values)}]"
    )


def _preference_title(preferences: Preferences, row: int) -> str:
    win_rate = preferences.win_rates[row]
    assert win_rate is not None
    pairs = [(other, pair) for (first, other), pair in preferences.pairs.items() if first == row]
    against = ", ".join(f"{pair.win_rate:.2f} against row {other + 1} ({pair.votes})" for other, pair in pairs)
    strength = f"Bradley-Terry {preferences.strengths[row]:.2f}"
    return f"{RANKING_TEXTS[win_rate.ranking]}; of {win_rate.votes} votes; {against}; {strength}"


def _settings(row: ComparisonTableRow) -> list[str]:
    return [f"{key}={value}" for key, value in row.settings.items() if value]


def _page_data(comparison: RunComparison, samples: Sequence[SliderPosition]) -> dict[str, Any]:
    """The data that the page's script reads."""
    return {
        "rows": [
            {
                "text": " ".join([row.name, row.state, *_settings(row)]).lower(),  # that the filter searches
                "values": {each.name: cell.summary.mean for each in comparison.columns if (cell := each.cells[index])},
            }
            for index, row in enumerate(comparison.rows)
        ],
        "runs": [str(run.folder) for run in comparison.runs],
        "samples": [{"name": each.name, "images": each.images, "row_names": each.row_names} for each in samples],
    }
