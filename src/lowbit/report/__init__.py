# SPDX-License-Identifier: Apache-2.0
"""Results as a table, Markdown, CSV, plots and one HTML page. Renders what was stored, changes nothing."""

from lowbit.report.gate import Outcome, check, regressions
from lowbit.report.markdown import markdown
from lowbit.report.page import html
from lowbit.report.picture import samples_picture
from lowbit.report.plot import tradeoff_plot
from lowbit.report.spreadsheet import csv_text
from lowbit.report.terminal import terminal_table

__all__ = [
    "Outcome",
    "check",
    "csv_text",
    "html",
    "markdown",
    "regressions",
    "samples_picture",
    "terminal_table",
    "tradeoff_plot",
]
