# SPDX-License-Identifier: Apache-2.0
"""Activation functions, written out where the runtime has no integer kernel of their own."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from lowbit.graph.flatten import Node
from lowbit.graph.lowering.registry import layer, operation
from lowbit.graph.steps import Builder, NoIntegerForm, Operand, Parameter


def constant(value: float) -> Parameter:
    return Parameter(source=np.float32(value).reshape(1))


def silu(b: Builder, x: int, name: str) -> int:
    """x sigmoid(x): LOGISTIC and MUL."""
    return b.primitive("multiply", x, b.primitive("sigmoid", x, name="sigmoid"), name=name)


def hard_sigmoid(b: Builder, x: int, name: str) -> int:
    """relu6(x + 3) / 6: ADD with a fused ReLU6, and MUL."""
    shifted = b.primitive("add", x, constant(3.0), name="shift")
    clipped = b.primitive("relu", shifted, name="relu6", maximum=6.0)
    return b.primitive("multiply", clipped, constant(1 / 6), name=name)


def hard_silu(b: Builder, x: int, name: str) -> int:
    """x relu6(x + 3) / 6. XNNPACK has a HARD_SWISH in float only; in int8 the op took most of MobileNetV3's time."""
    if b.for_float:
        return b.primitive("hard_swish", x, name=name)
    return b.primitive("multiply", x, hard_sigmoid(b, x, "gate"), name=name)


def hard_tanh(b: Builder, x: int, name: str) -> int:
    """Clipped to -1..1: relu(x + 1), at most 2, minus 1."""
    shifted = b.primitive("add", x, constant(1.0), name="shift")
    clipped = b.primitive("relu", shifted, name="clip", maximum=2.0)
    return b.primitive("subtract", clipped, constant(1.0), name=name)


def leaky_relu(b: Builder, x: int, slope: Operand, name: str) -> int:
    """relu(x) - slope relu(-x), as LEAKY_RELU and PRELU are left float by the quantizer's policy."""
    below = b.primitive("relu", b.primitive("multiply", x, constant(-1.0), name="negative"), name="below")
    scaled = b.primitive("multiply", below, slope, name="slope")
    return b.primitive("subtract", b.primitive("relu", x, name="above"), scaled, name=name)


def tanh_shrink(b: Builder, x: int, name: str) -> int:
    return b.primitive("subtract", x, b.primitive("tanh", x, name="tanh"), name=name)


_WRITTEN_OUT: dict[str, Callable[[Builder, int, str], int]] = {
    "linear": lambda b, x, name: x,
    "relu": lambda b, x, name: b.primitive("relu", x, name=name),
    "relu6": lambda b, x, name: b.primitive("relu", x, name=name, maximum=6.0),
    "sigmoid": lambda b, x, name: b.primitive("sigmoid", x, name=name),
    "tanh": lambda b, x, name: b.primitive("tanh", x, name=name),
    "softmax": lambda b, x, name: b.primitive("softmax", x, name=name),
    "silu": silu,
    "hard_silu": hard_silu,
    "hard_sigmoid": hard_sigmoid,
    "hard_tanh": hard_tanh,
    "gelu": lambda b, x, name: b.primitive("gelu", x, name=name, approximate=False),
    "leaky_relu": lambda b, x, name: leaky_relu(b, x, constant(0.2), name),
    "tanh_shrink": tanh_shrink,
}
_OTHER_NAMES = {"swish": "silu", "hard_swish": "hard_silu"}


def activation_name(function: Any) -> str:
    """A function's name in Keras; "linear" for None."""
    if function is None:
        return "linear"
    name = getattr(function, "__name__", type(function).__name__)
    return _OTHER_NAMES.get(name, name)


def activate(b: Builder, x: int, function: Any, name: str = "") -> int:
    """Append what `function` is written out in; NoIntegerForm for one that has no integer form."""
    word = activation_name(function)
    if word not in _WRITTEN_OUT or (function is not None and getattr(keras.activations, word, None) is not function):
        raise NoIntegerForm(f"activation {word!r} has no integer form")
    return _WRITTEN_OUT[word](b, x, name)


