# SPDX-License-Identifier: Apache-2.0
"""Conditions under which a run fails, for the continuous integration of those who ship the files.

    condition   value OPERATOR value          OPERATOR: > >= < <=
    value       NUMBER | [NUMBER *] call      NUMBER may be negative, and end in k or M
    call        NAME(recipe) | drop(recipe, recipe) | accuracy_drop(recipe, recipe)

NAME is a figure or a metric of the run. A recipe is a row of the run, `old.RECIPE` one of the run that it is held
against. Read by hand: nothing is evaluated.
"""

import operator
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lowbit.errors import InputError
from lowbit.report.columns import REFERENCES
from lowbit.results import Results, Row

GRAMMAR = (
    "VALUE > VALUE (or >=, <, <=), where a value is a number (500k, 1.5M), NAME(RECIPE), or a number * NAME(RECIPE); "
    "old.RECIPE is of the run given by --against"
)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt,
}  # fmt: skip
_UNITS = {"": 1.0, "k": 1e3, "M": 1e6}
_CONDITION = re.compile(r"(?P<left>[^<>=]+)(?P<operator>>=|<=|>|<)(?P<right>[^<>=]+)")
_NUMBER = re.compile(r"(-?(?:\d+(?:\.\d*)?|\.\d+))([kM]?)")
_CALL = re.compile(r"(?:(?P<times>[^*]+)\*)?\s*(?P<name>[\w.]+)\((?P<rows>[^()]+)\)")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A condition and how it ended; `found` has its values put in, or the reason why they are not there."""

    condition: str
    failed: bool
    found: str

    def __str__(self) -> str:
        return f"{'failed' if self.failed else 'passed'}: {self.condition} ({self.found})"


class _NoFigures(Exception):
    """A row that is not ok: its conditions fail, whatever they ask."""


def check(condition: str, results: Results, old: Results | None = None) -> Outcome:
    """Whether a run fails by a condition; it does where the row that it asks about failed.

    Raises InputError for what is no condition, an unknown name or recipe, and a figure that a row cannot have.
    """
    parts = _CONDITION.fullmatch(condition.strip())
    if parts is None:
        raise _unreadable(condition, condition)
    try:
        left, right = (_value(parts[side].strip(), condition, results, old) for side in ("left", "right"))
    except _NoFigures as reason:
        return Outcome(condition=condition.strip(), failed=True, found=str(reason))
    failed = _OPERATORS[parts["operator"]](left, right)
    return Outcome(condition=condition.strip(), failed=failed, found=f"{left:.6g} {parts['operator']} {right:.6g}")


def regressions(results: Results, old: Results, max_drop: float) -> tuple[Outcome, ...]:
    """Of every recipe that was ok before: the main metric may not drop by more than `max_drop`, nor parity at all; one
    that is not ok any more fails. Raises InputError for runs of another metric or without a recipe in common."""
    if results.primary != old.primary:
        raise InputError(
            received=f"a run judged by {results.primary}, held against one judged by {old.primary}",
            expected="runs of one task",
            mend="name an older run of the same model",
        )
    common = [row.recipe for row in results.rows if _ok(old, row.recipe)]
    if not common:
        raise InputError(
            received="two runs without a recipe in common that was ok in the older one",
            expected="rows to compare",
            mend="run the same recipes, or name rows in a condition: size(ptq-w8a8) > size(old.ptq-w4a8)",
        )
    found = []
    for recipe in common:
        asked = (f"drop({recipe}, old.{recipe}) > {max_drop:g}", f"parity({recipe}) < parity(old.{recipe})")
        for condition in asked:
            try:
                found.append(check(condition, results, old))
            except InputError:  # a figure that one of them has not
                name = condition.partition("(")[0]
                field, had = _figure(name, [old.row(recipe)] * 2, old)
                if had is not None:
                    reason = results.row(recipe).why_missing(field) or "not measured"
                    found.append(Outcome(condition=condition, failed=True, found=f"not in this run: {reason}"))
    return tuple(found)


def _ok(results: Results, recipe: str) -> bool:
    return any(row.recipe == recipe and row.status == "ok" for row in results.rows)


def _value(text: str, condition: str, results: Results, old: Results | None) -> float:
    number, found = _NUMBER.fullmatch(text), _CALL.fullmatch(text)
    if number is not None:
        return float(number[1]) * _UNITS[number[2]]
    if found is None:
        raise _unreadable(text, condition)
    times = 1.0 if found["times"] is None else _value(found["times"].strip(), condition, results, old)
    name, rows = found["name"], [word.strip() for word in found["rows"].split(",")]
    is_drop, known = name in _dropping(results), _names(results)
    if name not in known:
        raise InputError(
            received=f"{name} in {condition!r}", expected=f"one of {', '.join(known)}", mend=f"write {GRAMMAR}"
        )
    if len(rows) > (2 if is_drop else 1):
        raise _unreadable(text, condition)
    given = [_row(word, results, old) for word in rows]
    if is_drop and len(given) == 1:
        given.append(_reference(results))
    for word, row in zip(rows, given, strict=False):
        if row.status != "ok":
            raise _NoFigures(f"{word} {row.status}: {row.reason}")
    field, value = _figure(name, given, results)
    if value is None:
        other = f"its main metric is {results.primary}" if field == "metrics" else "it was not measured"
        reason = given[0].why_missing(field) or other
        raise InputError(
            received=f"{text} in {condition!r}, which this run has not: {reason}",
            expected="a figure that was measured",
            mend="run the recipe again, or leave the condition out",
        )
    return times * value


def _figure(name: str, rows: Sequence[Row], results: Results) -> tuple[str, float | None]:
    """The field that a figure comes from, and its value."""
    if name in (drops := _dropping(results)):
        return "metrics", _drop(drops[name], *rows)
    if name in FIGURES:
        field, value = FIGURES[name]
        return field, value(rows[0])
    metric = rows[0].metrics.get(name)
    return "metrics", None if metric is None else metric.value


def _row(word: str, results: Results, old: Results | None) -> Row:
    is_old = word.startswith("old.")
    if is_old and old is None:
        raise InputError(received=word, expected="a run to hold against", mend="pass --against OLD_RUN")
    return (old if is_old and old is not None else results).row(word.removeprefix("old."))


def _reference(results: Results) -> Row:
    found = next((row for name in REFERENCES for row in results.rows if row.recipe == name), None)
    if found is None:
        raise InputError(
            received="a drop in a run without a float row",
            expected=f"one of {', '.join(REFERENCES)} among its recipes",
            mend="name the row it is the drop from: drop(ptq-w8a8, old.ptq-w8a8)",
        )
    return found


def _dropping(results: Results) -> dict[str, str]:
    """What a drop is called -> the metric that drops."""
    return {"drop": results.primary, "accuracy_drop": "accuracy"}


def _names(results: Results) -> list[str]:
    """All that a condition may ask for, each once."""
    metrics = [name for row in results.rows for name in row.metrics]
    return list(dict.fromkeys((results.primary, *_dropping(results), *metrics, *FIGURES)))


def _drop(metric: str, row: Row, reference: Row) -> float | None:
    """What a row is worse by: percentage points of a share, percent of the reference's value otherwise."""
    own, other = row.metrics.get(metric), reference.metrics.get(metric)
    if own is None or other is None:
        return None
    worse = 100 * (other.value - own.value if own.direction == "higher" else own.value - other.value)
    return worse if own.unit == "fraction" else worse / max(abs(other.value), sys.float_info.min)


FIGURES: dict[str, tuple[str, Callable[[Row], float | None]]] = {
    "agreement": ("agreement_with_float", lambda row: row.agreement_with_float),
    "size": ("size_bytes", lambda row: row.size_bytes),
    "zipped": ("compressed_bytes", lambda row: row.compressed_bytes),
    "latency": ("latency_ms", lambda row: row.latency_ms.median if row.latency_ms else None),
    "latency_ratio": ("latency_ratio", lambda row: row.latency_ratio.value if row.latency_ratio else None),
    "memory": ("peak_memory_bytes", lambda row: row.peak_memory_bytes),
    "parity": ("parity", lambda row: row.parity.worst_equal if row.parity else None),
    "float_ops": ("float_ops", lambda row: row.float_ops),
}
"""What a condition calls it -> the row's field, and its value: shares are fractions 0..1, sizes in bytes, latency in
ms."""


def _unreadable(part: str, condition: str) -> InputError:
    where = f"{part!r}" if part == condition else f"{part!r} in {condition!r}"
    return InputError(received=where, expected=f"a condition: {GRAMMAR}", mend="for example: size(ptq-w8a8) > 1.5M")
