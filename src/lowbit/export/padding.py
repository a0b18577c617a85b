# SPDX-License-Identifier: Apache-2.0
"""Zero padding that a convolution can do itself: its PAD, which copies the whole tensor, goes out of the file.

MobileNets pad by hand before each strided convolution. XNNPACK joins the two by itself; other kernels copy, and need
memory for it: the arena of MobileNetV2 0.35 at 128 px is a quarter smaller without.
"""

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from lowbit.runtime import flatbuffer

_KERNEL_AXES = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2)}
"""Axes of height and width in the weights."""


def fuse(model: Any) -> None:
    """Let convolutions pad by themselves ("SAME") where that is what the PAD before them does; computes the same bits.

    Both pad integers with the zero point. A PAD that is an output of the file, or that another op reads too, stays.
    """
    graph = model.subgraphs[0]
    readers: dict[int, list[Any]] = {}
    for operator in graph.operators:
        for number in operator.inputs:
            readers.setdefault(int(number), []).append(operator)
    ends = {int(number) for number in graph.outputs}
    removed = []
    for pad in graph.operators:
        if flatbuffer.op_name(model, pad) != "PAD" or int(pad.outputs[0]) in ends:
            continue
        reading = readers.get(int(pad.outputs[0]), [])
        if reading and all(_is_same(model, graph, pad, operator) for operator in reading):
            for operator in reading:
                operator.inputs = np.array([pad.inputs[0], *operator.inputs[1:]], dtype="int32")
                operator.builtinOptions.padding = schema.Padding.SAME
            removed.append(pad)
    if removed:
        graph.operators = [operator for operator in graph.operators if not any(operator is pad for pad in removed)]
        flatbuffer.remove_unused(model)


def _is_same(model: Any, graph: Any, pad: Any, operator: Any) -> bool:
    """Whether an op is a convolution without padding whose "SAME" would pad just so."""
    axes = _KERNEL_AXES.get(flatbuffer.op_name(model, operator))
    options = operator.builtinOptions
    if axes is None or int(operator.inputs[0]) != int(pad.outputs[0]) or options.padding != schema.Padding.VALID:
        return False
    source, padded = (graph.tensors[int(number)] for number in (pad.inputs[0], pad.outputs[0]))
    amounts = flatbuffer.constant(model, graph.tensors[int(pad.inputs[1])], "int32")
    if amounts is None or _grid(source) != _grid(padded):
        return False
    around = amounts.reshape(-1, 2)
    kernel = graph.tensors[int(operator.inputs[1])].shape
    strides, dilations = (options.strideH, options.strideW), (options.dilationHFactor, options.dilationWFactor)
    wanted = [
        _same_padding(int(source.shape[axis]), int(kernel[axis]), stride, dilation)
        for axis, stride, dilation in zip(axes, strides, dilations, strict=True)
    ]
    return bool(np.array_equal(around, [(0, 0), *wanted, (0, 0)]))


def _same_padding(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """What "SAME" pads before and after an axis of `size`.

    >>> _same_padding(128, 3, stride=2, dilation=1), _same_padding(129, 3, stride=2, dilation=1)
    ((0, 1), (1, 1))
    """
    outputs = -(-size // stride)
    total = max(0, (outputs - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return total // 2, total - total // 2


def _grid(tensor: Any) -> tuple[Any, ...]:
    """Scale and zero point; a padded tensor has those of its source."""
    found = tensor.quantization
    if found is None or found.scale is None:
        return ()
    return tuple(found.scale), tuple(found.zeroPoint)
