# SPDX-License-Identifier: Apache-2.0
"""The columns of the table: which figure, in which unit, which is best, and why one is missing."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lowbit.results import DeviceReport, Metric, Results, Row, milliseconds

MISSING = "n/a"
NONE = "–"  # nothing to tell: the float row's difference from itself
REFERENCES = ("float32", "keras-float32")
"""Rows that differences are taken from: the first that is there."""

NEAR_16 = (
    "16-bit activations are simulated in float arithmetic, which is near and not exact "
    "(LiteRT runs them in reference kernels)"
)

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `text` renders a row's figure, or gives None where it is missing; `fields` are the fields of the row
    that it comes from: their notes say why it is missing. `remark` explains a figure that is there, in a footnote.
    `absent` is why, where no field's note says it. `number` is what "best" is judged by, in `direction`.

    Columns of a lower `rank` are kept longer when the terminal is narrow. `tells_status`: a row that is not ok says so
    in this column.
    """

    heading: str
    rank: int
    text: Callable[[Row], str | None]
    fields: tuple[str, ...] = ()
    number: Callable[[Row], float | None] | None = None
    direction: str = "lower"
    right: bool = True
    remark: Callable[[Row], str | None] | None = None
    absent: str | None = None
    tells_status: bool = False


@dataclass
class Footnotes:
    """Reasons, numbered in the order in which they are first asked for; equal reasons share a number."""

    reasons: list[str] = field(default_factory=list)

    def mark(self, reason: str) -> str:
        if reason not in self.reasons:
            self.reasons.append(reason)
        return str(self.reasons.index(reason) + 1).translate(_SUPERSCRIPTS)

    def lines(self) -> list[str]:
        return [f"{str(number).translate(_SUPERSCRIPTS)} {reason}" for number, reason in enumerate(self.reasons, 1)]


@dataclass(frozen=True)
class Cell:
    """A rendered figure; `best` of its column, or `missing`."""

    text: str
    best: bool = False
    missing: bool = False


def columns(results: Results) -> tuple[Column, ...]:
    """The columns for these results, left to right, in units that suit the largest figures."""
    rows = results.rows
    size_unit, size = _unit([row.size_bytes for row in rows])
    zip_unit, zipped = _unit([row.compressed_bytes for row in rows])
    memory_unit, memory = _unit([row.peak_memory_bytes for row in rows])
    return (
        Column(heading="recipe", rank=0, text=lambda row: row.recipe, right=False),
        *_metric_columns(results),
        Column(
            heading="agrees %", rank=6, fields=("agreement_with_float",),
            text=lambda row: _percent(row.agreement_with_float),
        ),
        Column(heading="p", rank=13, fields=("mcnemar_p",), text=lambda row: _probability(row.mcnemar_p)),
        Column(
            heading=f"size {size_unit}", rank=1, fields=("size_bytes",),
            text=lambda row: size(row.size_bytes), number=lambda row: row.size_bytes,
        ),
        Column(
            heading=f"zipped {zip_unit}", rank=9, fields=("compressed_bytes",),
            text=lambda row: zipped(row.compressed_bytes), number=lambda row: row.compressed_bytes,
        ),
        Column(
            heading="latency ms", rank=1, fields=("latency_ms",), number=_median,
            text=lambda row: milliseconds(row.latency_ms.median) if row.latency_ms else None,
        ),
        Column(
            heading="× float32", rank=5, fields=("latency_ratio",), text=_ratio,
            number=lambda row: row.latency_ratio.value if row.latency_ratio else None,
        ),
        *_device_columns(results),
        Column(heading="p10 to p90", rank=10, fields=("latency_ms",), text=_percentiles),
        Column(
            heading=f"memory {memory_unit}", rank=8, fields=("peak_memory_bytes",),
            text=lambda row: memory(row.peak_memory_bytes), number=lambda row: row.peak_memory_bytes,
        ),
        Column(heading="weights/activations", rank=3, fields=("weights", "activations"), text=_types, right=False),
        Column(heading="float ops", rank=5, fields=("float_ops", "ops"), text=_float_ops),
        Column(
            heading="delegated %", rank=11, fields=("delegated_share",),
            text=lambda row: _percent(row.delegated_share, digits=0),
        ),
        Column(
            heading="parity %", rank=4, fields=("parity",), remark=_unequal,
            text=lambda row: _percent_down(row.parity.worst_equal) if row.parity else None,
        ),
        Column(
            heading="epochs", rank=12, fields=("trained_epochs",),
            text=lambda row: None if row.trained_epochs is None else str(row.trained_epochs),
        ),
        Column(
            heading="quantization", rank=15, fields=("quantization",), text=lambda row: row.quantization, right=False
        ),
        Column(heading="guide's name", rank=14, text=lambda row: row.guide_name or NONE, right=False),
    )  # fmt: skip


