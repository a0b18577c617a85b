# SPDX-License-Identifier: Apache-2.0
"""Integer files of one op, made and run to compare the runtime's codes with our rules.

>>> from quantizers.one_op import Grid, one_op
>>> op = one_op(lambda a, b: a * b, [(1, 256), (1, 256)])
>>> file = op.quantized([Grid(0.02, 3), Grid(0.01, 0)], [Grid(0.05, -7)])
>>> codes = file.run(first_codes, second_codes)[0]

`file.ops` are its ops in order, without XNNPACK's; `file.delegated` those XNNPACK runs; `file.tensors` scale, zero
point and codes of each constant. One file serves many scales: `file.with_grids(...)` writes others into it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from litert_quantizer import qtyping, quantizer
from litert_quantizer.algorithm_manager import AlgorithmName

from lowbit.quantizers.affine import code_range, range_in_float64
from lowbit.runtime import flatbuffer

_ALL = qtyping.TFLOperationName


class Grid(NamedTuple):
    """real = scale x (code - zero point); `bits` 8 or 16 (symmetric, zero point 0)."""

    scale: float
    zero_point: int = 0
    bits: int = 8


class Constant(NamedTuple):
    """What the file holds of a constant operand: one scale per tensor or per channel."""

    name: str
    codes: np.ndarray
    scale: np.ndarray
    zero_point: np.ndarray


@dataclass(frozen=True)
class OneOp:
    """A float file with inputs `inputs` and outputs `outputs` (tensor names, in order of the Python function)."""

    content: bytes
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...] = ()

    @property
    def constants(self) -> dict[str, np.ndarray]:
        """Float constants by tensor name, in the file's order."""
        model = flatbuffer.read(self.content)
        found = {}
        for tensor in model.subgraphs[0].tensors:
            values = flatbuffer.constant(model, tensor)
            if tensor.type == schema.TensorType.FLOAT32 and values is not None:
                found[flatbuffer.text(tensor.name)] = values.reshape([int(n) for n in tensor.shape])
        return found

    def quantized(
        self,
        inputs: Sequence[Grid],
        outputs: Sequence[Grid],
        *,
        constants: Sequence[float | np.ndarray] | None = None,
        others: Grid | None = None,
        bits: int = 8,
        weight_bits: int = 8,
        float_edges: bool = False,
    ) -> "QuantizedFile":
        """The integer file.

        Args:
            inputs, outputs: one grid for each input and output.
            constants: scale(s) of each float constant, in the order of `self.constants`; by default max|value| / q.
            others: the grid of tensors that are none of these (between two ops).
            bits: activations.
            float_edges: QUANTIZE and DEQUANTIZE at the edges, float inputs and outputs.
        """
        worker = quantizer.Quantizer(self.content)
        worker.add_static_config(".*", _ALL.ALL_SUPPORTED, bits, weight_bits, qtyping.QuantGranularity.CHANNELWISE)
        if float_edges:
            for op in (_ALL.INPUT, _ALL.OUTPUT):
                worker.update_quantization_recipe(".*", op, algorithm_key=AlgorithmName.NO_QUANTIZE)
        grids = dict(zip(self.inputs, inputs, strict=True)) | dict(zip(self.outputs, outputs, strict=True))
        ranges = {name: _range(grid) for name, grid in grids.items()}
        known = self.constants
        for tensor in flatbuffer.read(self.content).subgraphs[0].tensors:
            name = flatbuffer.text(tensor.name)
            if others is not None and name not in ranges and name not in known:
                ranges[name] = _range(others)
        ranges |= _constant_ranges(known, constants, bits, weight_bits)
        result = worker.quantize(ranges, enable_progress_report=False, enable_progress_bar=False)
        return QuantizedFile(bytes(result.quantized_model))


def one_op(function: Callable[..., Any], shapes: Sequence[Sequence[int]]) -> OneOp:
    """The float file of a TensorFlow function of tensors of these shapes (batch included), returning one or several."""
    signature = [tf.TensorSpec(shape, tf.float32, name=f"input_{i}") for i, shape in enumerate(shapes)]
    module = tf.Module()
    traced = tf.function(function, input_signature=signature).get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], module)
    content = converter.convert()
    model = flatbuffer.read(content)
    graph = model.subgraphs[0]
    names = [flatbuffer.text(tensor.name) for tensor in graph.tensors]
    inputs = sorted((names[i] for i in graph.inputs), key=lambda name: int(re.findall(r"input_(\d+)", name)[0]))
    return OneOp(
        content, tuple(inputs), tuple(names[i] for i in graph.outputs), tuple(tuple(shape) for shape in shapes)
    )


