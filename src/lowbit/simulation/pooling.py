# SPDX-License-Identifier: Apache-2.0
"""Global and windowed average pooling."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from lowbit.quantizers import ActivationQuantizer, integer
from lowbit.quantizers.activation import TensorQuantizer
from lowbit.quantizers.affine import code_range
from lowbit.simulation.base import Mark, Tensor, WrappingLayer


@keras.saving.register_keras_serializable("lowbit")
class QuantizedMean(WrappingLayer):
    """GlobalAveragePooling2D as LiteRT's MEAN, which has an output range of its own."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")

    def tensor_quantizer(self) -> ActivationQuantizer:
        return self.output_quantizer

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return ops.mean(inputs[0], axis=(1, 2), keepdims=self.layer.keepdims)

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        count = centred[0].shape[1] * centred[0].shape[2]
        input_scale, _ = self.source().parameters()
        scale, zero_point = self.output_quantizer.parameters()
        total = ops.sum(centred[0], axis=(1, 2), keepdims=self.layer.keepdims)
        codes = integer.requantize_fused(total, input_scale / (scale * float(count)), zero_point)
        return ops.clip(codes, *code_range(8))


@keras.saving.register_keras_serializable("lowbit")
class QuantizedAveragePooling2D(WrappingLayer):
    """AveragePooling2D as AVERAGE_POOL_2D: the input's scale, the mean of the codes half away from zero."""

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return self.sources()[0] if self.sources() else None

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        _, zero_point = self.source().parameters()
        codes = centred[0] + zero_point
        ones = ops.ones_like(codes[:1, :, :, :1])
        size = float(self.layer.pool_size[0] * self.layer.pool_size[1])
        total = ops.round(self.layer(codes) * self._valid(codes, ones, size))
        count = self._valid(codes, ones, size)
        return integer.mean_half_away(total, count)

    def _valid(self, codes: Tensor, ones: Tensor, size: float) -> Tensor:
        """How many elements of each window lie inside the image, shape (1, rows, columns, 1)."""
        if self.layer.padding == "valid":
            return ops.full((1, 1, 1, 1), size)
        pool, strides = self.layer.pool_size, self.layer.strides
        kernel = ops.ones((*pool, 1, 1))
        return ops.conv(ones, kernel, strides=strides, padding="same", data_format="channels_last")

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        return self.layer(inputs[0])

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        return mark("", self.layer(inputs[0]), self.tensor_quantizer())
