# SPDX-License-Identifier: Apache-2.0
"""Conditions under which a run fails, for the continuous integration of those who ship the files.

    condition   value OPERATOR value          OPERATOR: > >= < <=
    value       NUMBER | [NUMBER *] call      NUMBER may end in k or M
    call        NAME(recipe) | accuracy_drop(recipe, recipe)

A recipe is a row of the run, `old.RECIPE` one of the run that it is held against. Read by hand: nothing is evaluated.
"""

import operator
import re
from collections.abc import Callable
from contextlib import suppress
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
_NUMBER = re.compile(r"(\d+(?:\.\d+)?)([kM]?)")
_CALL = re.compile(r"(?:(?P<times>[^*]+)\*)?\s*(?P<name>\w+)\((?P<rows>[^()]+)\)")


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
    """Of every recipe that was ok in both runs: accuracy may not fall by more than `max_drop` points, nor parity."""
    both = [row.recipe for row in results.rows if row.status == "ok" and _ok(old, row.recipe)]
    found = []
    for recipe in both:
        asked = (f"accuracy_drop({recipe}, old.{recipe}) > {max_drop:g}", f"parity({recipe}) < parity(old.{recipe})")
        for condition in asked:
            with suppress(InputError):  # a figure that one of them has not
                found.append(check(condition, results, old))
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
    if name not in FIGURES:
        raise InputError(
            received=f"{name} in {condition!r}", expected=f"one of {', '.join(FIGURES)}", mend=f"write {GRAMMAR}"
        )
    if len(rows) > (2 if name == "accuracy_drop" else 1):
        raise _unreadable(text, condition)
    given = [_row(word, results, old) for word in rows]
    if name == "accuracy_drop" and len(given) == 1:
        given.append(_reference(results))
    for row in given:
        if row.status != "ok":
            raise _NoFigures(f"{row.recipe} {row.status}: {row.reason}")
    value = FIGURES[name](*given)
    if value is None:
        reason = given[0].why_missing(_FIELDS[name]) or "it was not measured"
        raise InputError(
            received=f"{text} in {condition!r}, which this run has not: {reason}",
            expected="a figure that was measured",
            mend="run the recipe again, or leave the condition out",
        )
    return times * value


def _row(word: str, results: Results, old: Results | None) -> Row:
    is_old = word.startswith("old.")
    if is_old and old is None:
        raise InputError(received=word, expected="a run to hold against", mend="pass --against OLD_RUN")
    return (old if is_old and old is not None else results).row(word.removeprefix("old."))


def _reference(results: Results) -> Row:
    found = next((row for name in REFERENCES for row in results.rows if row.recipe == name), None)
    if found is None:
        raise InputError(
            received="accuracy_drop in a run without a float row",
            expected=f"one of {', '.join(REFERENCES)} among its recipes",
            mend="name the row it is the drop from: accuracy_drop(ptq-w8a8, old.ptq-w8a8)",
        )
    return found


def _drop(row: Row, reference: Row) -> float | None:
    if row.accuracy is None or reference.accuracy is None:
        return None
    return 100 * (reference.accuracy - row.accuracy)


FIGURES: dict[str, Callable[..., float | None]] = {
    "accuracy": lambda row: row.accuracy,
    "accuracy_drop": _drop,
    "agreement": lambda row: row.agreement_with_float,
    "size": lambda row: row.size_bytes,
    "zipped": lambda row: row.compressed_bytes,
    "latency": lambda row: row.latency_ms.median if row.latency_ms else None,
    "latency_ratio": lambda row: row.latency_ratio.value if row.latency_ratio else None,
    "memory": lambda row: row.peak_memory_bytes,
    "parity": lambda row: row.parity.worst_equal if row.parity else None,
    "float_ops": lambda row: row.float_ops,
}
"""accuracy and agreement are fractions 0..1, the drop is in percentage points, sizes in bytes, latency in ms."""

_FIELDS = {
    "accuracy": "metrics", "accuracy_drop": "metrics", "agreement": "agreement_with_float", "size": "size_bytes",
    "zipped": "compressed_bytes", "latency": "latency_ms", "latency_ratio": "latency_ratio",
    "memory": "peak_memory_bytes", "parity": "parity", "float_ops": "float_ops",
}  # fmt: skip


def _unreadable(part: str, condition: str) -> InputError:
    where = f"{part!r}" if part == condition else f"{part!r} in {condition!r}"
    return InputError(received=where, expected=f"a condition: {GRAMMAR}", mend="for example: size(ptq-w8a8) > 1.5M")
