# SPDX-License-Identifier: Apache-2.0
"""The words of a .npz, and of what a user's function returns: `x_train`, `y_train`, `x_train.<input name>`,
`y_train.<output name>`, ..."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowbit.data.array_checks import check_inputs, check_labels, check_parts, together
from lowbit.data.array_source import ArrayPart
from lowbit.data.arrays import from_arrays
from lowbit.data.dataset import Dataset
from lowbit.data.names import closest
from lowbit.data.options import Options
from lowbit.data.partition import ALL, SPLITS
from lowbit.data.source import Array
from lowbit.errors import InputError

_WORD = re.compile(r"(?P<kind>[xy])(_(?P<split>train|validation|test))?(\.(?P<name>.+))?")
_CLASS_NAMES = "class_names"
_EXPECTED = (
    "x_train y_train [x_validation y_validation] x_test y_test, or x y; x_train.<name> for several inputs, "
    "y_train.<name> for several outputs"
)
_UNNAMED = ""


def from_words(name: str, where: str, words: Mapping[str, Any], options: Options) -> Dataset:
    """The data set of a mapping such as `{"x_train": ..., "y_train": ..., "x_test": ..., "y_test": ...}`.

    `where` names the file or function in errors. `x` and `y` alone are divided by the seed; `y` may be missing
    everywhere (unlabelled data); labels of several outputs are one array for each, `y_train.<output name>`.
    `class_names`, one text for each class of a single output, is optional. Integer images (uint8 of shape
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
            count = len(next(iter(checked.values())))
            indices = _labels(f"{where}: {_spell('y', key)}", labels[key], count, class_names)
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


def _sorted_out(where: str, words: Mapping[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Inputs and labels, by split and name. Raises InputError for words that make no data set."""
    inputs: dict[str, dict[str, Any]] = {}
    labels: dict[str, dict[str, Any]] = {}
    for word, value in words.items():
        found = _WORD.fullmatch(word)
        if word == _CLASS_NAMES:
            continue
        if found is None:
            known = [_spell(kind, split) for kind in "xy" for split in (*SPLITS, ALL)]
            raise InputError(
                received=f"array {word!r} in {where}",
                expected=_EXPECTED,
                mend=closest(word, [*known, _CLASS_NAMES]) + "rename or remove it",
            )
        if found["kind"] == "x" or value is not None:
            part = labels if found["kind"] == "y" else inputs
            part.setdefault(found["split"] or ALL, {})[found["name"] or _UNNAMED] = value
    paired = not labels or labels.keys() == inputs.keys()
    mixed = ALL in inputs and len(inputs) > 1
    half_named = any(_UNNAMED in named and len(named) > 1 for named in (*inputs.values(), *labels.values()))
    half_named |= len({frozenset(named) for named in labels.values()}) > 1
    if not inputs or not paired or mixed or half_named:
        raise InputError(
            received=f"{', '.join(sorted(words)) or 'no array'} in {where}",
            expected=_EXPECTED,
            mend="name an x, with its y, for each split, and several inputs or outputs alike in each",
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


def _labels(
    where: str, values: Mapping[str, Any], count: int, class_names: Sequence[str] | None
) -> Array:
    """The labels of one split; several outputs' in fields of their names."""
    checked = {}
    for name, one in values.items():
        here = f"{where}.{name}" if name else where
        checked[name] = check_labels(here, _array(here, one), count, class_names)
    if len(checked) > 1 and class_names is not None:
        raise InputError(
            received=f"{_CLASS_NAMES} beside labels of {len(checked)} outputs ({where})",
            expected="names for the classes of a single output",
            mend=f"leave {_CLASS_NAMES} out",
        )
    return together(checked)


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
