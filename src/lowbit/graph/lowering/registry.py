# SPDX-License-Identifier: Apache-2.0
"""Which function writes out which layer or bare operation."""

from collections.abc import Callable
from typing import Any

from lowbit.graph.flatten import Node
from lowbit.graph.steps import Builder

Lowering = Callable[[Builder, Node], Any]
"""Appends the steps of one node and returns its output tensor, or a list of them; raises NoIntegerForm."""

LAYERS: dict[type, Lowering] = {}
OPERATIONS: dict[str, Lowering] = {}


def layer(*classes: type) -> Callable[[Lowering], Lowering]:
    """Registers a lowering for Keras layers of exactly these classes."""

    def register(function: Lowering) -> Lowering:
        LAYERS.update(dict.fromkeys(classes, function))
        return function

    return register


def operation(*names: str) -> Callable[[Lowering], Lowering]:
    """Registers a lowering for bare operations by the class name of `keras.ops`' operation."""

    def register(function: Lowering) -> Lowering:
        OPERATIONS.update(dict.fromkeys(names, function))
        return function

    return register


def find(candidate: Any) -> Lowering | None:
    kind = type(candidate)
    if kind in LAYERS:
        return LAYERS[kind]
    is_bare = kind.__module__.startswith("keras.src.ops.")
    return OPERATIONS.get(kind.__name__) if is_bare else None
