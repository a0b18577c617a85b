# SPDX-License-Identifier: Apache-2.0
"""Any Keras model as a flat list of operations, grouped as LiteRT will run them."""

from lowbit.graph.flatten import FlatGraph, Node, flatten
from lowbit.graph.groups import Group, group_operations

__all__ = ["FlatGraph", "Group", "Node", "flatten", "group_operations"]
