# SPDX-License-Identifier: Apache-2.0
"""Which tensors have one scale: those that meet in a concatenation or a maximum, back through what moves values."""

from collections.abc import Sequence

from lowbit.simulation.base import SimulatedLayer

Call = tuple[SimulatedLayer, int, list[int], int]
"""Layer, use, ids of its input tensors, id of its output tensor."""


def shared_scales(calls: Sequence[Call]) -> dict[int, tuple[SimulatedLayer, int]]:
    """By tensor id, the layer and use whose quantizer it has in common with others.

    The last joining layer of a group owns the quantizer, so that its output, which holds all others, moves the range.
    """
    makers = {output: (layer, inputs) for layer, _, inputs, output in calls}
    parents: dict[int, int] = {}

    def root(tensor: int) -> int:
        while parents.get(tensor, tensor) != tensor:
            tensor = parents[tensor]
        return tensor

    for layer, _, inputs, output in calls:
        if layer.shares_output_scale:
            for tensor in inputs:
                parents[root(_made(makers, tensor))] = root(output)
    owners: dict[int, tuple[SimulatedLayer, int]] = {}
    for layer, use, _, output in calls:
        if layer.shares_output_scale:
            owners[root(output)] = (layer, use)
    return {output: owners[root(output)] for *_, output in calls if root(output) in owners}


def _made(makers: dict[int, tuple[SimulatedLayer, list[int]]], tensor: int) -> int:
    """The tensor whose own scale this one has: back through layers that pass a scale on."""
    while tensor in makers and makers[tensor][0].passes_scale:
        tensor = makers[tensor][1][0]
    return tensor
