# SPDX-License-Identifier: Apache-2.0
"""What every quantizer of an activation is: one scale and zero point for a tensor, and codes made with them."""

from typing import Any

import keras
from keras import ops

from lowbit.quantizers import affine
from lowbit.quantizers.fake import fake_quantize
from lowbit.quantizers.mode import Mode, current_mode
from lowbit.quantizers.relu import apply_relu

Tensor = Any


class TensorQuantizer(keras.layers.Layer):
    """What all activation quantizers share; subclasses say where scale and zero point come from."""

    def __init__(self, *, bits: int, **kwargs: Any) -> None:
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.bits = bits
        self.built = True

    def parameters(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point, float32 scalars."""
        raise NotImplementedError

    def range_in_file(self) -> tuple[float, float]:
        """The (min, max) from which litert-quantizer derives exactly these parameters."""
        scale, zero_point = (float(ops.convert_to_numpy(value)) for value in self.parameters())
        return affine.range_in_float64(scale, int(zero_point), self.bits)

    def centred(self, x: Tensor) -> Tensor:
        """Real values that lie on this quantizer's grid -> code - zero point, integers in float32."""
        scale, _ = self.parameters()
        return ops.round(x / scale)

    def to_codes(self, x: Tensor) -> Tensor:
        """Any real values -> codes, half to even, clamped; integers in float32."""
        scale, zero_point = self.parameters()
        return ops.clip(ops.round(x / scale) + zero_point, *affine.code_range(self.bits, narrow=self.bits == 16))

    def to_real(self, codes: Tensor) -> Tensor:
        """Codes -> real values."""
        scale, zero_point = self.parameters()
        return (codes - zero_point) * scale

    def train(self, x: Tensor, activation: str = "linear") -> Tensor:
        """The activation of `x` on the grid, while training: "linear", "relu" or "relu6"."""
        return self.fake_quantize(apply_relu(x, activation))

    def fake_quantize(self, x: Tensor) -> Tensor:
        """Round to the grid; the gradient passes where `x` lies inside the range, else it is 0."""
        low, high = affine.fake_quantize_range(*self.parameters(), self.bits)
        return fake_quantize(x, ops.stop_gradient(low), ops.stop_gradient(high), self.bits)

    def is_calibrated(self) -> bool:
        return True

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        if current_mode() is Mode.FLOAT:
            return x
        return self.train(x) if training else self.fake_quantize(x)

    def get_config(self) -> dict[str, Any]:
        return {"bits": self.bits, "name": self.name}
