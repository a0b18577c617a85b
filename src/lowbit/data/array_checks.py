# SPDX-License-Identifier: Apache-2.0
"""Arrays from outside, checked before anything is computed with them."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from lowbit.data.array_source import ArrayPart
from lowbit.data.source import Array
from lowbit.errors import InputError


def check_inputs(where: str, inputs: Mapping[str, Array]) -> tuple[dict[str, Array], frozenset[str]]:
    """The inputs of one split, images with a channel axis, and the names of those that hold pixels 0..255.

    Raises InputError for arrays that are not numbers, hold NaN or infinity, are empty or of different lengths.
    """
    checked: dict[str, Array] = {}
    pixels: set[str] = set()
    for name, values in inputs.items():
        what = f"{where}.{name}"
        if values.dtype.kind not in "fiub" or values.ndim < 1:
            raise _error(f"{what} of type {values.dtype}, shape {values.shape}", "numbers, samples first", "convert it")
        if not values.size:
            raise _error(f"{what} of shape {values.shape}", "at least one sample", "remove the array or fill it")
        if values.dtype.kind == "f":
            with np.errstate(over="ignore"):  # numbers too large for float32 become infinite, and are refused as such
                values = values.astype(np.float32)
        if not np.isfinite(values).all():
            bad = int(np.count_nonzero(~np.isfinite(values)))
            raise _error(f"{what} with {bad} NaN or infinite values", "finite numbers", "find out where they come from")
        if _is_image(values):
            pixels.add(name)
            values = _as_pixels(what, values)
        checked[name] = values
    lengths = {name: len(values) for name, values in checked.items()}
    if len(set(lengths.values())) > 1:
        raise _error(f"{where} with samples {lengths}", "the same number of samples for each input", "align the arrays")
    return checked, frozenset(pixels)


def check_labels(where: str, labels: Array, count: int, class_names: Sequence[str] | None) -> Array:
    """What samples are to be answered with, in one of three forms (`task_of`).

    Class indices, int64 of shape (count,); for classes that exclude each other not, 0 or 1 for each, int64 of shape
    (count, classes); numbers to estimate, float32 of shape (count,) or (count, numbers). Raises InputError for others,
    one-hot vectors among them.
    """
    if labels.ndim not in (1, 2) or labels.dtype.kind not in "iufb":
        raise _error(
            f"{where} of type {labels.dtype}, shape {labels.shape}",
            "one class index (integer) for each sample, 0 or 1 for each class, or numbers to estimate",
            "convert it, class names with numpy.unique(names, return_inverse=True)",
        )
    if len(labels) != count:
        raise _error(f"{where} with {len(labels)} labels for {count} samples", "as many as samples", "align the arrays")
    if labels.dtype.kind == "f" and not _is_one_hot(labels):
        return _numbers(where, labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        return _several(where, labels)
    labels = labels.reshape(-1)
    if labels.dtype.kind == "b":
        labels = labels.astype(np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or (class_names is not None and high >= len(class_names)):
        last = "" if class_names is None else f" to {len(class_names) - 1}, one for each class name"
        raise _error(
            f"{where} with labels {low}..{high}", f"class indices from 0{last}", "correct the labels or the class names"
        )
    return labels.astype(np.int64)


def together(labels: Mapping[str, Array]) -> Array:
    """Labels of several outputs as one array with a field for each; a single output's as they are."""
    if len(labels) == 1:
        return next(iter(labels.values()))
    fields = [(name, values.dtype, values.shape[1:]) for name, values in labels.items()]
    joined = np.zeros(len(next(iter(labels.values()))), fields)
    for name, values in labels.items():
        joined[name] = values
    return joined


def _numbers(where: str, labels: Array) -> Array:
    if not np.isfinite(labels).all():
        raise _error(f"{where} with NaN or infinite values", "finite numbers", "find out where they come from")
    return labels.astype(np.float32)


def _several(where: str, labels: Array) -> Array:
    """0 or 1 for each class; rows that all sum up to 1 are one-hot vectors, whose classes exclude each other."""
    whole = labels.astype(np.int64)
    if not np.isin(whole, (0, 1)).all():
        raise _error(f"{where} of shape {labels.shape} with {whole.max()}", "0 or 1 for each class", "correct it")
    if _is_one_hot(whole):
        raise _error(
            f"{where} of shape {labels.shape}, one-hot vectors",
            "one class index (integer) for each sample",
            "convert it with argmax(axis=1)",
        )
    return whole


def _is_one_hot(labels: Array) -> bool:
    is_wide = labels.ndim == 2 and labels.shape[1] > 1
    return is_wide and bool(np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


def check_parts(where: str, parts: Mapping[str, ArrayPart], pixels: Collection[frozenset[str]]) -> None:
    """All splits must have the same inputs, of the same shapes and kinds. Raises InputError if they do not."""
    shapes = {
        split: {name: values.shape[1:] for name, values in sorted(part.inputs.items())} for split, part in parts.items()
    }
    first, *others = shapes.items()
    for split, shape in others:
        if shape != first[1]:
            raise _error(
                f"{where} with samples {first[1]} in {first[0]} but {shape} in {split}",
                "the same inputs of the same shapes in each split",
                "correct the arrays",
            )
    if len(pixels) > 1:
        raise _error(
            f"{where} with images as integers in one split and in floating point in another",
            "the same type in each split",
            "convert them alike",
        )


def _is_image(values: Array) -> bool:
    return (values.ndim == 3 and values.dtype == np.uint8) or (values.ndim == 4 and values.dtype.kind in "iu")


def _as_pixels(what: str, values: Array) -> Array:
    """uint8 of shape (samples, height, width, channels)."""
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 255:
        raise _error(f"images {what} with integers {low}..{high}", "values 0..255", "scale them, or store float32")
    values = values.astype(np.uint8)
    return values[..., None] if values.ndim == 3 else values


def _error(received: str, expected: str, mend: str) -> InputError:
    return InputError(received=received, expected=expected, mend=mend)
