# SPDX-License-Identifier: Apache-2.0
"""A file's bytes. TensorFlow's converter makes them: here where Keras runs on TensorFlow, else in a process that does.

TensorFlow is loaded when the first bytes are made here, and never where Keras runs on JAX or PyTorch.
"""

import os
from typing import Any

import keras

from lowbit.errors import UnsupportedError
from lowbit.export import integers, outside
from lowbit.simulation import Simulation

FLOAT = "float"
"""In place of `io`: the float32 file of the simulation's graph, nothing rounded."""


def made(simulation: Simulation, io: str, python: str | os.PathLike[str] | None = None) -> bytes:
    """The file of a simulation.

    Args:
        io: "float32" or "int8", the edges of an integer file, or `FLOAT`.
        python: the interpreter of the process that makes it; None: this process if Keras runs on TensorFlow here, else
            a process of this interpreter.

    Raises:
        InputError: an interpreter that cannot be used, or classes that it cannot import.
        ExportError: TensorFlow's converter or litert-quantizer refuses the model.
    """
    if python is None and runs_on_tensorflow():
        return made_here(simulation, io)
    return outside.made(simulation, io, python)


def made_here(simulation: Simulation, io: str) -> bytes:
    """Likewise, in this process."""
    from lowbit.export.template import template

    if io == FLOAT:
        return integers.fill(template(simulation, integer=False), simulation)
    return integers.quantize(template(simulation), simulation, io)


def traced(model: keras.Model, input_shape: Any, refusal: UnsupportedError) -> bytes:
    """The float32 file of a model that no simulation can be made of, for the reason that `refusal` gives.

    Raises UnsupportedError where Keras does not run on TensorFlow, whose tracing alone takes such models.
    """
    if not runs_on_tensorflow():
        raise UnsupportedError(
            received=f"{refusal.received}, on {keras.backend.backend()}",
            expected=f"{refusal.expected}; only TensorFlow's own tracing takes other models",
            mend="export it where Keras runs on TensorFlow (KERAS_BACKEND=tensorflow), or write it in layers and "
            "keras.ops (keras.ops.cond, keras.ops.while_loop)",
        ) from refusal
    from lowbit.export.direct import convert

    return convert(model, input_shape)


def runs_on_tensorflow() -> bool:
    """Whether this process can convert by itself."""
    return bool(keras.backend.backend() == "tensorflow")