LEGEND = {
    "change": "difference from the float row",
    "agrees": "samples on which the answer is the float row's",
    "over seeds": "mean and standard deviation over the run's seeds",
    "p": "McNemar's exact test against the float row",
    "latency": "median of one sample",
    "× float32": "latency as a multiple of float32's, in turns with it, and its 95 % bootstrap interval",
    "memory": "peak above what was held after imports",
    "float ops": "ops that compute in float, of all ops",
    "delegated": "ops that XNNPACK runs",
    "parity": "equal codes at the worst tensor, file against simulation",
}
"""What the headings mean, for readers of the Markdown; a heading may go on after the word, with its unit."""


def cells(column: Column, rows: Sequence[Row], footnotes: Footnotes) -> list[Cell]:
    """The column rendered for all rows: best marked among those that are ok, their missing figures with a footnote."""
    best = _best(column, rows)
    rendered = []
    for row in rows:
        text = column.text(row)
        number = column.number(row) if column.number else None
        if text is None and row.status != "ok":
            rendered.append(Cell(row.status if column.tells_status else NONE, missing=True))
        elif text is None:
            reasons = [reason for name in column.fields if (reason := row.why_missing(name))]
            reasons += [] if column.absent is None else [column.absent]
            rendered.append(Cell(MISSING + (footnotes.mark(reasons[0]) if reasons else ""), missing=True))
        else:
            remark = column.remark(row) if column.remark else None
            text += footnotes.mark(remark) if remark else ""
            rendered.append(Cell(text, best=row.status == "ok" and number is not None and number == best))
    return rendered


def reference(results: Results) -> Row | None:
    """The float row that the others are compared with."""
    found = {row.recipe: row for row in results.rows if row.status == "ok"}
    return next((found[name] for name in REFERENCES if name in found), None)


def shown_value(metric: Metric) -> tuple[float, str]:
    """The metric in the unit it is shown in: fractions as percent."""
    return (100 * metric.value, "%") if metric.unit == "fraction" else (metric.value, metric.unit)


def _metric_columns(results: Results) -> tuple[Column, ...]:
    """The primary metric, its 95 % interval, the difference from the float row, and the further metrics."""
    name = results.primary
    base = reference(results)
    base_metric = base.metrics.get(name) if base else None
    unit = _metric_unit(results, name)

    def interval(row: Row) -> str | None:
        bounds = row.metrics[name].ci95 if name in row.metrics else None
        return None if bounds is None else " to ".join(_figure(bound, unit) for bound in bounds)

    def difference(row: Row) -> str | None:
        if name not in row.metrics or base_metric is None:
            return None
        return NONE if row is base else _figure(row.metrics[name].value - base_metric.value, unit, "+z")

    def spread(row: Row) -> str | None:
        values = row.over_seeds.get(name, ())
        if len(values) < 2:
            return None
        return f"{_figure(statistics.mean(values), unit)} ± {_figure(statistics.stdev(values), unit)}"

    return (
        _metric_column(results, name, 0),
        Column(heading="95 % interval", rank=7, text=interval, fields=(name, "metrics")),
        Column(heading="change" + (" pp" if unit == "%" else ""), rank=2, text=difference, fields=(name, "metrics")),
        *([Column(heading="over seeds", rank=3, text=spread)] if any(row.over_seeds for row in results.rows) else []),
        *(_metric_column(results, one, 1) for one in results.shown if one != name),
    )


