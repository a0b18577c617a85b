# SPDX-License-Identifier: Apache-2.0
"""Float template + the simulation's scales -> integer file, checked number by number."""

import re
from typing import Any, NamedTuple

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from keras import ops
from litert_quantizer import qtyping, quantizer
from litert_quantizer.algorithm_manager import AlgorithmName

from lowbit.errors import ExportError
from lowbit.export import padding, quietly, refused, wiring
from lowbit.export.structure import Template, constant_name
from lowbit.quantizers.affine import code_range
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.runtime import flatbuffer
from lowbit.simulation import Simulation
from lowbit.simulation.exported import Constant
from lowbit.simulation.weighted import WeightedLayer

_Op = qtyping.TFLOperationName
_CHANNELWISE = qtyping.QuantGranularity.CHANNELWISE
_WEIGHTED_OPS = (_Op.CONV_2D, _Op.DEPTHWISE_CONV_2D, _Op.FULLY_CONNECTED, _Op.CONV_2D_TRANSPOSE)


class Grid(NamedTuple):
    """Scale (a float32 value) and zero point of one activation, and the range that litert-quantizer makes them of."""

    scale: float
    zero_point: int
    limits: tuple[float, float]


def fill(template: Template, simulation: Simulation) -> bytes:
    """The float file with the simulation's weights, batch norms folded in, nothing rounded."""
    model = _filled(template, _constants(simulation, False))
    padding.fuse(model)
    return flatbuffer.write(model)


def _filled(template: Template, constants: dict[str, Constant]) -> Any:
    model = flatbuffer.read(template.content)
    for name, constant in constants.items():
        number, order = template.slots[name]
        values = constant.values.reshape(-1).astype("float32")[order]
        flatbuffer.set_constant(model, model.subgraphs[0].tensors[number], values)
    return model


def quantize(template: Template, simulation: Simulation, io: str) -> bytes:
    """The integer file: every scale, zero point and code is the simulation's.

    Args:
        io: "float32" (QUANTIZE and DEQUANTIZE at the edges) or "int8" (the codes themselves).

    Raises:
        ExportError: a tensor without a quantizer, or a number in the file that is not the simulation's.
    """
    constants = _constants(simulation, True)
    grids = _grids(simulation)
    filled = flatbuffer.write(_filled(template, constants))
    worker = quantizer.Quantizer(filled)
    _configure(worker, template, simulation, io)
    ranges = _activation_ranges(grids) | _constant_ranges(template, constants)
    if not ranges:
        return filled  # every layer stays float
    try:
        content = quietly.quantized(worker, ranges)
    except ValueError as error:
        raise refused.quantization(error, template.content, grids) from error
    model = flatbuffer.read(content)
    wiring.mend(model)
    wiring.check(model)
    _check_activations(model, grids)
    _settle_constants(model, template, constants)
    padding.fuse(model)
    return flatbuffer.write(model)


def tensor_quantizers(simulation: Simulation) -> dict[str, TensorQuantizer]:
    """The quantizer of each named tensor of the file, those that pass a scale on included."""
    found: dict[str, TensorQuantizer] = dict(simulation.quantizers())
    for layer, _, _ in simulation.graph():
        source = layer.tensor_quantizer()
        if source is not None:
            found.setdefault(layer.tensor_name, source)
    for name, layer in simulation.edges().items():
        found[name] = found[layer.tensor_name]
    return found


def _grids(simulation: Simulation) -> dict[str, Grid]:
    """The numbers of each quantizer, read once, by tensor name."""
    known: dict[int, Grid] = {}
    grids = {}
    for name, tensor_quantizer in tensor_quantizers(simulation).items():
        if id(tensor_quantizer) not in known:
            scale, zero_point = (ops.convert_to_numpy(value) for value in tensor_quantizer.parameters())
            known[id(tensor_quantizer)] = Grid(float(scale), int(zero_point), tensor_quantizer.range_in_file())
        grids[name] = known[id(tensor_quantizer)]
    return grids


def _constants(simulation: Simulation, integer: bool) -> dict[str, Constant]:
    return {
        constant_name(layer.tensor_name, name): constant
        for layer, _, _ in simulation.graph()
        for name, constant in layer.constants(integer=integer).items()
    }


def _configure(worker: quantizer.Quantizer, template: Template, simulation: Simulation, io: str) -> None:
    bits = simulation.spec.activations
    worker.add_static_config(".*", _Op.ALL_SUPPORTED, bits, 8, _CHANNELWISE)
    float_names = simulation.edges()
    for name, found in tensor_quantizers(simulation).items():
        if found.bits != bits and name not in float_names:
            worker.add_static_config(_scope(name), _Op.ALL_SUPPORTED, found.bits, 8, _CHANNELWISE)
    for layer, _, _ in simulation.graph():
        if isinstance(layer, WeightedLayer) and (layer.weight_bits != 8 or not layer.per_channel):
            config = _weighted_config(layer)
            for op in _WEIGHTED_OPS:
                worker.update_quantization_recipe(_scope(layer.tensor_name), op, config)
    for name in template.float_scopes:
        worker.update_quantization_recipe(_scope(name), _Op.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE)
    if io == "float32":
        for op in (_Op.INPUT, _Op.OUTPUT):
            worker.update_quantization_recipe(".*", op, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _weighted_config(layer: WeightedLayer) -> qtyping.OpQuantizationConfig:
    """Checks are skipped as the quantizer's policy has no 4-bit depthwise kernels; the runtime does."""
    return qtyping.OpQuantizationConfig(
        activation_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=layer.activation_bits, symmetric=layer.activation_bits == 16
        ),
        weight_tensor_config=qtyping.TensorQuantizationConfig(
            num_bits=layer.weight_bits,
            granularity=_CHANNELWISE if layer.per_channel else qtyping.QuantGranularity.TENSORWISE,
        ),
        compute_precision=qtyping.ComputePrecision.INTEGER,
        skip_checks=True,
    )


