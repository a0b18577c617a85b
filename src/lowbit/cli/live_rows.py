# SPDX-License-Identifier: Apache-2.0
"""The table of a comparison while it is being made: a row for each recipe, filled in as its jobs end."""

from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

STARTED = {"write": "writing", "h5": "writing", "evaluate": "evaluating", "measure": "measuring"}
BESIDE = 6  # lines of the terminal that are left to bars and heading


@dataclass
class _Row:
    state: str = "waiting"
    metric: str = ""
    seconds: float = 0.0


class LiveRows:
    """Fed with events of jobs; renders the rows there are, the latest ones where the terminal is too low for all."""

    def __init__(self) -> None:
        self._rows: dict[str, _Row] = {}
        self._metric = ""

    def on_job(self, event: Any) -> None:
        """A `lowbit.engines.JobEvent` that started or finished."""
        step, _, recipe = event.job.partition("-")
        if step not in STARTED or event.job == "measure-files":
            return
        row = self._rows.setdefault(recipe, _Row())
        if event.kind == "started":
            row.state = STARTED[step]
            return
        row.seconds += event.result.seconds
        row.state = "done" if event.result.ok else event.result.status
        if event.result.ok and step == "evaluate":
            self._metric, found = next(iter(event.result.value["test"].items()))
            row.metric = f"{100 * found['value']:.1f} %" if found["unit"] == "fraction" else f"{found['value']:.4g}"
        elif event.result.ok and step == "write":
            row.state = "written"

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self._rows:
            return
        table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("recipe", no_wrap=True)
        table.add_column("state", no_wrap=True)
        table.add_column(Text(self._metric), justify="right", no_wrap=True)
        table.add_column("seconds", justify="right", no_wrap=True)
        rows = list(self._rows.items())
        for recipe, row in rows[-max(console.height - BESIDE, 1) :]:
            style = {"failed": "red", "done": "green"}.get(row.state, "")
            table.add_row(Text(recipe), Text(row.state, style), Text(row.metric), f"{row.seconds:.1f}")
        yield table