@dataclass(frozen=True)
class QuantizedFile:
    """An integer file and what runs it; inputs in the order of the Python function."""

    content: bytes
    builtin_only: bool = False

    @cached_property
    def interpreter(self) -> Interpreter:
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if self.builtin_only else OpResolverType.AUTO
        interpreter = Interpreter(model_content=self.content, num_threads=1, experimental_op_resolver_type=resolver)
        interpreter.allocate_tensors()
        return interpreter

    @cached_property
    def ops(self) -> list[str]:
        model = flatbuffer.read(self.content)
        return [flatbuffer.op_name(model, operator) for operator in model.subgraphs[0].operators]

    @cached_property
    def delegated(self) -> list[str]:
        """The ops XNNPACK took over: those whose node no longer stands in the execution plan."""
        return [] if self.builtin_only else _delegated(self.interpreter, self.ops)

    @cached_property
    def constants(self) -> dict[str, Constant]:
        model = flatbuffer.read(self.content)
        found = {}
        for tensor in model.subgraphs[0].tensors:
            name, params = flatbuffer.text(tensor.name), tensor.quantization
            dtype = {schema.TensorType.INT8: "int8", schema.TensorType.INT16: "int16"}.get(tensor.type)
            if dtype is None or params is None or params.scale is None:
                continue
            values = flatbuffer.constant(model, tensor, dtype)
            if values is not None:
                shape = [int(n) for n in tensor.shape]
                found[name] = Constant(name, values.reshape(shape), np.array(params.scale), np.array(params.zeroPoint))
        return found

    def run(self, *values: np.ndarray) -> list[np.ndarray]:
        """Codes (or floats) in, codes (or floats) out; each array has the input's number of elements."""
        details = sorted(self.interpreter.get_input_details(), key=_position)
        for detail, array in zip(details, values, strict=True):
            array = np.asarray(array).astype(detail["dtype"]).reshape(detail["shape"])
            self.interpreter.set_tensor(detail["index"], array)
        self.interpreter.invoke()
        return [self.interpreter.get_tensor(detail["index"]) for detail in self.interpreter.get_output_details()]

    def with_grids(self, grids: dict[str, Grid]) -> "QuantizedFile":
        """The same codes with other scales and zero points of tensors (by name) of one scale; not of biases."""
        model = flatbuffer.read(self.content)
        for tensor in model.subgraphs[0].tensors:
            grid = grids.get(flatbuffer.text(tensor.name))
            if grid is not None:
                tensor.quantization.scale = np.array([grid.scale], dtype="float32")
                tensor.quantization.zeroPoint = np.array([grid.zero_point], dtype="int64")
        return QuantizedFile(flatbuffer.write(model), self.builtin_only)

    def builtin(self) -> "QuantizedFile":
        """The same file on LiteRT's own kernels, without XNNPACK."""
        return QuantizedFile(self.content, builtin_only=True)


def quantize_file(source: Grid, result: Grid, size: int) -> QuantizedFile:
    """QUANTIZE from one grid to another (8 or 16 bits); shape (1, size)."""
    codes = schema.BuiltinOperator
    op = schema.OperatorCodeT(builtinCode=codes.QUANTIZE, deprecatedBuiltinCode=codes.QUANTIZE, version=1)
    first, second = (np.array([n], dtype="int32") for n in range(2))
    graph = schema.SubGraphT(
        tensors=[_tensor("input_0", source, size), _tensor("output", result, size)],
        inputs=first,
        outputs=second,
        operators=[schema.OperatorT(opcodeIndex=0, inputs=first, outputs=second)],
    )
    model = schema.ModelT(version=3, operatorCodes=[op], subgraphs=[graph], buffers=[schema.BufferT()])
    return QuantizedFile(flatbuffer.write(model))


def _tensor(name: str, grid: Grid, size: int) -> Any:
    return schema.TensorT(
        name=name,
        shape=np.array([1, size], dtype="int32"),
        type={8: schema.TensorType.INT8, 16: schema.TensorType.INT16}[grid.bits],
        quantization=schema.QuantizationParametersT(
            scale=np.array([grid.scale], dtype="float32"), zeroPoint=np.array([grid.zero_point], dtype="int64")
        ),
    )


def _position(detail: dict[str, Any]) -> int:
    return int(re.findall(r"input_(\d+)", detail["name"])[0])


def _delegated(interpreter: Interpreter, ops: list[str]) -> list[str]:
    """XNNPACK's own nodes stand behind the file's: what lies between their outputs and inputs is what it took over."""
    details = interpreter._get_ops_details()
    own, taken = details[: len(ops)], set()
    for delegate in details[len(ops) :]:
        edge, wanted = {int(i) for i in delegate["inputs"]}, {int(i) for i in delegate["outputs"]}
        for position in reversed(range(len(ops))):
            if any(int(i) in wanted for i in own[position]["outputs"]):
                taken.add(position)
                wanted |= {int(i) for i in own[position]["inputs"]} - edge
    return [ops[position] for position in sorted(taken)]


def _range(grid: Grid) -> dict[str, np.ndarray]:
    low, high = range_in_float64(grid.scale, grid.zero_point, grid.bits)
    return {"min": np.array([low]), "max": np.array([high])}


def _constant_ranges(
    known: dict[str, np.ndarray], scales: Sequence[float | np.ndarray] | None, bits: int, weight_bits: int
) -> dict[str, dict[str, np.ndarray]]:
    ranges = {}
    for position, (name, values) in enumerate(known.items()):
        operand = values.ndim < 2
        highest = code_range(bits if operand else weight_bits)[1]
        default = np.max(np.abs(values)) / highest
        scale = np.asarray(default if scales is None else scales[position], "float32").astype("float64")
        lowest, highest = code_range(bits, narrow=bits == 16) if operand else code_range(weight_bits, narrow=True)
        shape = scale.shape if scale.ndim else (1,) * values.ndim
        ranges[name] = {"min": (scale * lowest).reshape(shape), "max": (scale * highest).reshape(shape)}
    return ranges
