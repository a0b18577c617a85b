# SPDX-License-Identifier: Apache-2.0
"""Interactive charts of the page, as figures for Plotly: plain data. Words that begin with `--` are colours of the
page's style sheet, which differ between light and dark.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape as escaped
from typing import Any

from lowbit.errors import InputError
from lowbit.report.columns import REFERENCES, shown_value
from lowbit.report.plot import FLOAT, Panel, Point, compose
from lowbit.results import ClassAccuracy, Curve, Details, Profile, Results, SizeParts, milliseconds

Figure = dict[str, Any]
REFERENCE = REFERENCES[0]

_MARKERS = {"o": "circle", "D": "diamond", "s": "square", "^": "triangle-up"}
_LINES = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")  # Okabe and Ito
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")
_PARTS = (
    ("constants", "weights and biases", "#0072B2"),
    ("scales", "scales", "#E69F00"),
    ("zero_points", "zero points", "#CC79A7"),
    ("names", "names", "#56B4E9"),
    ("structure", "structure", "--quiet"),
)
_SHORT = 10  # epochs that all have a tick
_MOST_OPS = len(_LINES)  # kinds of op with a colour of their own
_LABEL = 0.08  # of the height, for a label above the best point
_AT_THE_AXIS = 0.3  # of the largest x: a label to the left of such a point would cross the axis
_BAR, _FRAME = 28, 170  # pixels of height, of a bar and of all around the bars


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure with its place on the page; `words` say what it shows to those who cannot see it."""

    name: str
    title: str
    words: str
    figure: Figure
    height: int = 380


