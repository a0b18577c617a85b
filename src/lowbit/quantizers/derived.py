# SPDX-License-Identifier: Apache-2.0
"""Quantizers of a tensor that another quantizer describes in other bits: 8 and 16 bits of one range."""

from typing import Any

from lowbit.quantizers import affine
from lowbit.quantizers.activation import ActivationQuantizer
from lowbit.quantizers.tensor import Tensor, TensorQuantizer


class _Hidden:
    """Holds a quantizer where Keras does not track it as a part of this one."""

    def __init__(self, quantizer: Any) -> None:
        self.quantizer = quantizer


class WidenedQuantizer(TensorQuantizer):
    """16 bits over the range of an 8-bit quantizer."""

    def __init__(self, source: TensorQuantizer) -> None:
        super().__init__(bits=16)
        self._source = _Hidden(source)

    def parameters(self) -> tuple[Tensor, Tensor]:
        return affine.widened(*self.in_eight_bits())

    def in_eight_bits(self) -> tuple[Tensor, Tensor]:
        source: TensorQuantizer = self._source.quantizer
        return source.parameters()

    def range_in_file(self) -> tuple[float, float]:
        limits: tuple[float, float] = self._source.quantizer.range_in_file()
        return limits


class NarrowedQuantizer(TensorQuantizer):
    """8 bits over the range that a 16-bit quantizer has seen, which from now on takes its scale from this one."""

    def __init__(self, source: ActivationQuantizer | WidenedQuantizer) -> None:
        super().__init__(bits=8)
        if isinstance(source, ActivationQuantizer):
            source.is_narrowed = True
        self._source = _Hidden(source)

    def parameters(self) -> tuple[Tensor, Tensor]:
        source: ActivationQuantizer | WidenedQuantizer = self._source.quantizer
        return source.in_eight_bits()
