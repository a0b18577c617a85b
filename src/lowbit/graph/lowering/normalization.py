# SPDX-License-Identifier: Apache-2.0
"""Normalizations and rescalings.

LayerNormalization and GroupNormalization as Keras exports them contain NEG and SQUARE, which have no integer form in
the file; written out here they have none.
"""

from typing import Any

import numpy as np
from keras import layers, ops

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.arithmetic import axes_of, normalized, normalized_length
from lowbit.graph.lowering.moving import reshape, static
from lowbit.graph.lowering.registry import layer, operation
from lowbit.graph.steps import Builder, NoIntegerForm, Operand, Parameter


@layer(layers.BatchNormalization)
def _batch_normalization(b: Builder, node: Node) -> int:
    norm, x = node.operation, b.only_input()
    if norm.axis not in (-1, len(b.shape(x)) - 1):
        raise NoIntegerForm("batch norm over another axis than the last")
    config = {**norm.get_config(), "axis": -1}
    weights = [Parameter(source=variable) for variable in norm.weights]
    return b.weighted("batch_norm", x, lambda: layers.BatchNormalization.from_config(config), weights, b.shape(x))


@layer(layers.LayerNormalization)
def _layer_normalization(b: Builder, node: Node) -> int:
    norm, x = node.operation, b.only_input()
    axes = axes_of(b, x, norm.axis)
    rms = bool(getattr(norm, "rms_scaling", False))
    gamma, beta = _along(b, x, axes, norm.gamma), None if rms else _along(b, x, axes, norm.beta)
    return normalized(b, x, axes, norm.epsilon, gamma, beta, centred=not rms)


@layer(layers.RMSNormalization)
def _rms_normalization(b: Builder, node: Node) -> int:
    norm, x = node.operation, b.only_input()
    axes = axes_of(b, x, norm.axis)
    return normalized(b, x, axes, norm.epsilon, _along(b, x, axes, norm.scale), None, centred=False)


@operation("LayerNorm", "RMSNorm")
def _normalization_operation(b: Builder, node: Node) -> int:
    x, *rest = [b.operand(value) for value in [*node.args, *node.kwargs.values()] if value is not None]
    if not isinstance(x, int):
        raise NoIntegerForm("a normalization of constants")
    axes, rms = axes_of(b, x, node.operation.axis), getattr(node.operation, "rms_scaling", True)
    gamma, beta = (*rest, None, None)[:2]
    return normalized(b, x, axes, node.operation.epsilon or 1e-7, gamma, None if rms else beta, centred=not rms)


def _along(b: Builder, x: int, axes: list[int], variable: Any) -> Parameter | None:
    """A variable of the sizes of `axes`, shaped so that it lies along them."""
    if variable is None:
        return None
    sizes = [int(size or 1) if axis in axes else 1 for axis, size in enumerate(b.shape(x))][1:]
    while len(sizes) > 1 and sizes[0] == 1:
        sizes.pop(0)
    return Parameter(source=variable, shape=tuple(sizes))


@layer(layers.GroupNormalization)
def _group_normalization(b: Builder, node: Node) -> int:
    norm, x = node.operation, b.only_input()
    *sizes, channels = static(b.shape(x)[1:])
    if norm.axis not in (-1, len(sizes) + 1):
        raise NoIntegerForm("group normalization over another axis than the last")
    groups = channels if norm.groups == -1 else norm.groups
    places = int(np.prod(sizes))
    split = reshape(b, x, [places, groups, channels // groups], "groups")
    by_channel = (groups, channels // groups)
    gamma = Parameter(source=norm.gamma, shape=by_channel) if norm.scale else None
    beta = Parameter(source=norm.beta, shape=by_channel) if norm.center else None
    return reshape(b, normalized(b, split, [1, 3], norm.epsilon, gamma, beta), [*sizes, channels])


@layer(layers.UnitNormalization)
def _unit_normalization(b: Builder, node: Node) -> int:
    x = b.only_input()
    return normalized_length(b, x, axes_of(b, x, node.operation.axis), "")


@layer(layers.Rescaling)
def _rescaling(b: Builder, node: Node) -> int:
    return _scaled(b, node.operation.scale, node.operation.offset)


@layer(layers.Normalization)
def _normalization(b: Builder, node: Node) -> int:
    norm = node.operation
    mean, variance = (np.asarray(ops.convert_to_numpy(value), "float64") for value in (norm.mean, norm.variance))
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    if norm.invert:
        return _scaled(b, deviation, mean)
    return _scaled(b, 1 / deviation, -mean / deviation)


def _scaled(b: Builder, factor: Any, offset: Any) -> int:
    """x factor + offset with constants; a factor of 1 and an offset of 0 leave no operation."""
    y = x = b.only_input()
    if np.any(np.asarray(factor) != 1):
        y = b.primitive("multiply", y, _constants(b, x, factor), name="product" if np.any(offset) else "")
    if np.any(offset):
        y = b.primitive("add", y, _constants(b, x, offset))
    return b.append("identity", (x,), b.shape(x)) if y == x else y


def _constants(b: Builder, x: int, values: Any) -> Operand:
    """Constants that lie along the axes behind the batch axis."""
    array = np.asarray(values, dtype="float32")
    if array.size == 1:
        return Parameter(source=array.reshape(1))
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    if array.ndim >= len(b.shape(x)):
        raise NoIntegerForm(f"constants of shape {array.shape} along the batch axis")
    return Parameter(source=array)
