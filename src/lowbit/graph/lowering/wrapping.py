# SPDX-License-Identifier: Apache-2.0
"""TimeDistributed: its layer over the steps of time as over so many samples."""

from dataclasses import replace

from keras import layers

from lowbit.graph.flatten import Node, Slot
from lowbit.graph.lowering.moving import reshape, static
from lowbit.graph.lowering.registry import find, layer
from lowbit.graph.steps import Builder, NoIntegerForm

EACH_PLACE_ALONE = (layers.Dense, layers.Activation, layers.ReLU, layers.Dropout, layers.Identity, layers.Rescaling)
"""Layers that do the same to every place, or every vector of channels: time may stay an axis of its own."""


@layer(layers.TimeDistributed)
def _time_distributed(b: Builder, node: Node) -> int:
    wrapped, x = node.operation.layer, b.only_input()
    written_out = find(wrapped)
    if written_out is None:
        raise NoIntegerForm(f"no integer form of TimeDistributed over {type(wrapped).__name__}")
    is_apart = isinstance(wrapped, EACH_PLACE_ALONE)
    steps, *sizes = static(b.shape(x)[1:])
    merged = x if is_apart else reshape(b, x, sizes, "merged")
    inner = replace(node, operation=wrapped, args=(Slot(merged),), kwargs={}, outputs=())
    b.bound[merged] = merged
    b.begin(inner)
    try:
        made = written_out(b, inner)
    finally:
        b.begin(node)
    if not isinstance(made, int):
        raise NoIntegerForm("a TimeDistributed layer of several outputs")
    return made if is_apart else reshape(b, made, [steps, *static(b.shape(made)[1:])], "apart")