def _scope(name: str) -> str:
    """Matches the operator whose (first) output has this name; litert-quantizer joins outputs by semicolons."""
    return f"^{re.escape(name)}(;|$)"


Ranges = dict[str, dict[str, np.ndarray]]
"""`{"min", "max"}` in float64 by tensor name, from which litert-quantizer derives exactly our scales."""


def _activation_ranges(grids: dict[str, Grid]) -> Ranges:
    ranges = {}
    for name, grid in grids.items():
        low, high = grid.limits
        ranges[name] = {"min": np.array([low]), "max": np.array([high])}
    return ranges


def _constant_ranges(template: Template, constants: dict[str, Constant]) -> Ranges:
    shapes = _shapes(template)
    ranges = {}
    for name, constant in constants.items():
        if constant.scale is None or constant.bits is None:
            continue
        scale = constant.scale.astype("float64")
        is_narrow = not constant.is_operand or constant.bits == 16
        lowest, highest = code_range(constant.bits, narrow=is_narrow)
        shape = _channel_shape(shapes[name], template.slots[name][1] // constant.together, scale.size)
        low, high = (scale * (code - constant.zero_point) for code in (lowest, highest))
        ranges[name] = {"min": low.reshape(shape), "max": high.reshape(shape)}
    return ranges


def _shapes(template: Template) -> dict[str, tuple[int, ...]]:
    tensors = flatbuffer.read(template.content).subgraphs[0].tensors
    return {name: tuple(int(n) for n in tensors[number].shape) for name, (number, _) in template.slots.items()}


def _channel_shape(shape: tuple[int, ...], order: np.ndarray, channels: int) -> tuple[int, ...]:
    """Ones but for the file's channel axis, found by where the channels (last in `order`) went."""
    channel = (order % channels).reshape(shape)
    for axis, size in enumerate(shape):
        if size == channels and np.all(np.moveaxis(channel, axis, -1) == np.arange(channels)):
            return tuple(size if position == axis else 1 for position in range(len(shape)))
    return (1,) * len(shape)


def _check_activations(model: Any, grids: dict[str, Grid]) -> None:
    for tensor in model.subgraphs[0].tensors:
        name, params = flatbuffer.text(tensor.name), tensor.quantization
        if name not in grids or params is None or params.scale is None:
            continue
        grid = grids[name]
        if float(params.scale[0]) != grid.scale or int(params.zeroPoint[0]) != grid.zero_point:
            raise ExportError(
                f"tensor {name!r} was written with scale {params.scale[0]!r} and zero point {params.zeroPoint[0]}; "
                f"the simulation has {grid.scale!r} and {grid.zero_point}"
            )


def _settle_constants(model: Any, template: Template, constants: dict[str, Constant]) -> None:
    """Weight codes must be the simulation's; biases are written from its int32 codes."""
    tensors = {flatbuffer.text(tensor.name): tensor for tensor in model.subgraphs[0].tensors}
    for name, constant in constants.items():
        if constant.codes is None or tensors[name].type == schema.TensorType.FLOAT32:
            continue
        tensor, codes = tensors[name], constant.codes.reshape(-1)[template.slots[name][1]]
        if constant.scale is None:
            width = {schema.TensorType.INT32: "int32", schema.TensorType.INT64: "int64"}[tensor.type]
            flatbuffer.set_constant(model, tensor, codes.astype(width))
        elif not np.array_equal(_codes(model, tensor, codes.size), codes):
            raise ExportError(f"the weight codes of {name!r} in the file are not the simulation's")
        elif not np.array_equal(np.asarray(tensor.quantization.scale, "float32"), constant.scale.astype("float32")):
            raise ExportError(f"the weight scales of {name!r} in the file are not the simulation's")


def _codes(model: Any, tensor: Any, size: int) -> np.ndarray:
    """Stored integers, 4-bit pairs unpacked (low half first); empty for a tensor without data."""
    dtype = {schema.TensorType.INT16: "int16", schema.TensorType.INT4: "uint8"}.get(tensor.type, "int8")
    stored = flatbuffer.constant(model, tensor, dtype)
    if stored is None:
        return np.empty(0, dtype="int8")
    if tensor.type != schema.TensorType.INT4:
        return stored
    pairs = np.stack([stored & 15, stored >> 4], axis=1).reshape(-1)[:size].astype("int8")
    return np.where(pairs > 7, pairs - 16, pairs)
