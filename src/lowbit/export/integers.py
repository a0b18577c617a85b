# SPDX-License-Identifier: Apache-2.0
"""Float template + the simulation's scales -> integer file, checked number by number."""

import re
from typing import Any

import numpy as np
from keras import ops
from litert_quantizer import qtyping, quantizer
from litert_quantizer.algorithm_manager import AlgorithmName

from lowbit.errors import ExportError
from lowbit.export import flatbuffer
from lowbit.export.template import Template, constant_name
from lowbit.quantizers.activation import TensorQuantizer
from lowbit.quantizers.affine import code_range, range_in_float64
from lowbit.simulation import Simulation
from lowbit.simulation.base import Constant

_Op = qtyping.TFLOperationName
_CHANNELWISE = qtyping.QuantGranularity.CHANNELWISE


def fill(template: Template, simulation: Simulation, *, integer: bool) -> bytes:
    """The float file with the simulation's constants; with `integer` already rounded to their grids."""
    model = flatbuffer.read(template.content)
    for name, constant in _constants(simulation, integer).items():
        number, order = template.slots[name]
        flatbuffer.set_constant(
            model, model.subgraphs[0].tensors[number], constant.values.reshape(-1).astype("float32")[order]
        )
    return flatbuffer.write(model)


def quantize(template: Template, simulation: Simulation, io: str) -> bytes:
    """The integer file: every scale, zero point and code is the simulation's.

    Args:
        io: "float32" (QUANTIZE and DEQUANTIZE at the edges) or "int8" (the codes themselves).

    Raises:
        ExportError: a tensor without a quantizer, or a number in the file that is not the simulation's.
    """
    worker = quantizer.Quantizer(fill(template, simulation, integer=True))
    _configure(worker, template, simulation, io)
    tensors = tensor_quantizers(simulation)
    try:
        result = worker.quantize(_ranges(template, simulation, tensors), enable_progress_report=False, enable_progress_bar=False)
    except ValueError as error:
        raise ExportError(f"litert-quantizer refused the file: {error}") from error
    model = flatbuffer.read(bytes(result.quantized_model))
    _check_activations(model, tensors)
    _settle_constants(model, template, _constants(simulation, True))
    return flatbuffer.write(model)


def tensor_quantizers(simulation: Simulation) -> dict[str, TensorQuantizer]:
    """The quantizer of each named tensor of the file, those that pass a scale on included."""
    found: dict[str, TensorQuantizer] = dict(simulation.quantizers())
    for layer in simulation.simulated_layers():
        source = layer.tensor_quantizer()
        if source is not None:
            found.setdefault(layer.name, source)
    for layer, inputs, _ in simulation.graph():
        for tensor in simulation.inputs:
            if inputs == [id(tensor)]:
                found[tensor.name] = found[layer.name]
    return found


def scale_and_zero_point(tensor_quantizer: TensorQuantizer) -> tuple[float, int]:
    scale, zero_point = (ops.convert_to_numpy(value) for value in tensor_quantizer.parameters())
    return float(scale), int(zero_point)


def _constants(simulation: Simulation, integer: bool) -> dict[str, Constant]:
    return {
        constant_name(layer.name, name): constant
        for layer in simulation.simulated_layers()
        for name, constant in layer.constants(integer=integer).items()
    }


def _configure(worker: quantizer.Quantizer, template: Template, simulation: Simulation, io: str) -> None:
    spec = simulation.spec
    worker.add_static_config(".*", _Op.ALL_SUPPORTED, spec.activations, 8, _CHANNELWISE)
    for layer in simulation.simulated_layers():
        if getattr(layer, "weight_bits", 8) != 8:
            for op in (_Op.CONV_2D, _Op.FULLY_CONNECTED):
                worker.add_static_config(_scope(layer.name), op, spec.activations, layer.weight_bits, _CHANNELWISE)
    for name in template.float_scopes:
        worker.update_quantization_recipe(_scope(name), _Op.ALL_SUPPORTED, algorithm_key=AlgorithmName.NO_QUANTIZE)
    if io == "float32":
        for op in (_Op.INPUT, _Op.OUTPUT):
            worker.update_quantization_recipe(".*", op, algorithm_key=AlgorithmName.NO_QUANTIZE)


