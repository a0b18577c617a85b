# SPDX-License-Identifier: Apache-2.0
"""Draws how ranges and codes moved, with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lowbit.report.drawing import GRID, INK, QUIET
from lowbit.report.movement import Lines

_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
_MARKERS = ("o", "^", "s", "D", "v", "P")
_OTHERS = "#c8c8c8"


def draw(panels: Sequence[Lines], path: Path) -> None:
    """Write the picture; the ending of `path` says the format. The same panels give the same bytes."""
    figure = Figure(figsize=(15, 5.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, panel in zip(figure.subplots(1, len(panels)), panels, strict=True):
        _draw_panel(axes, panel)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_panel(axes: Any, panel: Lines) -> None:
    axes.set_title(panel.title, color=INK, fontsize=11)
    axes.set_ylabel(panel.y_label, color=INK)
    axes.set_xlabel("epoch", color=INK)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET, labelsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    others = [name for name in panel.values if name not in panel.named]
    for number, name in enumerate(others):
        label = f"{len(others)} others" if number == 0 else None
        axes.plot(panel.epochs, panel.values[name], color=_OTHERS, linewidth=0.8, label=label)
    for name, colour, marker in zip(panel.named, _COLOURS, _MARKERS, strict=False):
        axes.plot(panel.epochs, panel.values[name], color=colour, marker=marker, markersize=4, label=name)
    if panel.values:
        axes.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12))  # over no curve
    else:
        axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center", color=QUIET)
