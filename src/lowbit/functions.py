# SPDX-License-Identifier: Apache-2.0
"""`package.module:function`: a user's own code, named by a word on the command line."""

import difflib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from lowbit.errors import InputError

_WORD = re.compile(r"(?P<module>[^\W\d]\w*(\.[^\W\d]\w*)*):(?P<function>[^\W\d]\w*)")


def is_function_word(word: str) -> bool:
    """Whether `word` reads `package.module:function`.

    >>> is_function_word("mydata.weeds:load"), is_function_word("deep_weeds:3.0.0")
    (True, False)
    """
    return _WORD.fullmatch(word) is not None


def resolve(word: str) -> Callable[..., Any]:
    """The function that `package.module:function` names; modules in the current folder are found too.

    Raises InputError when there is no such module or function, or the module itself cannot be imported. Other
    errors inside the module pass through: they are the author's, and their traceback says more than a line.
    """
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


def source_of(word: str) -> str:
    """Source text of the module that holds the function, so that an edit is noticed; its name where there is none."""
    function = resolve(word)
    try:
        return inspect.getsource(sys.modules[function.__module__])
    except (OSError, TypeError, AttributeError, KeyError):  # built in, compiled, or a callable object
        return word


def _import(name: str, word: str) -> ModuleType:
    """Import with the current folder in reach, as `python -m` would; the search path is put back afterwards."""
    folder = os.getcwd()
    added = folder not in sys.path and "" not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            received=f"{word!r}: {error}",
            expected=f"a module {name!r} that can be imported",
            mend="run from the folder that holds it, or install it",
        ) from error
    finally:
        if added:
            sys.path.remove(folder)
