# SPDX-License-Identifier: Apache-2.0
"""What is asked of an export, checked before anything is made."""

from pathlib import Path
from typing import Any

import keras

from lowbit.errors import InputError
from lowbit.export import outputs
from lowbit.simulation import Simulation, require_model
from lowbit.spec import Spec

LEAST_AGREEMENT = 0.98
"""Share of top-1 answers on which file and simulation must agree, unless another is given."""


def check(model: Any, path: str | Path, spec: Spec | str | None, io: str) -> None:
    require_model(model, keras.Model, "a Keras model or a simulation")
    if not str(path).endswith(".tflite"):
        raise InputError(received=f"path {str(path)!r}", expected="a name ending in .tflite", mend="add .tflite")
    if io not in ("float32", "int8"):
        raise InputError(received=f"io={io!r}", expected="'float32' or 'int8'", mend="choose one of them")
    if isinstance(model, Simulation) and spec is not None:
        raise InputError(
            received=f"a simulation of {model.spec.name} and spec={spec!r}",
            expected="a spec for a float model only",
            mend="leave spec out; the simulation knows its own",
        )
    if isinstance(model, Simulation):
        outputs.names(model)
    bits = model.edge_bits() if isinstance(model, Simulation) else Spec.parse(spec or "w8a8").activations
    if io == "int8" and bits != 8:
        raise InputError(
            received=f"io='int8' for inputs or outputs of {bits} bits",
            expected="8-bit activations there",
            mend="pass io='float32'",
        )
    if io == "int8" and not isinstance(model, Simulation) and spec is None:
        raise InputError(
            received="io='int8' for a float file", expected="an integer file", mend="pass spec='w8a8' and calibration"
        )


def check_share(least_agreement: float | None) -> None:
    is_number = isinstance(least_agreement, (int, float)) and not isinstance(least_agreement, bool)
    if least_agreement is not None and not (is_number and 0 <= least_agreement <= 1):
        raise InputError(
            received=f"least_agreement={least_agreement!r}",
            expected="a share from 0 to 1, or None",
            mend=f"leave it out for {LEAST_AGREEMENT}",
        )


def check_shape(model: Any, input_shape: Any) -> None:
    if isinstance(model, Simulation) and input_shape is not None:
        raise InputError(
            received=f"input_shape={input_shape!r} for a simulation",
            expected="a shape for a float model only",
            mend="leave it out, or give it to quantize_model",
        )


def check_use_of_data(model: Any, spec: Spec | str | None, *, calibration: Any, parity: Any) -> None:
    """Raises InputError for data that nothing would be done with."""
    if isinstance(model, Simulation) and calibration is not None:
        raise InputError(
            received="calibration for a simulation",
            expected="calibration for a float model and its spec only",
            mend="leave it out, or call lowbit.calibrate(simulation, batches) before",
        )
    given = [name for name, data in (("calibration", calibration), ("parity", parity)) if data is not None]
    if given and spec is None and not isinstance(model, Simulation):
        raise InputError(
            received=f"{' and '.join(given)} for a float file",
            expected="a spec with them, for an integer file",
            mend=f"pass spec='w8a8', or leave out {' and '.join(given)}",
        )


def check_codes(simulation: Simulation) -> None:
    """Raises InputError for an int8 file with an input or output that has no codes, as float layers alone use it."""
    edges = simulation.input_edges()
    made = {output: layer.tensor_quantizer() for layer, _, output in simulation.graph()}
    bare = [f"input {tensor.name!r}" for tensor in simulation.inputs if tensor.name not in edges and _is_real(tensor)]
    bare += [
        f"output {name!r}"
        for name, tensor in zip(outputs.names(simulation), simulation.outputs, strict=True)
        if made[id(tensor)] is None
    ]
    if bare:
        raise InputError(
            received=f"io='int8' and {bare[0]}, which layers kept float alone compute with",
            expected="inputs and outputs of layers in integers",
            mend="pass io='float32'",
        )


def _is_real(tensor: Any) -> bool:
    return "float" in str(tensor.dtype)
