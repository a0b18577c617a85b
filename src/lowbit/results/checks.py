# SPDX-License-Identifier: Apache-2.0
"""What results refuse: a word that is not known, an end without its reason, a name that is not there."""

from collections.abc import Mapping
from typing import TypeVar

from lowbit.errors import InputError

Item = TypeVar("Item")


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


def named(name: str, items: Mapping[str, Item], *, kind: str, of: str) -> Item:
    """The item of that name; raises InputError naming those there are."""
    if name not in items:
        raise InputError(received=f"{kind} {name!r}", expected=f"{of}: {', '.join(items)}", mend="choose one of these")
    return items[name]
