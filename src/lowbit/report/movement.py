# SPDX-License-Identifier: Apache-2.0
"""How ranges and codes moved in training. What to draw; `movement_drawing` says how."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lowbit.errors import InputError, MissingExtraError
from lowbit.files import replacing
from lowbit.report.plot import FORMATS
from lowbit.results import EpochMovement

NAMED = 6
"""Lines of a panel that are named: those that end farthest from where they began."""


@dataclass(frozen=True)
class Lines:
    """One panel: a value by epoch for each name; `named` are drawn in colour, the one that matters most first."""

    title: str
    y_label: str
    epochs: tuple[int, ...]
    values: Mapping[str, tuple[float, ...]]
    named: tuple[str, ...]


def movement_plot(history: Sequence[EpochMovement], path: str | os.PathLike[str]) -> None:
    """Write a picture of three panels from `lowbit.qat.RangeReport.history`; `path` ends in .png, .svg or .pdf.

    Upper ends of activation ranges against the first epoch, shares of values at an end of their grid (the clipped ones
    are among them), and shares of weight codes that changed.
    Raises MissingExtraError without matplotlib, InputError for another ending or a history without two epochs.
    """
    if Path(path).suffix not in FORMATS:
        raise InputError(
            received=os.fspath(path), expected=f"a file ending in {', '.join(FORMATS)}", mend="change the ending"
        )
    panels = compose(history)
    try:
        from lowbit.report import movement_drawing  # here, as it loads matplotlib, which is optional
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plots") from error
    with replacing(path) as temporary:
        movement_drawing.draw(panels, temporary)


def compose(history: Sequence[EpochMovement]) -> tuple[Lines, ...]:
    """The panels of a history of at least two epochs."""
    if len(history) < 2:
        raise InputError(
            received=f"a history of {len(history)} epochs", expected="at least two", mend="train with RangeReport"
        )
    first = history[0].ranges
    highs = {
        name: tuple(100 * (one.ranges[name][1] / high - 1) for one in history)
        for name, (_, high) in first.items()
        if high > 0
    }
    clipped = {name: tuple(100 * one.clipped.get(name, 0.0) for one in history) for name in history[0].clipped}
    changed = {name: tuple(100 * one.changed[name] for one in history[1:]) for name in history[0].changed}
    epochs = tuple(one.epoch for one in history)
    return (
        _lines("upper ends of activation ranges", "% from the first", epochs, highs),
        _lines("activations at an end of their grid", "% of a tensor's values", epochs, clipped),
        _lines("weight codes changed in an epoch", "% of a layer's codes", epochs[1:], changed),
    )


def _lines(title: str, y_label: str, epochs: tuple[int, ...], values: Mapping[str, tuple[float, ...]]) -> Lines:
    named = sorted(values, key=lambda name: -abs(values[name][-1]))[:NAMED]
    return Lines(title, y_label, epochs, values, tuple(named))
