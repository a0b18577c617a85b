# SPDX-License-Identifier: Apache-2.0
"""Layers that remember from one call to the next, or draw random numbers: a file, which answers alike, has none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras

from lowbit.errors import UnsupportedError


@contextmanager
def changes_refused(layer: Any) -> Iterator[None]:
    """Within it a call of `layer` changes no variable; UnsupportedError at its end, or instead of its own error, where
    the call would have.

    Calls of inner layers on symbolic tensors do not count: they are opened in their turn.
    """
    symbolic: list[Any] = []
    scope = keras.StatelessScope()
    with _symbolic_values_noted(symbolic):
        try:
            with scope:
                yield
        except Exception as error:
            # Whatever it was that the user's own code raised: a layer that changes variables is told as one.
            if scope.state_mapping or symbolic:
                raise _refusal(layer, scope, symbolic) from error
            raise
    if scope.state_mapping or symbolic:
        raise _refusal(layer, scope, symbolic)


def check_remembers_nothing(layer: Any) -> None:
    """Raises UnsupportedError for a recurrent layer that goes on from its last state."""
    for part in layer._flatten_layers():
        if isinstance(part, (keras.layers.RNN, keras.layers.Bidirectional)) and part.stateful:
            raise UnsupportedError(
                received=f"{part.name!r} ({type(part).__name__}) with stateful=True",
                expected="layers whose outputs follow from their inputs alone",
                mend="build it with stateful=False and pass the state as an input (initial_state=)",
            )


def _refusal(layer: Any, scope: Any, symbolic: list[Any]) -> UnsupportedError:
    own = [variable for variable in layer.variables if id(variable) in scope.state_mapping]
    changed = [variable.path for variable in (*own, *symbolic) if "seed_generator" not in variable.path]
    does = f"which changes its variable {changed[0]!r}" if changed else "which draws random numbers"
    return UnsupportedError(
        received=f"{layer.name!r} ({type(layer).__name__}), {does} when it infers",
        expected="layers whose outputs follow from their inputs alone",
        mend="do so in training only: `def call(self, x, training=False)`, and `if training:`",
    )


@contextmanager
def _symbolic_values_noted(found: list[Any]) -> Iterator[None]:
    """Appends the variables that a symbolic tensor is assigned to, which itself is an error of any wording."""
    assign, is_own = keras.Variable.assign, "assign" in vars(keras.Variable)

    def noting(self: Any, value: Any) -> Any:
        if isinstance(value, keras.KerasTensor):
            found.append(self)
        return assign(self, value)

    keras.Variable.assign = noting
    try:
        yield
    finally:
        if is_own:
            keras.Variable.assign = assign
        else:
            del keras.Variable.assign