@layer(layers.Activation)
def _activation(b: Builder, node: Node) -> int:
    return activate(b, b.only_input(), node.operation.activation) if _acts(node) else _passed(b)


def _acts(node: Node) -> bool:
    return activation_name(node.operation.activation) != "linear"


def _passed(b: Builder) -> int:
    x = b.only_input()
    return b.append("identity", (x,), b.shape(x))


@layer(layers.ReLU)
def _relu(b: Builder, node: Node) -> int:
    relu = node.operation
    if relu.threshold:
        raise NoIntegerForm("a ReLU with a threshold")
    if relu.negative_slope:
        if relu.max_value is not None:
            raise NoIntegerForm("a leaky ReLU with a maximum")
        return leaky_relu(b, b.only_input(), constant(float(relu.negative_slope)), "")
    if relu.max_value is None:
        return b.primitive("relu", b.only_input())
    return b.primitive("relu", b.only_input(), maximum=float(relu.max_value))


@layer(layers.LeakyReLU)
@operation("LeakyRelu")
def _leaky_relu(b: Builder, node: Node) -> int:
    return leaky_relu(b, b.only_input(), constant(float(node.operation.negative_slope)), "")


@layer(layers.PReLU)
def _prelu(b: Builder, node: Node) -> int:
    return leaky_relu(b, b.only_input(), Parameter(source=node.operation.alpha), "")


LARGEST_RANK = 5
"""litert-quantizer 0.11 refuses files with tensors of more axes."""


@layer(layers.Softmax)
@operation("Softmax")
def _softmax(b: Builder, node: Node) -> int:
    x = b.only_input()
    rank, axis = len(b.shape(x)), node.operation.axis
    axes = sorted(one % rank for one in ((axis,) if isinstance(axis, int) else axis))
    if axes == [rank - 1]:
        return b.primitive("softmax", x)
    return _softmax_over(b, x, axes)


def _softmax_over(b: Builder, x: int, axes: list[int]) -> int:
    """The axes are moved to the end and merged, as the runtime's SOFTMAX takes the last one."""
    _, *sizes = b.shape(x)
    if 0 in axes or None in sizes:
        raise NoIntegerForm("a softmax over the batch axis, or over free sizes (None); give input_shape")
    rank = len(sizes) + 1
    if rank > LARGEST_RANK:
        raise NoIntegerForm(f"a softmax of more than {LARGEST_RANK} axes")
    order = [*(one for one in range(rank) if one not in axes), *axes]
    apart = [int(sizes[one - 1] or 0) for one in order[1:]]
    lead = len(apart) - len(axes)
    is_moved = order != list(range(rank))
    x = b.primitive("transpose", x, name="axes_last", axes=order) if is_moved else x
    if len(axes) > 1:
        x = b.primitive("reshape", x, name="merged", shape=[-1, *apart[:lead], int(np.prod(apart[lead:]))])
    y = b.primitive("softmax", x, name="softmax")
    y = b.primitive("reshape", y, name="apart", shape=[-1, *apart]) if len(axes) > 1 else y
    return b.primitive("transpose", y, axes=[order.index(one) for one in range(rank)]) if is_moved else y


@operation("Relu", "Relu6", "Sigmoid", "Silu", "Tanh", "HardSigmoid", "HardSilu", "HardTanh", "TanhShrink")
def _by_name(b: Builder, node: Node) -> int:
    words = {"Silu": "silu", "HardSigmoid": "hard_sigmoid", "HardSilu": "hard_silu", "HardTanh": "hard_tanh"}
    words["TanhShrink"] = "tanh_shrink"
    word = words.get(type(node.operation).__name__, type(node.operation).__name__.lower())
    return _WRITTEN_OUT[word](b, b.only_input(), "")


@operation("Gelu")
def _gelu(b: Builder, node: Node) -> int:
    return b.primitive("gelu", b.only_input(), approximate=bool(node.operation.approximate))
