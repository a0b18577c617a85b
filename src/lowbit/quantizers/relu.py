# SPDX-License-Identifier: Apache-2.0
"""ReLU and ReLU6 fused into the op before them."""

from typing import Any

from keras import ops

from lowbit.quantizers.affine import code_range

Tensor = Any


def apply_relu(y: Tensor, activation: str) -> Tensor:
    return {"linear": lambda v: v, "relu": ops.relu, "relu6": ops.relu6}[activation](y)


def activation_codes(activation: str, scale: Tensor, zero_point: Tensor) -> tuple[Tensor, Tensor]:
    """Lowest and highest code a fused activation lets through."""
    lowest, highest = code_range(8)
    if activation == "linear":
        return lowest, highest
    top = highest if activation == "relu" else ops.minimum(ops.round(6.0 / scale + zero_point), highest)
    return ops.maximum(zero_point, lowest), top
