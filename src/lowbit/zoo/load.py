# SPDX-License-Identifier: Apache-2.0
"""A model by name, file or function, with what it needs to be fed."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import keras

from lowbit.card import read_card
from lowbit.errors import InputError
from lowbit.functions import is_function_word
from lowbit.zoo.arguments import parse
from lowbit.zoo.build import build_model
from lowbit.zoo.catalog import entry, is_name
from lowbit.zoo.checks import check_class_count, check_finite, check_inputs
from lowbit.zoo.files import is_file_word, load_file
from lowbit.zoo.functions import call_function

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, kw_only=True)
class LoadedModel:
    """A Keras model and what is known about it.

    Attributes:
        name: the zoo's name, the file's name without suffix, or the function's name.
        trained: whether the model is used as it is; a zoo model is not, even with ImageNet weights in its base.
        preprocess: preprocessing word of the data room; None when the file has no card that tells.
        class_names: in the order of the outputs; None when not known.
        has_pretrained_base: whether a zoo model's base starts from trained weights.
    """

    model: keras.Model
    name: str
    trained: bool
    preprocess: str | None = None
    class_names: tuple[str, ...] | None = None
    has_pretrained_base: bool = False


def load_model(
    model: str,
    *,
    inputs: Shapes | None = None,
    classes: int | None = None,
    model_args: Mapping[str, str] | None = None,
    seed: int = 0,
) -> LoadedModel:
    """Load the model that a MODEL word means: a zoo name, a `.keras` or `.h5` file, or `package.module:function`.

    Args:
        inputs: shape of one sample by input name. Needed to build a zoo model; other models are checked against it.
        classes: number of classes; likewise.
        model_args: a zoo model's settings, or more arguments for a function, which is called with those of `inputs`,
            `classes`, `seed` and these that its parameters name.
        seed: of a zoo model's initial weights.

    Raises:
        InputError: unknown name, model that does not fit `inputs` or `classes`, NaN or infinite weights.
        FileFormatError: a file that is damaged, no model, or unsafe to load; a card for another file.
    """
    arguments = dict(model_args or {})
    if is_name(model) and not Path(model).is_file():
        return _from_zoo(model, inputs, classes, arguments, seed)
    if is_function_word(model):
        loaded = _from_function(model, inputs, classes, arguments, seed)
    elif is_file_word(model):
        loaded = _from_file(model, arguments)
    else:
        entry(model)  # raises, naming the closest name
        raise InputError(received=f"model {model!r}", expected="a MODEL word", mend="see `lowbit compare --help`")
    if inputs is not None:
        check_inputs(loaded.model, inputs, model)
    if classes is not None:
        check_class_count(loaded.model, classes)
    return loaded


def _from_zoo(
    model: str, inputs: Shapes | None, classes: int | None, arguments: dict[str, str], seed: int
) -> LoadedModel:
    found = entry(model)
    if inputs is None or classes is None:
        raise InputError(
            received=f"zoo model {found.name!r} without data",
            expected="the shape of its input and the number of classes",
            mend="pass data, or the .keras file of a model that was built before",
        )
    is_pretrained = found.function is not None and parse(found, arguments).weights != "none"
    return LoadedModel(
        model=build_model(model, inputs=inputs, classes=classes, model_args=arguments, seed=seed),
        name=found.name,
        trained=False,
        preprocess=found.preprocess,
        has_pretrained_base=is_pretrained,
    )


def _from_file(path: str, arguments: dict[str, str]) -> LoadedModel:
    if arguments:
        raise InputError(
            received=f"model argument {next(iter(arguments))!r} for the file {path}",
            expected="no model arguments: a file holds a built model",
            mend="leave it out, or name a model of the zoo",
        )
    model = load_file(path)
    card = read_card(path)
    return LoadedModel(
        model=model,
        name=Path(path).stem,
        trained=True,
        preprocess=None if card is None else card.preprocessing.get("preprocess"),
        class_names=None if card is None else card.class_names,
    )


def _from_function(
    word: str, inputs: Shapes | None, classes: int | None, arguments: dict[str, str], seed: int
) -> LoadedModel:
    model = call_function(word, {"inputs": inputs, "classes": classes, "seed": seed, **arguments})
    if not model.built and inputs is not None and len(inputs) == 1:
        model.build((None, *next(iter(inputs.values()))))
    if not model.built or not getattr(model, "inputs", None):
        raise InputError(
            received=f"{word!r}, which returned a model that knows no input shape",
            expected="a built model",
            mend="begin it with keras.Input(shape), or pass data",
        )
    check_finite(model, word)
    return LoadedModel(model=model, name=word.rpartition(":")[2], trained=True)
