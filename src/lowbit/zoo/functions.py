# SPDX-License-Identifier: Apache-2.0
"""`package.module:function`: a model from a user's own code."""

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras

from lowbit.errors import InputError

_WORD = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


def is_function_word(word: str) -> bool:
    """Whether `word` reads `package.module:function`.

    >>> is_function_word("mine.models:build"), is_function_word("models/mine.keras")
    (True, False)
    """
    return _WORD.fullmatch(word) is not None


def call_function(word: str, offered: Mapping[str, Any]) -> keras.Model:
    """The model that a user's function returns, called with those of `offered` that its parameters name.

    Modules in the current folder are found too. Errors inside the function pass through: they are the author's.
    Raises InputError when there is no such function, it asks for more than is offered, or it returns no Keras model.
    """
    function = _resolve(word)
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


def _resolve(word: str) -> Callable[..., Any]:
    found = _WORD.fullmatch(word)
    if found is None:
        raise InputError(received=repr(word), expected="package.module:function", mend="name a function of a module")
    module = _import(found["module"], word)
    function = getattr(module, found["function"], None)
    if not callable(function):
        close = difflib.get_close_matches(found["function"], dir(module), n=1)
        raise InputError(
            received=f"{word!r}: module {found['module']!r} has no function {found['function']!r}",
            expected="the name of a function in that module",
            mend=f"did you mean {close[0]!r}?" if close else "check the spelling after the colon",
        )
    return function


def _import(name: str, word: str) -> ModuleType:
    try:
        with _current_folder_in_reach():
            return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            received=f"{word!r}: {error}",
            expected=f"a module {name!r} that can be imported",
            mend="run from the folder that holds it, or install it",
        ) from error


@contextmanager
def _current_folder_in_reach() -> Iterator[None]:
    """As under `python -m`; the search path is put back afterwards."""
    folder = os.getcwd()
    if folder in sys.path or "" in sys.path:
        yield
        return
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
