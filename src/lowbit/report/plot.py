# SPDX-License-Identifier: Apache-2.0
"""What accuracy costs: the primary metric against size and against latency. What to draw; `drawing` says how."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowbit.errors import InputError, MissingExtraError
from lowbit.files import replacing
from lowbit.report.columns import reference, shown_value
from lowbit.results import Results, Row

FORMATS = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Family:
    """Rows drawn alike: by shape and by colour (Okabe and Ito's palette), so that either is enough."""

    name: str
    colour: str
    marker: str


FLOAT = Family("float", "#000000", "o")
WEIGHTS_ONLY = Family("integer weights, float activations", "#009E73", "D")
PTQ = Family("post-training quantization", "#0072B2", "s")
QAT = Family("quantization-aware training", "#D55E00", "^")
FAMILIES = (FLOAT, WEIGHTS_ONLY, PTQ, QAT)


@dataclass(frozen=True)
class Point:
    """One row in a panel. `clipped`: its true y is off the scale; the label says it."""

    x: float
    y: float
    label: str
    family: Family
    hollow: bool
    clipped: bool


@dataclass(frozen=True)
class Panel:
    """Points over one x; `front` are the best trade-offs, from small x to large."""

    x_label: str
    points: tuple[Point, ...]
    front: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Picture:
    """Two panels over one y axis. `base` is the float row's value, `interval` its 95 % interval, `allowed` how far
    under it a row may be; None where not known.
    """

    title: str
    y_label: str
    limits: tuple[float, float]
    base: float | None
    interval: tuple[float, float] | None
    allowed: float | None
    panels: tuple[Panel, ...]


def tradeoff_plot(results: Results, path: str | os.PathLike[str]) -> None:
    """Write a picture of two panels; `path` ends in .png, .svg or .pdf.

    Raises MissingExtraError without matplotlib, InputError for another ending, for results with nothing to draw, and
    where the place cannot be written.
    """
    if Path(path).suffix not in FORMATS:
        raise InputError(
            received=os.fspath(path), expected=f"a file ending in {', '.join(FORMATS)}", mend="change the ending"
        )
    try:
        from lowbit.report import drawing  # here, as it loads matplotlib, which is optional
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    picture = compose(results)
    with replacing(path) as temporary:
        drawing.draw(picture, temporary)


def compose(results: Results) -> Picture:
    """What the plot of these results shows; raises InputError when no row has the primary metric."""
    rows = [row for row in results.rows if row.status == "ok" and results.primary in row.metrics]
    if not rows:
        raise InputError(
            received=f"no row with {results.primary}", expected="results with figures", mend="use labelled test data"
        )
    metric = rows[0].metrics[results.primary]
    unit = shown_value(metric)[1]
    base = reference(results)
    base_metric = base.metrics.get(results.primary) if base else None
    factor = 100 if unit == "%" else 1
    interval = None
    if base_metric is not None and base_metric.ci95 is not None:
        interval = (factor * base_metric.ci95[0], factor * base_metric.ci95[1])
    values = {row.recipe: shown_value(row.metrics[results.primary])[0] for row in rows}
    higher = metric.direction == "higher"
    limits = _limits(list(values.values()), interval or (), higher, least=2.0 if unit == "%" else 0.0)
    shown = {row.recipe for row in rows}
    drawn = [row for row in rows if chosen(row) not in shown]
    copies = {row.recipe: [other.recipe for other in rows if chosen(other) == row.recipe] for row in drawn}
    names = [str(part["name"]) for part in (results.model, results.dataset) if "name" in part]
    sizes = {row.recipe: row.size_bytes / 1000 for row in rows if row.size_bytes}
    latencies = {row.recipe: row.latency_ms.median for row in rows if row.latency_ms}
    return Picture(
        title=": ".join([*([" on ".join(names)] if names else []), f"{results.primary} against size and latency"]),
        y_label=f"{results.primary} of the test split, {unit}",
        limits=limits,
        base=factor * base_metric.value if base_metric else None,
        interval=interval,
        allowed=results.verdict.max_drop if results.verdict and base_metric and unit == "%" else None,
        panels=(
            _panel("file size, kB", drawn, sizes, values, limits, higher, copies),
            _panel(_latency_words(rows), drawn, latencies, values, limits, higher, copies),
        ),
    )


def family(row: Row) -> Family:
    """The family of a row, from its name and the types of its numbers."""
    if "qat" in (chosen(row) or row.recipe):
        return QAT
    activations = row.activations or ""
    if activations.startswith("int") and "dynamic" not in activations:  # dynamic range: float between the ops
        return PTQ
    return WEIGHTS_ONLY if (row.weights or "").startswith("int") else FLOAT


def chosen(row: Row) -> str | None:
    """The recipe whose file an `auto-*` row is a copy of; None for rows of their own."""
    return row.notes["chosen"].partition(",")[0] if "chosen" in row.notes else None


def _panel(
    x_label: str,
    rows: Sequence[Row],
    xs: dict[str, float],
    values: dict[str, float],
    limits: tuple[float, float],
    higher: bool,
    copies: Mapping[str, Sequence[str]],
) -> Panel:
    """The rows that have an x, with the names of their copies. A value beyond the limits sits just inside them."""
    low, high = limits
    edge = 0.025 * (high - low)
    points = []
    for row in rows:
        if row.recipe not in xs:
            continue
        value = values[row.recipe]
        clipped = not low <= value <= high
        name = f"{row.recipe} ({value:.1f}, off the scale)" if clipped else row.recipe
        points.append(
            Point(
                x=xs[row.recipe],
                y=min(max(value, low + edge), high - edge) if clipped else value,
                label="\n".join((name, *copies[row.recipe])),
                family=family(row),
                hollow=row.kind == "keras",
                clipped=clipped,
            )
        )
    return Panel(x_label, tuple(points), front([(p.x, p.y) for p in points if not p.clipped], higher))


def front(points: Sequence[tuple[float, float]], higher: bool) -> tuple[tuple[float, float], ...]:
    """The points that no other beats in both figures, from small x to large; `higher`: more y is better.

    >>> front([(3, 90), (1, 80), (2, 70), (4, 85)], higher=True)
    ((1, 80), (3, 90))
    """
    sign = 1 if higher else -1
    best: list[tuple[float, float]] = []
    for x, y in sorted(points, key=lambda point: (point[0], -sign * point[1])):
        if not best or sign * y > sign * best[-1][1]:
            best.append((x, y))
    return tuple(best)


def _limits(values: list[float], interval: Sequence[float], higher: bool, least: float) -> tuple[float, float]:
    """Lower and upper end of the y axis.

    A few collapsed rows must not flatten all others: they go to the edge. Nor must chance be magnified: the float
    row's 95 % interval is always in sight.
    """
    best = max(values) if higher else min(values)
    behind = sorted(abs(best - value) for value in values)
    reach = max(3.5 * behind[(3 * len(behind)) // 4], least)
    kept = [value for value in values if abs(best - value) <= reach] + list(interval)
    margin = 0.08 * (max(kept) - min(kept)) or 0.5
    return min(kept) - margin, max(kept) + margin


def _latency_words(rows: Sequence[Row]) -> str:
    threads = {row.latency_ms.threads for row in rows if row.latency_ms}
    count = next(iter(threads)) if len(threads) == 1 else None
    return "latency of one sample, ms (median" + (f", {count} thread{'s' * (count > 1)})" if count else ")")
