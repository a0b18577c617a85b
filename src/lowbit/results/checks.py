# SPDX-License-Identifier: Apache-2.0
"""What results refuse: a word that is not known, an end without its reason, a name that is not there, a figure that
nothing can measure."""

import math
from collections.abc import Mapping
from typing import TypeVar

from lowbit.errors import InputError

Item = TypeVar("Item")
ROUNDING = 1e-6  # metrics in float32 may end so much above 1


def one_of(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises InputError for a value that is not among the known ones."""
    if value not in known:
        raise InputError(
            received=f"{name}={value!r}", expected=f"one of {', '.join(known)}", mend=f"choose one as {name}"
        )


def reasoned(what: str, end: str, good: str, reason: str | None) -> None:
    """Raises InputError when `what` ended otherwise than `good` and nobody says why."""
    if end != good and not reason:
        raise InputError(
            received=f"{what}, {end} without a reason", expected="the reason in words", mend="pass reason="
        )


def within(name: str, value: float | None, low: float, high: float = math.inf) -> None:
    """Raises InputError for a figure out of its bounds, which are possible themselves; None was not measured."""
    if value is not None and not low <= value <= high + ROUNDING:
        bounds = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise InputError(received=f"{name} {value}", expected=bounds, mend="measure it again")


def printable(name: str, word: str) -> None:
    """Raises InputError for a word that would do something to a terminal instead of standing there."""
    if not word.isprintable():
        raise InputError(received=f"{name} {word!r}", expected="letters that can be printed", mend="write it otherwise")


def named(name: str, items: Mapping[str, Item], *, kind: str, of: str) -> Item:
    """The item of that name; raises InputError naming those there are."""
    if name not in items:
        raise InputError(received=f"{kind} {name!r}", expected=f"{of}: {', '.join(items)}", mend="choose one of these")
    return items[name]
