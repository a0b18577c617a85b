# SPDX-License-Identifier: Apache-2.0
"""float64 in the rules of the runtime, on every backend.

JAX computes in float64 only where `jax_enable_x64` is on, and a library must not switch that for the user's program.
JAX's context manager does so for the operations called inside it, traced ones too: a compiled function then holds
float64 between the rule's float32 inputs and its float32 result (docs/decisions/0011).
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
    if keras.backend.backend() != "jax":
        return nullcontext()
    import jax

    allowed: AbstractContextManager[Any] = jax.enable_x64(True)
    return allowed
