# SPDX-License-Identifier: Apache-2.0
"""The words of a .npz, and of what a user's function returns: `x_train`, `y_train`, `x_train.<input name>`, ..."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowbit.data.array_checks import check_inputs, check_labels, check_parts
from lowbit.data.array_source import ArrayPart
from lowbit.data.arrays import from_arrays
from lowbit.data.dataset import Dataset
from lowbit.data.names import closest
from lowbit.data.options import Options
from lowbit.data.partition import ALL, SPLITS
from lowbit.data.source import Array
from lowbit.errors import InputError

_WORD = re.compile(r"(?P<kind>[xy])(_(?P<split>train|validation|test))?(\.(?P<input>.+))?")
_CLASS_NAMES = "class_names"
_EXPECTED = "x_train y_train [x_validation y_validation] x_test y_test, or x y; x_train.<name> for several inputs"
_UNNAMED = ""


def from_words(name: str, where: str, words: Mapping[str, Any], options: Options) -> Dataset:
    """The data set of a mapping such as `{"x_train": ..., "y_train": ..., "x_test": ..., "y_test": ...}`.

    `where` names the file or function in errors. `x` and `y` alone are divided by the seed; `y` may be missing
    everywhere (unlabelled data). `class_names`, one text for each class, is optional. Integer images (uint8 of shape
    (samples, height, width), or any integers 0..255 of shape (samples, height, width, channels)) are pixels; other
    arrays are the model's input as they are. Raises InputError for unknown words, what is missing, arrays of
    different lengths or shapes, NaN, and labels that are no class indices.
    """
    inputs, labels = _sorted_out(where, words)
    class_names = _class_names(where, words.get(_CLASS_NAMES))
    parts = {}
    pixels: set[frozenset[str]] = set()
    for key in inputs:
        here = f"{where}: {_spell('x', key)}"
        checked, pixel_names = check_inputs(here, _named(here, inputs[key]))
        pixels.add(pixel_names)
        indices = None
        if key in labels:
            here, count = f"{where}: {_spell('y', key)}", len(next(iter(checked.values())))
            indices = check_labels(here, _array(here, labels[key]), count, class_names)
        parts[key] = ArrayPart(checked, indices)
    check_parts(where, parts, pixels)
    return from_arrays(name, parts, options, class_names=class_names, pixels=pixels.pop())


def words_of(where: str, value: Any) -> Mapping[str, Any]:
    """The mapping a function meant: a mapping itself, `(x, y)`, or one such pair for each split.

    Two pairs are train and test (as keras.datasets returns), three are train, validation and test. An x may be a
    mapping of named inputs. Raises InputError for anything else.

    >>> sorted(words_of("mydata:load", ((1, 2), (3, 4))))
    ['x_test', 'x_train', 'y_test', 'y_train']
    """
    if isinstance(value, Mapping):
        return value
    if isinstance(value, tuple | list):
        pairs = [item for item in value if isinstance(item, tuple)]
        if len(pairs) == len(value) and len(pairs) in (2, 3) and all(len(pair) == 2 for pair in pairs):
            splits = SPLITS if len(pairs) == 3 else ("train", "test")
            return {
                word: content
                for split, (x, y) in zip(splits, pairs)
                for word, content in (*_spread(f"x_{split}", x), (f"y_{split}", y))
            }
        if len(value) == 2:
            return dict([*_spread("x", value[0]), ("y", value[1])])
    raise InputError(
        received=f"{type(value).__name__} from {where}",
        expected="a lowbit Dataset, a dict of arrays like a .npz, (x, y), or such pairs for train [, validation], test",
        mend="return one of these",
    )


def _spread(word: str, x: Any) -> list[tuple[str, Any]]:
    return [(f"{word}.{name}", values) for name, values in x.items()] if isinstance(x, Mapping) else [(word, x)]


def _sorted_out(where: str, words: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """Inputs by split and name, and labels by split. Raises InputError for words that make no data set."""
    inputs: dict[str, dict[str, Any]] = {}
    labels: dict[str, Any] = {}
    for word, value in words.items():
        found = _WORD.fullmatch(word)
        if word == _CLASS_NAMES:
            continue
        if found is None or (found["kind"] == "y" and found["input"]):
            known = [_spell(kind, split) for kind in "xy" for split in (*SPLITS, ALL)]
            raise InputError(
                received=f"array {word!r} in {where}",
                expected=_EXPECTED,
                mend=closest(word, [*known, _CLASS_NAMES]) + "rename or remove it",
            )
        split = found["split"] or ALL
        if found["kind"] == "y":
            if value is not None:
                labels[split] = value
        else:
            inputs.setdefault(split, {})[found["input"] or _UNNAMED] = value
    paired = not labels or labels.keys() == inputs.keys()
    mixed = ALL in inputs and len(inputs) > 1
    half_named = any(_UNNAMED in named and len(named) > 1 for named in inputs.values())
    if not inputs or not paired or mixed or half_named:
        raise InputError(
            received=f"{', '.join(sorted(words)) or 'no array'} in {where}",
            expected=_EXPECTED,
            mend="name an x, with its y, for each split",
        )
    order = [split for split in (*SPLITS, ALL) if split in inputs]
    return {split: inputs[split] for split in order}, labels


def _spell(kind: str, split: str) -> str:
    return kind if split == ALL else f"{kind}_{split}"


def _array(where: str, value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError as error:  # nested lists of unequal lengths
        raise InputError(received=f"{where} ({error})", expected="an array", mend="make all rows alike") from error


def _named(where: str, inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Arrays by input name; a single one without a name is `image` or `features`, by its number of axes."""
    arrays = {name: _array(f"{where}.{name}", values) for name, values in inputs.items()}
    if _UNNAMED in arrays:
        only = arrays[_UNNAMED]
        image = only.ndim == 4 or (only.ndim == 3 and only.dtype == np.uint8)
        return {"image" if image else "features": only}
    return arrays


def _class_names(where: str, value: Sequence[str] | Array | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = tuple(str(name) for name in np.asarray(value).ravel().tolist())
    if len(set(names)) != len(names) or not names:
        raise InputError(
            received=f"class_names {', '.join(names)!r} in {where}",
            expected="one name for each class, none twice",
            mend="correct the names",
        )
    return names
