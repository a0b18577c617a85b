# SPDX-License-Identifier: Apache-2.0
"""The card of a written `.tflite`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowbit.card import Card, CardEndpoint, write_card
from lowbit.runtime import Endpoint, FileSummary, Runner, inspect


def write_tflite_card(
    path: str | Path,
    *,
    recipe: str,
    preprocessing: Mapping[str, Any],
    class_names: Sequence[str] | None,
    made_by: Mapping[str, Any],
    tensors: tuple[str, ...] | None,
) -> FileSummary:
    """Look into a written `.tflite` and put its card beside it; returns what is inside.

    `tensors` as in `lowbit.card.Card`.
    """
    inside = inspect(path)
    card = Card(
        recipe=recipe,
        inputs=tuple(_endpoint(end) for end in inside.inputs),
        outputs=tuple(_endpoint(end) for end in inside.outputs),
        preprocessing=dict(preprocessing),
        class_names=None if class_names is None else tuple(class_names),
        tensors=tensors,
        made_by=dict(made_by),
    )
    write_card(path, card)
    return inside


def write_names(path: str | Path, content: bytes, *, recipe: str, tensors: tuple[str, ...] | None) -> None:
    """The card of a file of which no more is known than its inputs, outputs and tensors."""
    runner = Runner(content, source=path)
    inputs, outputs = (tuple(_endpoint(end) for end in ends) for ends in (runner.inputs, runner.outputs))
    write_card(path, Card(recipe=recipe, inputs=inputs, outputs=outputs, tensors=tensors))


def _endpoint(end: Endpoint) -> CardEndpoint:
    return CardEndpoint(
        name=end.name, shape=tuple(end.shape[1:]), dtype=end.dtype, scale=end.scale, zero_point=end.zero_point
    )
