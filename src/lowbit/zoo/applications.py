# SPDX-License-Identifier: Apache-2.0
"""Models of `keras.applications` under the guide's head: global average pooling, 128, 128, classes."""

import contextlib
import sys
import urllib.error
from types import TracebackType
from typing import Any

import keras
from keras import layers

from lowbit.errors import FileFormatError, InputError
from lowbit.zoo.arguments import Arguments
from lowbit.zoo.catalog import Entry
from lowbit.zoo.freeze import HEAD
from lowbit.zoo.layer_names import with_fixed_names

_HEAD_UNITS = (128, 128)


def application(
    entry: Entry, arguments: Arguments, input_name: str, shape: tuple[int, ...], classes: int
) -> keras.Model:
    """One flat functional model: the layers of the base, then the layers of the head, whose names begin with "head_".

    Args:
        shape: (height, width, channels) of one sample.

    Raises:
        InputError: the base refuses the shape or its arguments, or the ImageNet weights cannot be downloaded.
        FileFormatError: the weight file is damaged or was written for another base.
    """
    base = _base(entry, arguments, input_name, shape)
    x = layers.GlobalAveragePooling2D(name=f"{HEAD}pool")(base.output)
    for number, units in enumerate(_HEAD_UNITS, start=1):
        x = layers.Dense(units, activation="relu", name=f"{HEAD}dense_{number}")(x)
    x = layers.Dense(classes, activation="softmax", name=f"{HEAD}predictions")(x)
    return with_fixed_names(keras.Model(base.inputs[0], x, name=entry.name))


def _base(entry: Entry, arguments: Arguments, input_name: str, shape: tuple[int, ...]) -> keras.Model:
    options: dict[str, Any] = {} if arguments.alpha is None else {"alpha": arguments.alpha}
    weights = "imagenet" if arguments.weights == "imagenet" else None
    try:
        # Keras draws its download bar on stdout, which belongs to the caller's result.
        with _DownloadErrors(entry.name), contextlib.redirect_stdout(sys.stderr):
            base = getattr(keras.applications, str(entry.function))(
                input_shape=shape,
                input_tensor=keras.Input(shape, name=input_name),
                include_top=False,
                weights=weights,
                **options,
            )
    except ValueError as error:
        raise InputError(
            received=f"images of shape {shape} for {entry.name}",
            expected=f"what keras.applications.{entry.function} accepts: {error}",
            mend=f"choose another --image-size ({entry.name} was made for {entry.image_size}) or other model arguments",
        ) from error
    if arguments.weights not in ("imagenet", "none"):
        _load_weights(base, arguments.weights, entry.name)
    return base


def _load_weights(base: keras.Model, path: str, name: str) -> None:
    try:
        base.load_weights(path)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise FileFormatError(
            received=f"weights={path}: {error}",
            expected=f"a weight file of {name} without its classifier, of the same alpha",
            mend="pass the matching file, or the alpha it was trained with",
        ) from error


class _DownloadErrors:
    """Turns a failed download into an InputError that names the local alternative.

    Keras raises a bare `Exception` for it; what went wrong is only in its context.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        reason = error.__context__ if type(error) is Exception else error
        if isinstance(reason, urllib.error.URLError | TimeoutError | ConnectionError):
            raise InputError(
                received=f"weights=imagenet for {self._name}, which could not be downloaded ({reason})",
                expected="a network connection, or the weights in Keras's cache",
                mend="pass a local file with --model-arg weights=FILE, or weights=none to start from random weights",
            ) from error
