# SPDX-License-Identifier: Apache-2.0
"""Additions, and scale-and-shift layers (Rescaling, a batch norm by itself)."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.quantizers import ActivationQuantizer, WeightQuantizer, integer, record
from lowbit.quantizers.affine import code_range
from lowbit.simulation.base import Constant, Mark, SimulatedLayer, Tensor, WrappingLayer
from lowbit.simulation.weighted import RELU_MAXIMUM, activation_codes, apply_relu, batch_norm_as_affine


@keras.saving.register_keras_serializable("lowbit")
class QuantizedAdd(SimulatedLayer):
    """Add of two tensors of one shape [+ ReLU | ReLU6] as LiteRT's ADD."""

    def __init__(self, *, activation: str = "linear", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[0]

    def tensor_quantizer(self) -> ActivationQuantizer:
        return self.output_quantizer

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return apply_relu(inputs[0] + inputs[1], self.activation)

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        scale, zero_point = self.output_quantizer.parameters()
        input_scales = [self.source(i).parameters()[0] for i in range(2)]
        codes = integer.add(centred, input_scales, scale, zero_point)
        return integer.clamp(codes, *activation_codes(self.activation, scale, zero_point))

    def restore(self, inputs: list[Tensor]) -> Tensor:
        y = keras.layers.Add(name=self.name)(inputs)
        if self.activation == "linear":
            return y
        return keras.layers.ReLU(RELU_MAXIMUM[self.activation], name=f"{self.name}_{self.activation}")(y)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": self.activation}


@keras.saving.register_keras_serializable("lowbit")
class QuantizedAffine(WrappingLayer):
    """`x * factor + shift` as LiteRT's MUL and ADD with int8 constants.

    Stands for Rescaling and for a BatchNormalization that follows no convolution. Each constant is
    quantized per tensor, symmetric; the product has a quantizer of its own.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.product_quantizer = ActivationQuantizer(bits=self.activation_bits, name="product")
        self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")

    def tensor_quantizer(self) -> ActivationQuantizer:
        return self.output_quantizer

    def own_quantizers(self) -> list[Any]:
        return [self.product_quantizer, self.output_quantizer]

    def factor_and_shift(self) -> tuple[Tensor, Tensor]:
        """Both of shape (channels,) or (1,), float32."""
        if isinstance(self.layer, keras.layers.BatchNormalization):
            return batch_norm_as_affine(self.layer)
        values = (np.atleast_1d(np.asarray(v, dtype="float32")) for v in (self.layer.scale, self.layer.offset))
        factor, shift = values
        return ops.convert_to_tensor(factor), ops.convert_to_tensor(shift)

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        if training and isinstance(self.layer, keras.layers.BatchNormalization):
            y = self.layer(inputs[0], training=True)
            self.product_quantizer.track(inputs[0] * self.factor_and_shift()[0])
            return y
        factor, shift = (_constant_grid(v)[2] for v in self.factor_and_shift())
        if training:
            return self.product_quantizer.fake_quantize(inputs[0] * factor, training=True) + shift
        codes = self.product_quantizer.to_codes(inputs[0] * factor)
        record(f"{self.name}/product", codes)
        return self.product_quantizer.to_real(codes) + shift

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        factor, shift = self.factor_and_shift()
        self.product_quantizer.observe(inputs[0] * factor)
        self.output_quantizer.observe(inputs[0] * factor + shift)
        return inputs[0] * factor + shift

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        (factor, factor_scale, _), (shift, shift_scale, _) = (_constant_grid(v) for v in self.factor_and_shift())
        input_scale, _ = self.source().parameters()
        product_scale, product_zero = self.product_quantizer.parameters()
        scale, zero_point = self.output_quantizer.parameters()
        product = integer.requantize(centred[0] * factor, input_scale * factor_scale / product_scale, product_zero)
        product = ops.clip(product, *code_range(8))
        record(f"{self.name}/product", product)
        product = product - product_zero
        spread = ops.broadcast_to(shift, ops.shape(product))
        return ops.clip(
            integer.add([product, spread], [product_scale, shift_scale], scale, zero_point), *code_range(8)
        )

    def constants(self, integer: bool) -> dict[str, Constant]:
        named = zip(("factor", "shift"), self.factor_and_shift(), strict=True)
        if not integer:
            return {name: Constant(values=ops.convert_to_numpy(value)) for name, value in named}
        return {name: _constant(value) for name, value in named}

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        product = mark("product", inputs[0] * constants["factor"], self.product_quantizer)
        return mark("", product + constants["shift"], self.output_quantizer)


def _constant_grid(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A constant quantized per tensor: centred codes, scale, real values on the grid."""
    quantizer = WeightQuantizer(bits=8)
    flat = ops.reshape(values, (-1, 1))
    scale = quantizer.scale(flat)
    codes = ops.reshape(quantizer.codes(flat, scale), ops.shape(values))
    return codes, scale[0], codes * scale[0]


def _constant(values: Tensor) -> Constant:
    codes, scale, on_grid = (ops.convert_to_numpy(v) for v in _constant_grid(values))
    return Constant(values=on_grid, codes=codes.astype("int8"), scale=np.atleast_1d(scale), bits=8)
