# SPDX-License-Identifier: Apache-2.0
"""Ranges that the runtime prescribes."""

from typing import Any

import keras
from keras import ops

from lowbit.quantizers.tensor import Tensor, TensorQuantizer


@keras.saving.register_keras_serializable("lowbit")
class FixedQuantizer(TensorQuantizer):
    """A scale and zero point the runtime prescribes (softmax, logistic, tanh)."""

    def __init__(self, *, bits: int, scale: float, zero_point: int, **kwargs: Any) -> None:
        super().__init__(bits=bits, **kwargs)
        self.scale, self.zero_point = scale, zero_point

    def parameters(self) -> tuple[Tensor, Tensor]:
        return ops.convert_to_tensor(self.scale, "float32"), ops.convert_to_tensor(float(self.zero_point), "float32")

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"scale": self.scale, "zero_point": self.zero_point}


_FIXED = {"softmax": (256.0, -128), "sigmoid": (256.0, -128), "tanh": (128.0, 0)}


def fixed_quantizer(activation: str, bits: int, name: str) -> FixedQuantizer:
    """The range LiteRT prescribes for the output of `softmax`, `sigmoid` or `tanh`."""
    steps, zero_point = _FIXED[activation]
    if bits == 16:
        steps, zero_point = 32768.0, 0
    return FixedQuantizer(bits=bits, scale=1.0 / steps, zero_point=zero_point, name=name)
