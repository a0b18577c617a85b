# SPDX-License-Identifier: Apache-2.0
"""The card beside a model file: what the file needs to be fed and read rightly (`X.tflite` has `X.tflite.json`)."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.files import sha256, write_text

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class CardEndpoint:
    """An input or output: `shape` without the batch axis, None for a free size of a Keras model; scale and zero point
    where it takes or gives codes."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    scale: float | None = None
    zero_point: int | None = None


@dataclass(frozen=True, kw_only=True)
class Card:
    """What travels with a model.

    `preprocessing` is what `load_dataset` takes to prepare the same inputs (value range, resize method, image size,
    channels); `class_names` are in label order; `made_by` tells the recipe's settings and versions. `tensors` names the
    tensors of a `.tflite`, by their number, where the file itself holds short names. `sha256` is that of the model
    file: `write_card` fills it in.
    """

    schema: int = SCHEMA
    recipe: str
    inputs: tuple[CardEndpoint, ...] = ()
    outputs: tuple[CardEndpoint, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    class_names: tuple[str, ...] | None = None
    tensors: tuple[str, ...] | None = None
    sha256: str = ""
    made_by: Mapping[str, Any] = field(default_factory=dict)


def card_path(model_path: str | os.PathLike[str]) -> Path:
    """`X.tflite` -> `X.tflite.json`."""
    path = Path(model_path)
    return path.with_name(path.name + ".json")


def write_card(model_path: str | os.PathLike[str], card: Card) -> Card:
    """Write the card beside its file, with the file's sha256, and return it so.

    Raises InputError when the model file is missing or the place cannot be written.
    """
    if not Path(model_path).is_file():
        raise InputError(received=str(model_path), expected="a model file", mend="write the model before its card")
    data = {**records.encode(card), "sha256": sha256(model_path)}
    write_text(card_path(model_path), json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    return records.decode(Card, data, str(card_path(model_path)))


def read_card(model_path: str | os.PathLike[str]) -> Card | None:
    """The card of a model file, or None where it has none.

    Raises FileFormatError for a damaged card, another schema, or a card that was written for other contents.
    """
    path = card_path(model_path)
    if not path.exists():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _unusable(path, f"no readable JSON ({error})") from error
    found = data.get("schema") if isinstance(data, dict) else None
    if found != SCHEMA:
        raise _unusable(path, f"schema {found!r}")
    card = records.decode(Card, data, str(path))
    if not Path(model_path).is_file() or card.sha256 != sha256(model_path):
        raise _unusable(path, f"a card for other contents than those of {Path(model_path).name}")
    return card


def tensor_names(model_path: str | os.PathLike[str]) -> tuple[str, ...] | None:
    """The names of a file's tensors by number, from its card; None where there is no card or the file holds them."""
    card = read_card(model_path)
    return None if card is None else card.tensors


def _unusable(path: Path, found: str) -> FileFormatError:
    return FileFormatError(
        received=f"{path}: {found}",
        expected=f"a card of schema {SCHEMA} for the file beside it",
        mend="delete the card and state --preprocess, or write the model again",
    )
