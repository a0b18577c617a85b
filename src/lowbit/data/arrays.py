# SPDX-License-Identifier: Apache-2.0
"""From named arrays and labels to a data set, whether they come from a .npz, a function or this package."""

from collections.abc import Mapping, Sequence

import numpy as np

from lowbit.data.array_source import ArrayPart, ArraySource, Fit
from lowbit.data.dataset import Dataset, assemble
from lowbit.data.options import Options
from lowbit.data.partition import FRACTIONS, plan
from lowbit.data.preprocessing import RANGES, Preprocessing
from lowbit.data.source import MEMORY_LIMIT_BYTES, Array
from lowbit.errors import InputError

_TOLERANCE = 1e-3  # of the range that already preprocessed values may lie in


def from_arrays(
    name: str,
    parts: Mapping[str, ArrayPart],
    options: Options,
    *,
    class_names: tuple[str, ...] | None,
    pixels: frozenset[str],
    fractions: Sequence[float] = FRACTIONS,
) -> Dataset:
    """The data set of these (checked) arrays.

    The inputs in `pixels` are images of shape (samples, height, width, channels) with values 0..255: they are
    resized, converted to the channels asked for, and preprocessed. All others are a model's input already and stay
    as they are; raises InputError when a size or preprocessing is asked for that contradicts them.
    """
    first = next(iter(parts.values()))
    shapes = {key: first.inputs[key].shape[1:] for key in sorted(first.inputs)}
    settings = _settings(options, shapes, pixels)
    if not pixels:
        _check_ready(parts, settings)
    fits = {key: _fit(settings, shapes[key]) for key in pixels}
    total = sum(
        len(part.inputs[key]) * int(np.prod(fit.shape)) * part.inputs[key].itemsize
        for part in parts.values()
        for key, fit in fits.items()
    )
    counted = {key: (len(next(iter(part.inputs.values()))), part.labels) for key, part in parts.items()}
    sources = {}
    for split, (key, indices) in plan(counted, seed=options.seed, fractions=fractions).items():
        chosen = {given: values[indices] for given, values in parts[key].inputs.items()}
        labels = parts[key].labels
        source = ArraySource(chosen, pixels=pixels, fits=fits, keep=options.keep and total <= MEMORY_LIMIT_BYTES)
        sources[split] = source, None if labels is None else labels[indices]
    return assemble(name=name, sources=sources, settings=settings, class_names=class_names)


def _settings(options: Options, shapes: Mapping[str, tuple[int, ...]], pixels: frozenset[str]) -> Preprocessing:
    """What is asked for, completed by the images' own size when they share one."""
    images = {shapes[key] for key in pixels}
    if not images:
        return options.settings(preprocess="none")
    sizes, channels = {(shape[0], shape[1]) for shape in images}, {shape[2] for shape in images}
    return options.settings(
        image_size=sizes.pop() if len(sizes) == 1 else None,
        channels=channels.pop() if len(channels) == 1 else None,
    )


def _fit(settings: Preprocessing, shape: tuple[int, ...]) -> Fit:
    """From images of this shape to what is asked for."""
    height, width = settings.image_size or shape[:2]
    return Fit((height, width, settings.channels or shape[2]), settings.resize)


def _check_ready(parts: Mapping[str, ArrayPart], settings: Preprocessing) -> None:
    """Arrays that are a model's input already must look like what is asked for. Raises InputError if they do not."""
    if settings.is_function:
        raise InputError(
            received=f"preprocess={settings.preprocess!r} for arrays of floating-point numbers",
            expected="images as uint8, which are preprocessed, or no preprocessing",
            mend="store the images as uint8, or pass preprocess='none'",
        )
    for part in parts.values():
        for name, values in part.inputs.items():
            if values.ndim == 4:
                _check_image(name, values, settings)


def _check_image(name: str, values: Array, settings: Preprocessing) -> None:
    size, channels, shape = settings.image_size, settings.channels, values.shape[1:]
    if size not in (None, shape[:2]) or channels not in (None, shape[2]):
        raise InputError(
            received=f"input {name!r} of shape {shape} in floating point",
            expected=f"image_size={size}, channels={channels} already (only uint8 images are resized)",
            mend="store the images as uint8, or resize them yourself",
        )
    low, high = RANGES.get(settings.preprocess, (-np.inf, np.inf))
    slack = _TOLERANCE * (high - low) if np.isfinite(high) else 0.0
    if values.min() < low - slack or values.max() > high + slack:
        raise InputError(
            received=f"input {name!r} with values {values.min():g}..{values.max():g} in floating point",
            expected=f"values as the model wants them, {settings.preprocess} (only uint8 images are preprocessed)",
            mend="store the images as uint8, or scale them and pass the matching preprocess",
        )