def tradeoffs(results: Results) -> tuple[Chart, ...]:
    """The primary metric against size and against latency, with the best trade-offs; none without figures."""
    try:
        picture = compose(results)
    except InputError:
        return ()
    charts = []
    for name, panel in zip(("size", "latency"), picture.panels, strict=True):
        if not panel.points:
            continue
        shapes = []
        if picture.base is not None and picture.allowed is not None:
            least = picture.base - picture.allowed
            shapes = [_level(least, "dot")]
        low, high = picture.limits
        best = ", ".join(_first_line(point) for point in panel.points if (point.x, point.y) in panel.front)
        layout = {
            "xaxis": {"title": {"text": panel.x_label.partition(" (")[0]}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": _plain(picture.y_label)}, "range": [low, high + _LABEL * (high - low)]},
            "shapes": shapes,
        }
        charts.append(
            Chart(
                name=f"tradeoff-{name}",
                title=f"{results.primary} against {panel.x_label}",
                words=f"{len(panel.points)} files; none is better in both than {best}",
                figure=_figure(_points(panel, results), layout),
            )
        )
    return tuple(charts)


def sizes(parts: dict[str, SizeParts]) -> Chart:
    """What the bytes of each file are, and its floor."""
    names = list(parts)
    traces = [
        {
            "type": "bar", "orientation": "h", "name": words, "y": names,
            "x": [getattr(parts[name], field) / 1000 for name in names],
            "marker": {"color": colour}, "hovertemplate": "%{y}: %{x:,.1f} kB of " + words + "<extra></extra>",
        }
        for field, words, colour in _PARTS
    ]  # fmt: skip
    traces.append(
        {
            "type": "scatter", "mode": "markers", "name": "floor", "y": names,
            "x": [parts[name].floor / 1000 for name in names],
            "marker": {"symbol": "line-ns-open", "size": 20, "line": {"width": 3}, "color": "--ink"},
            "customdata": [f"{100 * parts[name].above_floor:.1f}" for name in names],
            "hovertemplate": "%{y}: floor %{x:,.1f} kB, the file is %{customdata} % above<extra></extra>",
        }
    )  # fmt: skip
    layout = {"barmode": "stack", "xaxis": {"title": {"text": "kB"}}, "yaxis": _downward(names)}
    words = ", ".join(f"{name} {100 * parts[name].above_floor:.1f} % above its floor" for name in names)
    return Chart(
        name="sizes", title="What the bytes are", words=words, figure=_figure(traces, layout), height=_bars(names)
    )


def curves(training: dict[str, Curve]) -> tuple[Chart, ...]:
    """Loss and accuracy by epoch: validation in full lines, training thin."""
    charts = []
    for log, words in (("loss", "loss"), ("accuracy", "accuracy")):
        traces = []
        for number, (name, curve) in enumerate(training.items()):
            for key, width in ((f"val_{log}", 2.5), (log, 1)):
                if key in curve.logs:
                    traces.append(_line(name, key, curve, number, width))
        if traces:
            epochs = ", ".join(f"{name} {curve.best_epoch} of {_epochs(curve)}" for name, curve in training.items())
            whole = {"dtick": 1} if max(map(_epochs, training.values())) <= _SHORT else {}
            layout = {"xaxis": {"title": {"text": "epoch"}, **whole}, "yaxis": {"title": {"text": words}}}
            charts.append(
                Chart(
                    name=f"training-{log}",
                    title=f"Training: {words}",
                    words=f"best epochs: {epochs}",
                    figure=_figure(traces, layout),
                )
            )
    return tuple(charts)


def by_class(classes: ClassAccuracy) -> Chart | None:
    """Differences of each class's accuracy from float32's, in percentage points; None without float32."""
    base = classes.correct.get(REFERENCE)
    names = [name for name in classes.correct if name != REFERENCE]
    if base is None or not names:
        return None
    values = [_differences(classes.correct[name], base, classes.total) for name in names]
    most = max((abs(value) for row in values for value in row if value is not None), default=0) or 1
    trace = {
        "type": "heatmap", "x": [_plain(name) for name in classes.names], "y": names, "z": values,
        "zmid": 0, "zmin": -most, "zmax": most,
        "texttemplate": "%{z:+.1f}", "xgap": 1, "ygap": 1, "hoverongaps": False,
        "colorscale": [[0, "#b35806"], [0.5, "--paper"], [1, "#542788"]],
        "colorbar": {"title": {"text": "points"}, "thickness": 12},
        "hovertemplate": "%{y}, class %{x}: %{z:+.2f} points<extra></extra>",
    }  # fmt: skip
    told = [(value, name, label) for name, row in zip(names, values) for value, label in zip(row, classes.names)]
    worst = min((one for one in told if one[0] is not None), default=(0.0, names[0], classes.names[0]))
    layout = {"yaxis": _downward(names), "xaxis": {"type": "category", "tickangle": -45}}
    return Chart(
        name="classes",
        title="Accuracy by class, points from float32",
        words=f"largest loss: {worst[1]} at class {worst[2]}, {worst[0]:+.1f} points",
        figure=_figure([trace], layout),
        height=_bars(names) + 60,
    )


def _differences(own: Sequence[int], base: Sequence[int], total: Sequence[int]) -> list[float | None]:
    """Percentage points by class, None for one without a sample."""
    return [100 * (one - other) / count if count else None for one, other, count in zip(own, base, total, strict=True)]


def times(profiles: dict[str, Profile]) -> Chart:
    """Milliseconds by kind of op; hatched where XNNPACK does not run it."""
    names = list(profiles)
    kinds = sorted(
        {kind.op for one in profiles.values() for kind in one.kinds},
        key=lambda op: -max(one.time_ms(op) for one in profiles.values()),
    )
    traces = []
    for number, op in enumerate(kinds[:_MOST_OPS]):
        for delegated in (True, False):
            spent = [_spent(profiles[name], (op,), delegated) for name in names]
            if any(spent):
                traces.append(_time_bar(op, names, spent, _colour(number), delegated))
    rest = [_spent(profiles[name], tuple(kinds[_MOST_OPS:]), None) for name in names]
    if any(rest):
        traces.append(_time_bar("others", names, rest, "--quiet", True))
    layout = {"barmode": "stack", "xaxis": {"title": {"text": "ms of one sample"}}, "yaxis": _downward(names)}
    words = ", ".join(f"{name} {milliseconds(profiles[name].whole_ms)} ms" for name in names)
    return Chart(
        name="times",
        title="Milliseconds by op, one sample",
        words=words,
        figure=_figure(traces, layout),
        height=_bars(names) + 40,
    )


def of_details(details: Details) -> tuple[Chart, ...]:
    """All charts of a run's details."""
    found = [*curves(dict(details.training))]
    if details.sizes:
        found.append(sizes(dict(details.sizes)))
    if details.classes is not None and (chart := by_class(details.classes)) is not None:
        found.append(chart)
    if details.profiles:
        found.append(times(dict(details.profiles)))
    return tuple(found)


def _plain(text: str) -> str:
    """For Plotly, which reads a few tags and entities in what it writes: the text itself, but not `&quot;`."""
    return escaped(text, quote=False)


def _figure(traces: Sequence[Any], layout: Figure) -> Figure:
    legend = {"orientation": "h", "x": 0, "y": 1.01, "yanchor": "bottom"}
    common = {"margin": {"t": 12, "r": 12, "b": 44}, "legend": legend}
    return {"data": list(traces), "layout": {**common, **layout}}


def _points(panel: Panel, results: Results) -> list[Figure]:
    front = {
        "type": "scatter", "mode": "lines", "name": "best trade-offs", "hoverinfo": "skip",
        "x": [x for x, _ in panel.front], "y": [y for _, y in panel.front],
        "line": {"color": "--quiet", "width": 1.5, "dash": "dash", "shape": "hv"},
    }  # fmt: skip
    traces: list[Figure] = [front]
    most = max(point.x for point in panel.points)
    for family in dict.fromkeys(point.family for point in panel.points):
        points = [point for point in panel.points if point.family == family]
        traces.append(
            {
                "type": "scatter", "mode": "markers+text", "name": family.name, "cliponaxis": False,
                # up and to the left of a best trade-off there is no other point
                "textposition": ["top right" if point.x < _AT_THE_AXIS * most else "top left" for point in points],
                "x": [point.x for point in points], "y": [point.y for point in points],
                "marker": {
                    "symbol": [_MARKERS[family.marker] + ("-open" if point.hollow else "") for point in points],
                    "size": 11, "color": "--ink" if family == FLOAT else family.colour, "line": {"width": 1.5},
                },
                "text": [_named(point) if (point.x, point.y) in panel.front else "" for point in points],
                "hovertext": [_hover(point, results) for point in points],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )  # fmt: skip
    return traces


def _first_line(point: Point) -> str:
    return point.label.partition("\n")[0]


def _named(point: Point) -> str:
    return _first_line(point).partition(" (")[0]


def _hover(point: Point, results: Results) -> str:
    row = results.row(_named(point))
    metric = row.metrics[results.primary]
    value, unit = shown_value(metric)
    names = "<br>".join(_plain(point.label).splitlines())
    lines = [f"<b>{names}</b>", _plain(f"{results.primary} {value:.4g} {unit}".strip())]
    if metric.ci95 is not None and unit == "%":
        lines[-1] += f" ({100 * metric.ci95[0]:.1f} to {100 * metric.ci95[1]:.1f})"
    if row.size_bytes is not None:
        lines.append(f"{row.size_bytes:,} bytes")
    if row.latency_ms is not None:
        lines.append(f"{milliseconds(row.latency_ms.median)} ms")
    return "<br>".join(lines)


def _level(value: float, dash: str) -> Figure:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": value, "y1": value,
        "line": {"color": "--quiet", "dash": dash, "width": 1},
        "label": {"text": "limit", "textposition": "start", "font": {"size": 11, "color": "--quiet"}},
    }  # fmt: skip


def _line(name: str, key: str, curve: Curve, number: int, width: float) -> Figure:
    values = curve.logs[key]
    return {
        "type": "scatter", "mode": "lines+markers" if len(values) == 1 else "lines", "legendgroup": name,
        "name": f"{name}, {'validation' if key.startswith('val_') else 'training'}",
        "x": list(range(1, len(values) + 1)), "y": list(values),
        "line": {"color": _colour(number), "width": width, "dash": _DASHES[number % len(_DASHES)]},
        "hovertemplate": "%{fullData.name}, epoch %{x}: %{y:.4g}<extra></extra>",
    }  # fmt: skip


def _epochs(curve: Curve) -> int:
    return max((len(values) for values in curve.logs.values()), default=0)


def _time_bar(op: str, names: Sequence[str], spent: Sequence[float], colour: str, delegated: bool) -> Figure:
    name = op if delegated else f"{op}, outside XNNPACK"
    return {
        "type": "bar", "orientation": "h", "name": name, "y": list(names), "x": list(spent),
        "marker": {"color": colour, "pattern": {"shape": "" if delegated else "/"}},
        "hovertemplate": "%{y}: %{x:.3g} ms in " + name + "<extra></extra>",
    }  # fmt: skip


def _spent(profile: Profile, ops: Sequence[str], delegated: bool | None) -> float:
    """Milliseconds in these kinds of op, inside XNNPACK or outside it; None for both."""
    kinds = [kind for kind in profile.kinds if kind.op in ops and delegated in (None, kind.delegated)]
    return profile.whole_ms * sum(kind.share for kind in kinds)


def _colour(number: int) -> str:
    return _LINES[number % len(_LINES)]


def _downward(names: Sequence[str]) -> Figure:
    """An axis of names, the first on top."""
    order = {"categoryorder": "array", "categoryarray": list(names)}
    return {"type": "category", **order, "autorange": "reversed", "automargin": True}


def _bars(names: Sequence[str]) -> int:
    return _FRAME + _BAR * max(len(names), 3)
