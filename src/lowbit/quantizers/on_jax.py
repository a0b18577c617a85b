# SPDX-License-Identifier: Apache-2.0
"""What is done otherwise on JAX: the one file that imports it, and only where Keras runs on it.

JAX computes in float64 only where `jax_enable_x64` is on, and a library must not switch that for the user's program.
JAX's context manager does so for the operations called inside it, traced ones too: a compiled function then holds
float64 between a rule's float32 inputs and its float32 result (docs/decisions/0011).
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import keras

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


def in_float64(rule: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The rule, with float64 inside it whatever the backend; what it returns must be float32.

    >>> in_float64(lambda x: ops.cast(ops.cast(x, "float64") / 3.0, "float32"))    # doctest: +SKIP
    """

    @wraps(rule)
    def computed(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with _float64():
            return rule(*args, **kwargs)

    return computed


def _float64() -> AbstractContextManager[Any]:
    if not _is_here():
        return nullcontext()
    import jax

    allowed: AbstractContextManager[Any] = jax.enable_x64(True)
    return allowed


def compiled_as_a_whole(function: Callable[_Arguments, _Result]) -> Callable[_Arguments, _Result]:
    """The function compiled on JAX, where every operation of an eager call is compiled by itself; elsewhere as it is.

    It must take all that it computes with as arguments: JAX folds what it closes over as constants.
    """
    if not _is_here():
        return function
    import jax

    whole: Callable[_Arguments, _Result] = jax.jit(function)
    return whole


def _is_here() -> bool:
    return bool(keras.backend.backend() == "jax")