def _scope(name: str) -> str:
    return f"^{re.escape(name)};?$"


def _ranges(
    template: Template, simulation: Simulation, tensors: dict[str, TensorQuantizer]
) -> dict[str, dict[str, np.ndarray]]:
    """`{"min", "max"}` in float64 for every tensor, from which exactly our scales are derived."""
    ranges = {}
    for name, tensor_quantizer in tensors.items():
        scale, zero_point = scale_and_zero_point(tensor_quantizer)
        low, high = range_in_float64(scale, zero_point, tensor_quantizer.bits)
        ranges[name] = {"min": np.array([low]), "max": np.array([high])}
    shapes = _shapes(template)
    for name, constant in _constants(simulation, True).items():
        if constant.scale is None or constant.bits is None:
            continue
        rank = len(shapes[name])
        scale = constant.scale.astype("float64")
        if scale.size == 1 and rank < 2:
            lowest, highest = code_range(8) if simulation.spec.activations == 8 else code_range(16, narrow=True)
        else:
            lowest, highest = code_range(constant.bits, narrow=True)
        shape = _channel_shape(shapes[name], template.slots[name][1], scale.size)
        ranges[name] = {"min": (scale * lowest).reshape(shape), "max": (scale * highest).reshape(shape)}
    return ranges


def _shapes(template: Template) -> dict[str, tuple[int, ...]]:
    tensors = flatbuffer.read(template.content).subgraphs[0].tensors
    return {name: tuple(int(n) for n in tensors[number].shape) for name, (number, _) in template.slots.items()}


def _channel_shape(shape: tuple[int, ...], order: np.ndarray, channels: int) -> tuple[int, ...]:
    """Ones but for the file's channel axis, found by where the channels (last in Keras) went."""
    channel = (order % channels).reshape(shape)
    for axis, size in enumerate(shape):
        if size == channels and np.all(np.moveaxis(channel, axis, -1) == np.arange(channels)):
            return tuple(size if position == axis else 1 for position in range(len(shape)))
    return (1,) * len(shape)


def _check_activations(model: Any, tensors: dict[str, TensorQuantizer]) -> None:
    for tensor in model.subgraphs[0].tensors:
        name, params = flatbuffer.text(tensor.name), tensor.quantization
        if name not in tensors or params is None or params.scale is None:
            continue
        scale, zero_point = scale_and_zero_point(tensors[name])
        if float(params.scale[0]) != scale or int(params.zeroPoint[0]) != zero_point:
            raise ExportError(
                f"tensor {name!r} was written with scale {params.scale[0]!r} and zero point {params.zeroPoint[0]}; "
                f"the simulation has {scale!r} and {zero_point}"
            )


def _settle_constants(model: Any, template: Template, constants: dict[str, Constant]) -> None:
    """Weight codes must be the simulation's; biases are written from its int32 codes."""
    tensors = {flatbuffer.text(tensor.name): tensor for tensor in model.subgraphs[0].tensors}
    for name, constant in constants.items():
        if constant.codes is None or tensors[name].type == 0:
            continue
        tensor, codes = tensors[name], constant.codes.reshape(-1)[template.slots[name][1]]
        if constant.scale is None:
            width = {2: "int32", 4: "int64"}[tensor.type]
            flatbuffer.set_constant(model, tensor, codes.astype(width))
        elif not np.array_equal(_codes(model, tensor, codes.size), codes):
            raise ExportError(f"the weight codes of {name!r} in the file are not the simulation's")
        elif not np.array_equal(np.asarray(tensor.quantization.scale, "float32"), constant.scale.astype("float32")):
            raise ExportError(f"the weight scales of {name!r} in the file are not the simulation's")


def _codes(model: Any, tensor: Any, size: int) -> np.ndarray:
    """Stored integers, 4-bit pairs unpacked (low half first)."""
    if tensor.type == 7:
        return flatbuffer.constant(model, tensor, "int16")
    if tensor.type != 17:
        return flatbuffer.constant(model, tensor, "int8")
    packed = flatbuffer.constant(model, tensor, "uint8")
    pairs = np.stack([packed & 15, packed >> 4], axis=1).reshape(-1)[:size].astype("int8")
    return np.where(pairs > 7, pairs - 16, pairs)
