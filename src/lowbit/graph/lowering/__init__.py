# SPDX-License-Identifier: Apache-2.0
"""Flat graph -> steps: every layer and operation written out in what the integer runtime has."""

from lowbit.graph.lowering.lower import is_leaf, lower

__all__ = ["is_leaf", "lower"]
