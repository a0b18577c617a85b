# SPDX-License-Identifier: Apache-2.0
"""What a simulated layer tells of the exported graph: its named tensors and its constants."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lowbit.quantizers.tensor import Tensor, TensorQuantizer


class Mark(Protocol):
    """`mark(suffix, tensor, quantizer)` declares a tensor of the exported graph and returns it."""

    integer: bool
    """Whether the file will be quantized."""

    def apart(self, tensor: Tensor) -> Tensor:
        """The same tensor; what reads this one is not merged with the same done to it elsewhere."""
        ...

    def __call__(self, suffix: str, tensor: Tensor, quantizer: TensorQuantizer | None) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constant of the exported graph.

    `values` are float32; for an integer file they are `codes x scale` and `scale` has one entry
    for each channel of the last axis. A bias has `codes` only: its scale follows from the op. An operand of an op
    without kernel (`is_operand`) is quantized as activations are, over all their codes. `together` elements of one
    channel lie side by side (1 where channels are the last axis).
    """

    values: np.ndarray
    codes: np.ndarray | None = None
    scale: np.ndarray | None = None
    bits: int | None = None
    zero_point: int = 0
    is_operand: bool = False
    together: int = 1
