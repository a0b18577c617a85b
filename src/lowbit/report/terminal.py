# SPDX-License-Identifier: Apache-2.0
"""The table for the terminal: as many columns as fit, best figures marked, reasons and verdict below."""

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lowbit.report.columns import Cell, Column, Footnotes, cells, columns, reference
from lowbit.results import Results, Row

BEST_MARK = "★"
_GAP = 2  # characters between columns


def terminal_table(results: Results) -> "TerminalTable":
    """Something Rich prints: `console.print(terminal_table(results))`. It fits itself to the width it is given."""
    return TerminalTable(results)


class TerminalTable:
    """Drops the least important columns until the table fits, and says which it dropped."""

    def __init__(self, results: Results) -> None:
        self._results = results

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        rows = self._results.rows
        every = columns(self._results)
        shown = _fitting(every, rows, options.max_width)
        footnotes = Footnotes()
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
        for column in shown:
            table.add_column(
                _heading(column), justify="right" if column.right else "left", vertical="bottom", no_wrap=True
            )
        rendered = [cells(column, rows, footnotes) for column in shown]
        for line, row in zip(zip(*rendered, strict=True), rows, strict=True):
            table.add_row(*(_text(cell, column, row) for cell, column in zip(line, shown, strict=True)))
        yield table
        hidden = [column.heading for column in every if column not in shown]
        yield from _below(self._results, hidden, footnotes)


def _heading(column: Column) -> str:
    """The unit, or the last word, on a second line: headings are longer than figures."""
    return "\n".join(column.heading.replace("/", "/ ").rsplit(" ", 1))


def _fitting(every: tuple[Column, ...], rows: tuple[Row, ...], width: int) -> list[Column]:
    """Keep the columns of lowest rank whose widths sum up to the terminal's."""
    widths = {column.heading: _width(column, rows) + _GAP for column in every}
    shown: list[Column] = []
    left = width
    for column in sorted(every, key=lambda column: column.rank):
        if widths[column.heading] <= left:
            shown.append(column)
            left -= widths[column.heading]
    return [column for column in every if column in shown]


def _width(column: Column, rows: tuple[Row, ...]) -> int:
    heads = _heading(column).split("\n")
    mark = len(BEST_MARK) + 1 if column.number else 0
    return max([*map(len, heads), *(len(cell.text) + mark for cell in cells(column, rows, Footnotes()))])


def _text(cell: Cell, column: Column, row: Row) -> Text:
    if cell.missing:
        return Text(cell.text + _mark_space(column), style="dim")
    if cell.best:
        return Text(f"{cell.text} {BEST_MARK}", style="bold")
    faded = "dim" if row.status != "ok" else ""
    return Text(cell.text + _mark_space(column), style=faded)


def _mark_space(column: Column) -> str:
    """Keeps figures under each other whether or not the best mark stands behind them."""
    return "  " if column.number else ""


def _below(results: Results, hidden: list[str], footnotes: Footnotes) -> RenderResult:
    remarks = [f"{BEST_MARK} best of the column"]
    if (base := reference(results)) is not None:
        remarks.append(f"change: against {base.recipe}")
    if hidden:
        remarks.append("not shown at this width: " + ", ".join(hidden))
    yield Text(" · ".join(remarks), style="dim")
    for row in results.rows:
        if row.status != "ok":
            yield Text(f"{row.recipe}: {row.status}, {row.reason}", style="bold red" if row.status == "failed" else "")
    for line in footnotes.lines():
        yield Text(line, style="dim")
    if results.verdict is not None:
        yield Text()
        for sentence in results.verdict.lines:
            yield Text(sentence, style="bold")