def _metric_column(results: Results, name: str, rank: int) -> Column:
    unit = _metric_unit(results, name)
    directions = [row.metrics[name].direction for row in results.rows if name in row.metrics]
    return Column(
        heading=f"{name} {unit}".strip(),
        rank=rank,
        text=lambda row: _figure(row.metrics[name].value, unit) if name in row.metrics else None,
        fields=(name, "metrics"),
        number=lambda row: row.metrics[name].value if name in row.metrics else None,
        direction=directions[0] if directions else "higher",
        tells_status=not rank,
    )


def _metric_unit(results: Results, name: str) -> str:
    return next((shown_value(row.metrics[name])[1] for row in results.rows if name in row.metrics), "")


def _figure(value: float, unit: str, sign: str = "") -> str:
    """Percent with one decimal, other figures with four digits.

    >>> _figure(0.98765, "%"), _figure(0.00012345, ""), _figure(-0.02, "%", "+z")
    ('98.8', '0.0001234', '−2.0')
    """
    return _minus(f"{100 * value:{sign}.1f}" if unit == "%" else f"{value:{sign}.4g}")


def _device_columns(results: Results) -> list[Column]:
    """The latency on each machine that was joined, for each number of threads."""
    made = []
    for report in results.devices:
        for threads in sorted({one.latency_ms.threads for one in report.files}):
            counted = f" ({threads} threads)" if threads > 1 else ""

            def median(row: Row, report: DeviceReport = report, threads: int = threads) -> float | None:
                found = [one.latency_ms for one in report.of(row.sha256) if one.latency_ms.threads == threads]
                return found[0].median if found else None

            def text(row: Row, median: Callable[[Row], float | None] = median) -> str | None:
                value = median(row)
                return None if value is None else milliseconds(value)

            heading = f"ms on {report.device.name}{counted}"
            made.append(Column(heading=heading, rank=4, text=text, number=median, absent="not measured there"))
    return made


def _minus(figures: str) -> str:
    """Figures with a minus in place of a hyphen."""
    return figures.replace("-", "−")


def _unequal(row: Row) -> str | None:
    """Which tensor is worst, where not all codes are equal."""
    if row.parity is None or row.parity.worst_equal is None or row.parity.worst_equal == 1:
        return None
    worst = f"worst tensor: {row.parity.worst_tensor}"
    return f"{worst}; {NEAR_16}" if row.activations == "int16" else worst


def _median(row: Row) -> float | None:
    return row.latency_ms.median if row.latency_ms else None


def _percentiles(row: Row) -> str | None:
    latency = row.latency_ms
    return f"{milliseconds(latency.p10)} to {milliseconds(latency.p90)}" if latency else None


def _ratio(row: Row) -> str | None:
    ratio = row.latency_ratio
    return f"{ratio.value:.2f} ({ratio.ci95[0]:.2f} to {ratio.ci95[1]:.2f})" if ratio else None


def _types(row: Row) -> str | None:
    if not row.weights or not row.activations:
        return None
    return row.weights if row.weights == row.activations else f"{row.weights}/{row.activations}"


def _float_ops(row: Row) -> str | None:
    return None if row.float_ops is None or row.ops is None else f"{row.float_ops}/{row.ops}"


def _best(column: Column, rows: Sequence[Row]) -> float | None:
    if column.number is None:
        return None
    numbers = [number for row in rows if row.status == "ok" and (number := column.number(row)) is not None]
    if len(numbers) < 2:
        return None
    return max(numbers) if column.direction == "higher" else min(numbers)


def _unit(sizes: Sequence[int | None]) -> tuple[str, Callable[[int | None], str | None]]:
    """One unit for a whole column, so that figures compare at a glance: kB or MB (powers of 1000)."""
    largest = max((size for size in sizes if size is not None), default=0)
    unit, step = ("MB", 1e6) if largest >= 2e6 else ("kB", 1e3)
    digits = 2 if unit == "MB" else 1
    return unit, lambda size: None if size is None else f"{size / step:,.{digits}f}"


def _probability(p: float | None) -> str | None:
    return None if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _percent(share: float | None, digits: int = 1) -> str | None:
    return None if share is None else f"{100 * share:.{digits}f}"


def _percent_down(share: float | None) -> str | None:
    """Rounded down, so that 100 means all of them."""
    return None if share is None else "100" if share == 1 else f"{int(1000 * share) / 10:.1f}"
