# SPDX-License-Identifier: Apache-2.0
"""Numbers that LiteRT cannot take, found and named before the file is opened: its own refusal names no layer."""

import re
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from keras import ops

from lowbit.errors import ExportError, LowbitError
from lowbit.runtime import flatbuffer
from lowbit.simulation import Simulation

_WEIGHTED = {"CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0, 1), "TRANSPOSE_CONV": (2, 1)}
"""Positions of input and weights."""

_PAIRS = ("MUL", "BATCH_MATMUL", "ADD")
_LIMIT = 2.0**8
_MEND = (
    "calibrate on data in which its output varies, train with smaller steps or clipped gradients, or keep it float "
    "with a rule"
)


class _Step(NamedTuple):
    """What one unit of an op's sum or product is worth, in steps of its output."""

    op: str
    tensor: str
    ratio: float
    limit: float


def require_finite(simulation: Simulation) -> None:
    """Raises ExportError for a weight or an activation range that is NaN or infinite."""
    for layer, _, _ in simulation.graph():
        for weight in layer.carried_weights():
            values = ops.convert_to_numpy(weight)
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise _not_finite(layer.tensor_name, f"{weight.name} with {_odd(values)} that is not a finite number")
    for name, quantizer in simulation.quantizers().items():
        scale = float(ops.convert_to_numpy(quantizer.parameters()[0]))
        if not np.isfinite(scale) or scale <= 0:
            raise _not_finite(name, f"a range of scale {scale}")


def _odd(values: np.ndarray) -> str:
    return f"{np.count_nonzero(~np.isfinite(values))} of {values.size} values"


def _not_finite(name: str, received: str) -> ExportError:
    return ExportError(
        f"layer {name!r}: received {received}; expected finite numbers; its training diverged: start again from the "
        "calibrated simulation with a smaller learning rate or clipped gradients"
    )


def check_scales(content: bytes) -> None:
    """Raises ExportError for scales too far apart for LiteRT to open the file; warns where its kernels overflow."""
    for step in _steps(flatbuffer.read(content)):
        if step.ratio < step.limit:
            continue
        received = (
            f"layer {step.tensor!r} ({step.op}): received an output range so narrow that one unit of its integers is "
            f"{step.ratio:.4g} steps of its output; expected less than {step.limit:g}"
        )
        if step.op in _PAIRS:
            warnings.warn(f"{received}, beyond which LiteRT's kernel overflows; {_MEND}", stacklevel=3)
        else:
            raise ExportError(f"{received}, as LiteRT does not open the file; {_MEND}")


def _steps(model: Any) -> Iterator[_Step]:
    """Of every op in 8-bit integers that has such a limit."""
    tensors = model.subgraphs[0].tensors
    for operator in model.subgraphs[0].operators:
        op, output = flatbuffer.op_name(model, operator), tensors[int(operator.outputs[0])]
        if output.type != schema.TensorType.INT8:
            continue
        inputs = [tensors[int(number)] for number in operator.inputs if number >= 0]
        name, scale = flatbuffer.text(output.name), _scales(output)
        if op in _WEIGHTED and not _is_built_in(op, inputs):
            first, second = (_scales(inputs[position]) for position in _WEIGHTED[op])
            yield _Step(op, name, float((first * second / scale).max()), _LIMIT)
        elif op in _PAIRS:
            first, second = map(_scales, inputs)
            unit = np.maximum(first, second) if op == "ADD" else first * second
            yield _Step(op, name, float((unit / scale).max()), _LIMIT)


def _scales(tensor: Any) -> np.ndarray:
    return np.asarray(tensor.quantization.scale, "float32")


def _is_built_in(op: str, inputs: list[Any]) -> bool:
    """4-bit convolutions run in kernels without this limit."""
    return op != "FULLY_CONNECTED" and inputs[_WEIGHTED[op][1]].type == schema.TensorType.INT4


def named(content: bytes, error: LowbitError) -> ExportError:
    """LiteRT's refusal with the name of the layer whose number it tells, where it does."""
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    found = re.search(r"[Nn]ode number (\d+) \(([A-Z0-9_]+)\)", str(error))
    if found is None or int(found[1]) >= len(graph.operators):
        return ExportError(f"LiteRT does not open the written file: {error}")
    output = graph.tensors[int(graph.operators[int(found[1])].outputs[0])]
    return ExportError(f"layer {flatbuffer.text(output.name)!r} ({found[2]}): LiteRT refuses it: {error}; {_MEND}")
