# SPDX-License-Identifier: Apache-2.0
"""Any Keras model as a flat list of the operations that LiteRT will run."""

from lowbit.graph.flatten import FlatGraph, Node, Slot, flatten
from lowbit.graph.fusing import fuse
from lowbit.graph.lowering import is_leaf, lower
from lowbit.graph.steps import Builder, Parameter, Step, output_spec

__all__ = [
    "Builder",
    "FlatGraph",
    "Node",
    "Parameter",
    "Slot",
    "Step",
    "flatten",
    "fuse",
    "is_leaf",
    "lower",
    "output_spec",
]
