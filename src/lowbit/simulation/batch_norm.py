# SPDX-License-Identifier: Apache-2.0
"""A batch norm that follows no convolution (pre-activation ResNet, DenseNet)."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from lowbit.quantizers import elementwise, integer, record
from lowbit.quantizers.affine import code_range
from lowbit.quantizers.batch_norm import normalize
from lowbit.quantizers.relu import activation_codes, apply_relu
from lowbit.simulation.base import Tensor, WrappingLayer
from lowbit.simulation.exported import Constant, Mark
from lowbit.simulation.operations import constant_grid, quantized_constant
from lowbit.simulation.weighted import batch_norm_as_affine


@keras.saving.register_keras_serializable("lowbit")
class QuantizedBatchNorm(WrappingLayer):
    """`x * factor + shift` [+ ReLU | ReLU6] as LiteRT's MUL and ADD with int8 constants.

    Each constant is quantized per tensor, symmetric; the product has a quantizer of its own.
    """

    def __init__(self, *, activation: str = "linear", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.product_quantizers = self.make_quantizers("product", is_learned=False)  # never rounded in training
        self.output_quantizers = self.make_quantizers()

    @property
    def product_quantizer(self) -> Any:
        return self.product_quantizers[self._use]

    def own_quantizers(self) -> list[Any]:
        return [self.product_quantizer, *super().own_quantizers()]

    def carried_weights(self) -> list[Any]:
        return list(self.layer.weights)

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return apply_relu(self.layer(inputs[0], training=False), self.activation)

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        if training:
            self.product_quantizer.track(inputs[0] * batch_norm_as_affine(self.layer)[0])
            return normalize(self.layer, inputs[0], training=True)
        factor, shift = (constant_grid(v)[2] for v in batch_norm_as_affine(self.layer))
        codes = self.product_quantizer.to_codes(inputs[0] * factor)
        record(f"{self.tensor_name}/product", codes)
        return self.product_quantizer.to_real(codes) + shift

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        factor, shift = batch_norm_as_affine(self.layer)
        self.product_quantizer.observe(inputs[0] * factor)
        output = apply_relu(inputs[0] * factor + shift, self.activation)
        self.output_quantizer.observe(output)
        return output

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        (factor, factor_scale, _), (shift, shift_scale, _) = map(constant_grid, batch_norm_as_affine(self.layer))
        input_scale, _ = self.source().parameters()
        product_scale, product_zero = self.product_quantizer.parameters()
        scale, zero_point = self.output_quantizer.parameters()
        product = elementwise.multiply([centred[0], factor], [input_scale, factor_scale], product_scale, product_zero)
        product = ops.clip(product, *code_range(8))
        record(f"{self.tensor_name}/product", product)
        codes = elementwise.add([product - product_zero, shift], [product_scale, shift_scale], scale, zero_point)
        return integer.clamp(codes, *activation_codes(self.activation, scale, zero_point))

    def constants(self, integer: bool) -> dict[str, Constant]:
        named = zip(("factor", "shift"), batch_norm_as_affine(self.layer), strict=True)
        if not integer:
            return {name: Constant(values=ops.convert_to_numpy(value)) for name, value in named}
        return {name: quantized_constant(value, self.activation_bits) for name, value in named}

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        product = mark("product", inputs[0] * constants["factor"], self.product_quantizer)
        return mark("", apply_relu(product + constants["shift"], self.activation), self.output_quantizer)

    def weight_count(self) -> int:
        return 2 * int(self.layer.moving_mean.shape[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": self.activation}
