# SPDX-License-Identifier: Apache-2.0
"""A run, or several side by side, as one HTML file that needs nothing else: no network, no other file."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from lowbit.errors import MissingExtraError
from lowbit.report import charts
from lowbit.report.charts import Chart
from lowbit.report.columns import NONE, REFERENCES, Cell, Column, Footnotes, cells, columns
from lowbit.report.plot import FAMILIES, chosen, family
from lowbit.results import Details, Results, Row

_PLACE = "assets"
RANK_ON_PAPER = 8  # columns of this rank and above have no room there
_LEAST_TOLD = 1.05  # a ratio below is "as large", "as fast"


@dataclass(frozen=True, kw_only=True)
class Run:
    """What the page tells of one run.

    `table` has each row with its family and its cells, each with what it is sorted by. `own` are the rows that are no
    copies of others, as `auto-*` are.
    """

    number: int
    name: str
    results: Results
    details: Details
    ship: str
    columns: tuple[Column, ...]
    table: tuple[tuple[Row, str, tuple[tuple[Cell, str], ...]], ...]
    own: tuple[Row, ...]
    footnotes: tuple[str, ...]
    charts: dict[str, Chart]

    def chart_names(self, *begins: str) -> list[str]:
        """Of the charts there are, those whose names begin so."""
        return [name for name in self.charts if name.startswith(begins)]


def html(
    results: Results, details: Details | None = None, others: Sequence[tuple[Results, Details | None]] = ()
) -> str:
    """The page; `others` are further runs, told beside the first.

    Raises MissingExtraError without Jinja or Plotly.
    """
    try:
        from jinja2 import Environment, StrictUndefined
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError(error.name or "plotly", "plots") from error
    runs = [_run(number, *one) for number, one in enumerate([(results, details), *others])]
    figures = {f"run{run.number}-chart-{name}": chart.figure for run in runs for name, chart in run.charts.items()}
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["points"] = lambda value: f"{value:+.1f}".replace("-", "\N{MINUS SIGN}")
    template = environment.from_string(_text("page.html"))
    return template.render(
        runs=runs,
        families=FAMILIES,
        on_paper=RANK_ON_PAPER,
        side_by_side=_side_by_side(runs) if len(runs) > 1 else None,
        style=_text("page.css"),
        script=_text("page.js"),
        plotly=get_plotlyjs() if figures else "",
        figures=_json(figures),
    )


def ship(results: Results) -> str:
    """The verdict in one sentence: which file, how much smaller and faster, and what it may cost."""
    verdict = results.verdict
    if verdict is None:
        return "No verdict: no file was compared with float32."
    found = {row.recipe: row for row in results.rows}
    choice, base = verdict.best.get("size", REFERENCES[0]), found.get(REFERENCES[0])
    row = found.get(choice)
    if choice == REFERENCES[0]:
        return f"Ship float32.tflite: no smaller file stays within {_limit(verdict.max_drop)} of it."
    if row is None or row.file is None:
        return f"Ship {choice}."
    told = [f"{row.size_bytes:,} bytes"]
    if base is not None and base.size_bytes and row.size_bytes:
        told = [_times(base.size_bytes / row.size_bytes, "smaller", "larger")]
    if row.latency_ratio is not None:
        told.append(_times(1 / row.latency_ratio.value, "faster", "slower"))
    if (bound := verdict.at_most.get(choice)) is not None:
        word = f"drop at most {bound:.1f}" if bound > 0 else f"gain at least {-bound:.1f}"
        told.append(f"{results.primary} {word} {verdict.unit} (95 %)")
    undecided = " Few samples: the measured drop decided." if choice in verdict.undecided else ""
    return f"Ship {row.file.rpartition('/')[2]}: {', '.join(told)}.{undecided}"


def _limit(points: float | None) -> str:
    return "the limit" if points is None else f"{points:g} point{'' if points == 1 else 's'}"


def _times(ratio: float, more: str, less: str) -> str:
    """
    >>> _times(3.26, "smaller", "larger"), _times(0.5, "faster", "slower"), _times(1.01, "faster", "slower")
    ('3.3 times smaller', '2.0 times slower', 'no faster')
    """
    if 1 / _LEAST_TOLD < ratio < _LEAST_TOLD:
        return f"no {more}"
    return f"{ratio:.1f} times {more}" if ratio > 1 else f"{1 / ratio:.1f} times {less}"


def _run(number: int, results: Results, details: Details | None) -> Run:
    footnotes, shown = Footnotes(), columns(results)
    rendered = [cells(column, results.rows, footnotes) for column in shown]
    rows = []
    for index, row in enumerate(results.rows):
        own = [(one[index], _sorted_by(column, row, one[index])) for column, one in zip(shown, rendered, strict=True)]
        rows.append((row, family(row).name, tuple(own)))
    behind = Details() if details is None else details
    found = [*charts.tradeoffs(results), *charts.of_details(behind)]
    names = [str(part.get("name", "")) for part in (results.model, results.dataset)]
    return Run(
        number=number,
        name=" on ".join(name for name in names if name) or "run",
        results=results,
        details=behind,
        ship=ship(results),
        columns=shown,
        table=tuple(rows),
        own=tuple(row for row in results.rows if chosen(row) is None),
        footnotes=tuple(footnotes.lines()),
        charts={chart.name: chart for chart in found},
    )


def _sorted_by(column: Column, row: Row, cell: Cell) -> str:
    """What a cell is sorted by: the number behind it, else its text; nothing for a missing figure."""
    if cell.missing or cell.text == NONE:
        return ""
    number = column.number(row) if column.number else None
    return cell.text if number is None else repr(number)


def _side_by_side(runs: Sequence[Run]) -> list[tuple[str, list[tuple[Row | None, str]]]]:
    """For each recipe of any run its row in each, and that run's primary metric."""
    names = dict.fromkeys(row.recipe for run in runs for row in run.results.rows)
    found = [{row.recipe: row for row in run.results.rows} for run in runs]
    return [(name, [(rows.get(name), run.results.primary) for rows, run in zip(found, runs)]) for name in names]


def _text(name: str) -> str:
    return (files("lowbit.report") / _PLACE / name).read_text(encoding="utf-8")


def _json(value: Any) -> str:
    """JSON that can stand inside a script element: no `<` ends it."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
