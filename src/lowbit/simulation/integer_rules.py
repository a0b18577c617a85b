# SPDX-License-Identifier: Apache-2.0
"""Which integer rule of `quantizers` computes which primitive, as LiteRT runs it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from keras import ops

from lowbit.graph.primitives import PRIMITIVES
from lowbit.quantizers import elementwise, reductions
from lowbit.quantizers import elementwise_tables as tables

Tensor = Any


class Operand(NamedTuple):
    """One argument of an op: code - zero point, and the scale."""

    centred: Tensor
    scale: Tensor


Rule = Callable[[Any, Sequence[Operand], Tensor, Tensor], Tensor]
"""(layer, operands, output scale, output zero point) -> codes, not yet clamped."""


def _pairwise(rule: Callable[..., Tensor]) -> Rule:
    """A rule on two tensors that may broadcast."""

    def apply(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
        values, scales = [one.centred for one in operands], [one.scale for one in operands]
        return rule(values, scales, scale, zero_point)

    return apply


def _multiply(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
    first, second = operands
    if layer.takes_one_tensor_twice():
        return elementwise.square(first.centred, first.scale, scale, zero_point)
    return elementwise.multiply([first.centred, second.centred], [first.scale, second.scale], scale, zero_point)


def _matmul(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
    x, y = operands
    second = y.centred
    if layer.settings.get("transpose_y"):
        rank = len(second.shape)
        second = ops.transpose(second, [*range(rank - 2), rank - 1, rank - 2])
    _, second_zero = layer.source(1).parameters()
    return reductions.batch_matmul(x.centred, second, [x.scale, y.scale], (scale, zero_point), second_zero)


def _over_axes(rule: Callable[..., Tensor]) -> Rule:
    """A rule that reduces axes of one tensor."""

    def apply(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
        source, axes = layer.source().parameters(), layer.settings["axes"]
        keepdims = layer.settings["keepdims"]
        return rule(operands[0].centred, source, (scale, zero_point), axis=axes, keepdims=keepdims)

    return apply


def _softmax(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
    return reductions.softmax(operands[0].centred, operands[0].scale)


def _gelu(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
    (x,) = operands
    return tables.gelu(x.centred, x.scale, scale, zero_point, approximate=layer.settings["approximate"])


def _by(rule: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> Rule:
    """A rule on single codes."""
    return lambda layer, operands, scale, zero_point: rule(operands[0].centred, operands[0].scale, scale, zero_point)


def _moved(layer: Any, operands: Sequence[Operand], scale: Tensor, zero_point: Tensor) -> Tensor:
    """Codes of one scale, as they are."""
    return PRIMITIVES[layer.kind](*(operand.centred for operand in operands), **layer.settings) + zero_point


RULES: Mapping[str, Rule] = {
    "add": _pairwise(elementwise.add),
    "subtract": _pairwise(elementwise.subtract),
    "multiply": _multiply,
    "matmul": _matmul,
    "mean": _over_axes(reductions.mean),
    "sum": _over_axes(reductions.total),
    "softmax": _softmax,
    "gelu": _gelu,
    "relu": _by(elementwise.relu),
    "sqrt": _by(tables.sqrt),
    "rsqrt": _by(tables.rsqrt),
    "sigmoid": _by(tables.logistic),
    "tanh": _by(tables.tanh),
    "concatenate": _moved,
    "maximum": _moved,
}
