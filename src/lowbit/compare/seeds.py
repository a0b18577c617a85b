# SPDX-License-Identifier: Apache-2.0
"""The same comparison with several seeds: what of a difference is the recipe, and what is luck."""

import dataclasses
import statistics
import sys
from collections.abc import Sequence

from lowbit.compare.verdict import REFERENCE, signed
from lowbit.results import Results, Row, Verdict

CONTROL, QAT = "ptq-finetuned-w8a8", "qat-w8a8"


def with_seeds(rows: Sequence[Row], others: Sequence[Results]) -> tuple[Row, ...]:
    """The rows with each metric's value for every seed at which the recipe was ok; this run's own comes first."""
    return tuple(
        dataclasses.replace(row, over_seeds=_values(row, others)) if row.status == "ok" and others else row
        for row in rows
    )


def in_words(verdict: Verdict | None, rows: Sequence[Row], primary: str) -> Verdict | None:
    """The verdict with a sentence on what seeds change, for each pair of rows that is worth one."""
    pairs = [(QAT, CONTROL), *((row.recipe, REFERENCE) for row in rows if row.recipe == verdict_choice(verdict))]
    lines = [line for pair in dict.fromkeys(pairs) if (line := _sentence(*pair, rows, primary)) is not None]
    return verdict if verdict is None or not lines else dataclasses.replace(verdict, lines=(*verdict.lines, *lines))


def verdict_choice(verdict: Verdict | None) -> str | None:
    return None if verdict is None else verdict.best.get("size")


def _values(row: Row, others: Sequence[Results]) -> dict[str, tuple[float, ...]]:
    same = [one for results in others for one in results.rows if one.recipe == row.recipe and one.status == "ok"]
    return {
        name: (metric.value, *(one.metrics[name].value for one in same if name in one.metrics))
        for name, metric in row.metrics.items()
    }


def _sentence(recipe: str, reference: str, rows: Sequence[Row], primary: str) -> str | None:
    """How far the primary metrics lie apart: in points of a share, else in percent of the reference's."""
    found = {row.recipe: row.over_seeds.get(primary, ()) for row in rows}
    own, other = found.get(recipe, ()), found.get(reference, ())
    if len(own) < 2 or len(own) != len(other):
        return None
    is_share = any(row.metrics[primary].unit == "fraction" for row in rows if primary in row.metrics)
    unit, name = ("points", "") if is_share else ("%", f" in {primary}")
    apart = [
        100 * (one - two) / (1 if is_share else max(abs(two), sys.float_info.min))
        for one, two in zip(own, other, strict=True)
    ]
    mean, least, most = (signed(figure) for figure in (statistics.mean(apart), min(apart), max(apart)))
    return (
        f"Over {len(apart)} seeds {recipe} is {mean} {unit} from {reference}{name} on the test split, "
        f"between {least} and {most}."
    )
