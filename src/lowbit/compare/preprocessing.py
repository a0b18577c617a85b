# SPDX-License-Identifier: Apache-2.0
"""How a model from a file wants its images: told by its card, by the shape of its input, or by the caller."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

from lowbit.card import Card, card_path
from lowbit.errors import FileFormatError, InputError
from lowbit.functions import is_function_word

_KEYS = ("preprocess", "resize", "image_size", "channels")


def told_preprocessing(
    path: str | os.PathLike[str],
    card: Card | None,
    shapes: Sequence[Sequence[int | None]],
    *,
    preprocess: str | None,
    image_size: Sequence[int] | int | None,
) -> dict[str, Any]:
    """Arguments of `load_dataset` for the model in `path`: what was asked for, else its card, else its input's shape.

    A card is a file from elsewhere: a function that it names is called only if the caller names it too.
    Raises FileFormatError for a card that nobody wrote so, InputError for a function that the caller did not name.
    """
    told = {} if card is None else _checked(path, card.preprocessing)
    if told.get("preprocess") is None:
        told = _told_by_shape(shapes) | {name: value for name, value in told.items() if value is not None}
    named = told.get("preprocess")
    if preprocess is None and named is not None and is_function_word(named):
        raise InputError(
            received=f"{card_path(path)}, which names the function {named} as preprocessing",
            expected="a function only where it was asked for: it is code that would be run",
            mend=f"pass --preprocess {named} to allow it",
        )
    given = {"preprocess": preprocess, "image_size": image_size}
    return told | {name: value for name, value in given.items() if value is not None}


def holds_arrays(word: str) -> bool:
    """Whether a data word means arrays, which may be a model's input already, and not image files."""
    return word.endswith(".npz") or is_function_word(word)


def not_told(path: str | os.PathLike[str], card: Card | None) -> InputError:
    """The error for a model whose preprocessing nothing tells."""
    lack = "without a card beside it" if card is None else "whose card names no preprocessing"
    return InputError(
        received=f"model {os.fspath(path)!r} {lack}",
        expected="how its images were preprocessed when it was trained",
        mend="pass --preprocess -1..1, 0..1, 0..255, imagenet, none or module:function",
    )


def _told_by_shape(shapes: Sequence[Sequence[int | None]]) -> dict[str, Any]:
    """Image size and channels of a model with one image input (height, width, channels)."""
    if len(shapes) != 1 or len(shapes[0]) != 3 or None in shapes[0]:
        return {}
    height, width, channels = shapes[0]
    return {"image_size": [height, width], "channels": channels}


def _checked(path: str | os.PathLike[str], preprocessing: Mapping[str, Any]) -> dict[str, Any]:
    """The card's preprocessing, if its keys and types are those that lowbit writes."""
    for name, value in preprocessing.items():
        good = name in _KEYS and (value is None or _is_usable(name, value))
        if not good or (name == "resize" and value is None):
            raise FileFormatError(
                received=f"{card_path(path)} with preprocessing {name[:40]}={str(value)[:40]}",
                expected=f"{', '.join(_KEYS)}: words, [height, width], and a number",
                mend="mend the card, or delete it and state --preprocess",
            )
    return dict(preprocessing)


def _is_usable(name: str, value: Any) -> bool:
    if name == "image_size":
        return isinstance(value, list) and len(value) == 2 and all(type(side) is int for side in value)
    return type(value) is (int if name == "channels" else str)
