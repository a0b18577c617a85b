# SPDX-License-Identifier: Apache-2.0
"""`package.module:function`: a model from a user's own code."""

import inspect
from collections.abc import Mapping
from typing import Any

import keras

from lowbit.errors import InputError
from lowbit.functions import resolve


def call_function(word: str, offered: Mapping[str, Any]) -> keras.Model:
    """The model that a user's function returns, called with those of `offered` that its parameters name.

    Modules in the current folder are found too. Errors inside the function pass through: they are the author's.
    Raises InputError when there is no such function, it asks for more than is offered, or it returns no Keras model.
    """
    function = resolve(word)
    parameters = inspect.signature(function).parameters
    chosen = {name: value for name, value in offered.items() if name in parameters and value is not None}
    missing = [name for name, parameter in parameters.items() if _is_required(parameter) and name not in chosen]
    if missing:
        raise InputError(
            received=f"{word!r}, whose parameter {missing[0]!r} has no default",
            expected=f"a function of any of {', '.join(offered)}",
            mend=f"give {missing[0]!r} a default, or pass --model-arg {missing[0]}=...",
        )
    model = function(**chosen)
    if not isinstance(model, keras.Model):
        raise InputError(
            received=f"{word!r}, which returned {type(model).__name__}",
            expected="a function that returns a keras.Model",
            mend="return the model",
        )
    return model


def _is_required(parameter: inspect.Parameter) -> bool:
    variadic = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return parameter.default is inspect.Parameter.empty and not variadic
