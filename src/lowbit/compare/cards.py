# SPDX-License-Identifier: Apache-2.0
"""The card of a written `.tflite`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowbit.card import Card, CardEndpoint, write_card
from lowbit.runtime import Endpoint, FileSummary, inspect


def write_tflite_card(
    path: str | Path,
    *,
    recipe: str,
    preprocessing: Mapping[str, Any],
    class_names: Sequence[str] | None,
    made_by: Mapping[str, Any],
) -> FileSummary:
    """Look into a written `.tflite` and put its card beside it; returns what is inside."""
    inside = inspect(path)
    card = Card(
        recipe=recipe,
        inputs=tuple(_endpoint(end) for end in inside.inputs),
        outputs=tuple(_endpoint(end) for end in inside.outputs),
        preprocessing=dict(preprocessing),
        class_names=None if class_names is None else tuple(class_names),
        made_by=dict(made_by),
    )
    write_card(path, card)
    return inside


def _endpoint(end: Endpoint) -> CardEndpoint:
    return CardEndpoint(
        name=end.name, shape=tuple(end.shape[1:]), dtype=end.dtype, scale=end.scale, zero_point=end.zero_point
    )
