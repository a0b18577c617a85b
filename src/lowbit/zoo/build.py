# SPDX-License-Identifier: Apache-2.0
"""A zoo model from its name, with initial weights that depend on the seed only."""

from collections.abc import Mapping

import keras

from lowbit.errors import InputError
from lowbit.zoo.applications import application
from lowbit.zoo.arguments import parse
from lowbit.zoo.catalog import entry
from lowbit.zoo.small_cnn import small_cnn


def build_model(
    model: str,
    *,
    inputs: Mapping[str, tuple[int, ...]],
    classes: int,
    model_args: Mapping[str, str] | None = None,
    seed: int = 0,
) -> keras.Model:
    """Build a model of the zoo; every layer has a fixed name, the input layer that of the data's input.

    Python's, NumPy's and the backend's random state are seeded with `seed`, as Keras's initializers draw from them.

    Args:
        model: a name of `lowbit.zoo.names()`.
        inputs: shape (height, width, channels) of one sample by input name; one input.
        classes: number of classes, 2 or more.
        model_args: `alpha` and `weights` as words; see `lowbit.zoo.arguments.Arguments`.

    Raises:
        InputError: unknown name or argument, unsuitable shape, weights that cannot be downloaded.
        FileFormatError: a weight file that is damaged or does not match.
    """
    found = entry(model)
    arguments = parse(found, model_args or {})
    input_name, shape = _single_image(found.name, inputs)
    if classes < 2:
        raise InputError(
            received=f"classes={classes}", expected="at least 2 classes", mend="use data of two classes or more"
        )
    keras.utils.set_random_seed(seed)
    if found.function is None:
        return small_cnn(input_name, shape, classes)
    return application(found, arguments, input_name, shape, classes)


def _single_image(name: str, inputs: Mapping[str, tuple[int, ...]]) -> tuple[str, tuple[int, ...]]:
    """The one input's name and shape; raises InputError unless it is an image of known size."""
    shapes = {input_name: tuple(shape) for input_name, shape in inputs.items()}
    if len(shapes) == 1:
        [(input_name, shape)] = shapes.items()
        if len(shape) == 3 and all(shape):
            return input_name, shape
    raise InputError(
        received=f"data with inputs {shapes}",
        expected=f"one image input of shape (height, width, channels) for {name}",
        mend="pass --image-size for images of different sizes, or your own model for other data",
    )
