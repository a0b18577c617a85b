# SPDX-License-Identifier: Apache-2.0
"""Draws the trade-off picture with matplotlib; the only file that imports it."""

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from lowbit.report.labels import POINT_RADIUS, Box, anchor, place
from lowbit.report.plot import FAMILIES, Panel, Picture, Point

INK, QUIET, GRID, ALLOWED = "#222222", "#777777", "#ebebeb", "#f6f2df"
DOTTED = (0, (1, 1.5))
LEADER_FROM = 9  # points (1/72 inch) between a marker and its label from which a line joins them


def draw(picture: Picture, path: Path) -> None:
    """Write the picture; the ending of `path` says the format. The same picture gives the same bytes."""
    figure = Figure(figsize=(13, 6.4), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    every: list[Any] = list(figure.subplots(1, len(picture.panels), sharey=True, squeeze=False)[0])
    for axes, panel in zip(every, picture.panels, strict=True):
        _draw_panel(axes, panel, picture)
    every[0].set_ylabel(picture.y_label, color=INK)
    figure.suptitle(picture.title, color=INK, fontsize=13)
    _draw_legend(figure, picture)
    figure.canvas.draw()  # fixes the layout, which labels need
    figure.set_layout_engine("none")
    for axes, panel in zip(every, picture.panels, strict=True):
        _write_labels(figure, axes, panel)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def _draw_panel(axes: Axes, panel: Panel, picture: Picture) -> None:
    axes.set_ylim(*picture.limits)
    axes.set_xlabel(panel.x_label, color=INK)
    _scale_x(axes, [point.x for point in panel.points])
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=QUIET, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if picture.base is not None:
        axes.axhline(picture.base, color=QUIET, linewidth=0.8, zorder=1)
        if picture.allowed is not None:
            axes.axhspan(picture.base - picture.allowed, picture.base, color=ALLOWED, zorder=0)
        if picture.interval is not None:
            _draw_interval(axes, picture.base, picture.interval)
    if len(panel.front) > 1:
        xs, ys = zip(*panel.front, strict=True)
        axes.plot(xs, ys, drawstyle="steps-post", color=QUIET, linewidth=1, linestyle=DOTTED, zorder=2)
    for point in panel.points:
        axes.plot(
            point.x,
            point.y,
            marker="v" if point.clipped else point.family.marker,
            color=point.family.colour,
            markerfacecolor="white" if point.hollow else point.family.colour,
            markersize=7,
            linestyle="none",
            zorder=4,
        )


def _draw_interval(axes: Axes, base: float, interval: tuple[float, float]) -> None:
    """The float row's 95 % interval, at the right edge: what chance alone can do."""
    down, up = base - interval[0], interval[1] - base
    axes.errorbar(
        0.985, base, yerr=[[down], [up]], transform=axes.get_yaxis_transform(), color=QUIET, capsize=3, linewidth=1
    )


def _scale_x(axes: Axes, xs: list[float]) -> None:
    """Logarithmic from a factor of five on; room for labels on both sides."""
    if not xs:
        return
    if max(xs) > 5 * min(xs):
        axes.set_xscale("log")
        spread = max(xs) / min(xs)
        axes.set_xlim(min(xs) / spread**0.3, max(xs) * spread**0.3)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if spread > 300 else (1.0, 2.0, 5.0)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        margin = 0.15 * (max(xs) - min(xs)) or 0.1 * max(xs)
        axes.set_xlim(min(xs) - 2 * margin, max(xs) + 2 * margin)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.10g}"))


def _write_labels(figure: Figure, axes: Axes, panel: Panel) -> None:
    """Label every point, those that lie on each other together, without covering anything."""
    scale = figure.dpi / 72  # pixels in a point
    groups = _together(figure, axes, panel.points)
    texts = [
        axes.annotate(
            "\n".join(point.label for point in group),
            (0, 0),
            xycoords="figure points",
            fontsize=8.5,
            color=group[0].family.colour,
            linespacing=1.15,
            va="bottom",
            zorder=5,
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
        for group in groups
    ]
    extents = [text.get_window_extent() for text in texts]
    spots = [_spot(figure, axes, group[0]) for group in groups]
    window = axes.get_window_extent()
    frame = Box(window.x0 / scale + 3, window.y0 / scale + 3, 0.975 * window.x1 / scale, window.y1 / scale - 3)
    labelled = {id(group[0]) for group in groups}
    others = [_spot(figure, axes, point) for point in panel.points if id(point) not in labelled]
    boxes = place(spots, [(extent.width / scale, extent.height / scale) for extent in extents], frame, others)
    for group, spot, text, box in zip(groups, spots, texts, boxes, strict=True):
        text.set_position((box.x0, box.y0))
        meeting = anchor(spot, box)
        if math.dist(meeting, spot) > LEADER_FROM:
            line = {"arrowstyle": "-", "color": group[0].family.colour, "linewidth": 0.7, "shrinkA": 1, "shrinkB": 5}
            axes.annotate("", spot, meeting, xycoords="figure points", textcoords="figure points", arrowprops=line)


def _together(figure: Figure, axes: Axes, points: tuple[Point, ...]) -> list[list[Point]]:
    """Points of one family that lie on each other share one label."""
    groups: list[list[Point]] = []
    for point in points:
        for group in groups:
            apart = math.dist(_spot(figure, axes, point), _spot(figure, axes, group[0]))
            if point.family == group[0].family and apart < POINT_RADIUS:
                group.append(point)
                break
        else:
            groups.append([point])
    return groups


def _spot(figure: Figure, axes: Axes, point: Point) -> tuple[float, float]:
    """Where a point is in the figure, in points (1/72 inch) from its lower left corner."""
    x, y = axes.transData.transform((point.x, point.y)) * 72 / figure.dpi
    return float(x), float(y)


def _draw_legend(figure: Figure, picture: Picture) -> None:
    points = [point for panel in picture.panels for point in panel.points]
    present = {point.family for point in points}
    handles: list[Any] = [
        Line2D([], [], color=kind.colour, marker=kind.marker, linestyle="none", label=kind.name)
        for kind in FAMILIES
        if kind in present
    ]
    if any(point.hollow for point in points):
        hollow = Line2D([], [], color=INK, marker="o", markerfacecolor="white", linestyle="none")
        hollow.set_label("hollow: run by Keras")
        handles.append(hollow)
    handles.append(Line2D([], [], color=QUIET, linewidth=1, linestyle=DOTTED, label="best trade-offs"))
    if picture.allowed is not None:
        words = f"{picture.allowed:g} point{'' if picture.allowed == 1 else 's'}"
        handles.append(Patch(color=ALLOWED, label=f"allowed drop, {words}"))
    if picture.interval is not None:
        bar = Line2D([], [], color=QUIET, marker="|", markersize=9, linestyle="none", label="95 % interval of float")
        handles.append(bar)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / 2), frameon=False, fontsize=9
    )
