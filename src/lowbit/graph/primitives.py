# SPDX-License-Identifier: Apache-2.0
"""The operations that models are written out in: what each computes in float, and how its range behaves.

Classes (LiteRT's 8-bit quantization specification): `OWN_RANGE` operations have an output range of their own,
`FIXED_RANGE` ones the range the runtime prescribes, `SAME_AS_INPUT` ones pass their input's scale on, and
`SAME_AS_OUTPUT` ones need one scale for all inputs and the output.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

Tensor = Any
Primitive = Callable[..., Tensor]
"""`primitive(*tensors, **settings)`; settings are numbers, words and lists of them."""


def _relu(x: Tensor, maximum: float | None = None) -> Tensor:
    if maximum is None:
        return ops.relu(x)
    return ops.relu6(x) if maximum == 6.0 else ops.minimum(ops.relu(x), maximum)


def _matmul(x: Tensor, y: Tensor, transpose_y: bool = False) -> Tensor:
    if not transpose_y:
        return ops.matmul(x, y)
    rank = len(y.shape)
    return ops.matmul(x, ops.transpose(y, [*range(rank - 2), rank - 1, rank - 2]))


def _slice(x: Tensor, starts: Sequence[int], stops: Sequence[int], steps: Sequence[int]) -> Tensor:
    """Starts, stops and steps of every axis but the first."""
    picks = [slice(*one) for one in zip(starts, stops, steps, strict=True)]
    return x[(slice(None), *picks)]


def _pool(x: Tensor, size: Sequence[int], strides: Sequence[int], padding: str, kind: str) -> Tensor:
    pool = {"max": ops.max_pool, "average": ops.average_pool}[kind]
    return pool(x, tuple(size), tuple(strides), padding, data_format="channels_last")


def _max_pool(x: Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> Tensor:
    return _pool(x, size, strides, padding, "max")


def _average_pool(x: Tensor, size: Sequence[int], strides: Sequence[int], padding: str) -> Tensor:
    return _pool(x, size, strides, padding, "average")


def _resize(x: Tensor, size: Sequence[int], method: str) -> Tensor:
    return ops.image.resize(x, tuple(size), interpolation=method, data_format="channels_last")


def _broadcast(x: Tensor, shape: Sequence[int]) -> Tensor:
    """`shape` of every axis but the first."""
    return ops.broadcast_to(x, (ops.shape(x)[0], *shape))


def _pad(x: Tensor, widths: Sequence[Sequence[int]]) -> Tensor:
    """`widths` of every axis but the first, with zeros."""
    return ops.pad(x, [(0, 0), *(tuple(width) for width in widths)])


OWN_RANGE: Mapping[str, Primitive] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "matmul": _matmul,
    "mean": lambda x, axes, keepdims: ops.mean(x, axis=tuple(axes), keepdims=keepdims),
    "sum": lambda x, axes, keepdims: ops.sum(x, axis=tuple(axes), keepdims=keepdims),
    "sqrt": ops.sqrt,
    "rsqrt": ops.rsqrt,
    "relu": _relu,
    "gelu": lambda x, approximate: ops.gelu(x, approximate=approximate),
}
FIXED_RANGE: Mapping[str, Primitive] = {
    "softmax": lambda x: ops.softmax(x, axis=-1),
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
}
SAME_AS_OUTPUT: Mapping[str, Primitive] = {
    "concatenate": lambda *tensors, axis: ops.concatenate(list(tensors), axis=axis),
    "maximum": ops.maximum,
}
SAME_AS_INPUT: Mapping[str, Primitive] = {
    "reshape": lambda x, shape: ops.reshape(x, tuple(shape)),
    "transpose": lambda x, axes: ops.transpose(x, tuple(axes)),
    "pad": _pad,
    "slice": _slice,
    "broadcast": _broadcast,
    "max_pool": _max_pool,
    "average_pool": _average_pool,
    "resize": _resize,
}
FOR_FLOAT: Mapping[str, Primitive] = {"hard_swish": ops.hard_silu}
"""Written out in the others where integers compute them."""

PRIMITIVES: Mapping[str, Primitive] = {**FOR_FLOAT, **OWN_RANGE, **FIXED_RANGE, **SAME_AS_OUTPUT, **SAME_AS_INPUT}


def moves_nothing(
    kind: str, shape: Sequence[int | None], made: Sequence[int | None], settings: Mapping[str, Any]
) -> bool:
    """Whether a `SAME_AS_INPUT` primitive gives its input back; the converter leaves such an op out."""
    if tuple(shape) != tuple(made):
        return False
    if kind == "transpose":
        return list(settings["axes"]) == list(range(len(shape)))
    if kind in ("max_pool", "average_pool"):
        return set(settings["size"]) == {1}
    return True
