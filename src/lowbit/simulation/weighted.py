# SPDX-License-Identifier: Apache-2.0
"""What all layers with a kernel share: product, bias, batch norm and ReLU as one op of the file."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.quantizers import WeightQuantizer, integer
from lowbit.quantizers.affine import quotient, settled, square_root
from lowbit.quantizers.batch_norm import normalize
from lowbit.quantizers.learned import best_scale, factor
from lowbit.quantizers.relu import activation_codes, apply_relu
from lowbit.simulation.base import Tensor, WrappingLayer
from lowbit.simulation.exported import Constant, Mark
from lowbit.simulation.products import product_in


class WeightedLayer(WrappingLayer):
    """A weighted op: product with a kernel, bias, batch norm, then a fused ReLU or ReLU6.

    Args:
        layer: a Keras layer without activation that holds kernel and bias.
        batch_norm: the batch norm that follows, or None. It is trained unfolded.
        activation: "linear", "relu" or "relu6".
        weight_bits: 4 or 8.
        per_channel: one weight scale per output channel, or one for the whole kernel. A single scale does not commute
            with a batch norm's gains, so it is that of the folded kernel.
        product_dtype: "float16" or "bfloat16" for the products of training steps, None for float32.
    """

    def __init__(
        self,
        *,
        layer: keras.layers.Layer,
        batch_norm: keras.layers.Layer | None = None,
        activation: str = "linear",
        weight_bits: int = 8,
        per_channel: bool = True,
        product_dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(layer=layer, **kwargs)
        self.batch_norm = batch_norm
        self.activation = activation
        self.weight_bits = weight_bits
        self.per_channel = per_channel
        self.product_dtype = product_dtype
        self.weight_quantizer = WeightQuantizer(bits=weight_bits, per_channel=per_channel)
        self.output_quantizers = self.make_quantizers()

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        if self.batch_norm is not None and not self.batch_norm.built:
            self.batch_norm.build(self.compute_output_shape(input_shape))
        if self.learns_scale():
            kernel = ops.convert_to_numpy(self.by_channel(self.kernel()))
            best = best_scale(kernel, self.weight_quantizer.largest_code)
            shape = best.shape
            self.first_scale = self.add_weight(
                shape=shape, initializer=lambda *_, **__: best, trainable=False, name="first_scale"
            )
            self.moved_scale = self.add_weight(shape=shape, initializer="zeros", name="moved_scale")

    def learns_scale(self) -> bool:
        """Whether the scales of the weights are trained; a single one for all channels never is."""
        return self.is_learned and self.per_channel

    def learned_scale(self) -> Tensor | None:
        """The trained scale (channels,) of the unfolded weights; None where it follows the largest weight."""
        return settled(self.first_scale * factor(self.moved_scale)) if self.learns_scale() else None

    def carried_weights(self) -> list[Any]:
        return [*self.layer.weights, *([] if self.batch_norm is None else self.batch_norm.weights)]

    def weight_scale(self) -> Tensor:
        """Scales (channels,) of the unfolded weights, as they are rounded in training."""
        learned = self.learned_scale()
        return self.weight_quantizer.scale(self.by_channel(self.kernel())) if learned is None else learned

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The op without bias; `kernel` as the wrapped layer stores it."""
        raise NotImplementedError

    def together(self) -> int:
        """Kernel elements of one output channel that are stored side by side."""
        return 1

    def terms(self) -> int:
        """Products summed for one output value."""
        return int(np.prod(self.kernel().shape[:-1]))

    def kernel(self) -> Tensor:
        return ops.convert_to_tensor(self.layer.kernel)

    def by_channel(self, kernel: Tensor) -> Tensor:
        """The kernel with its output channels on the last axis."""
        return kernel

    def as_stored(self, kernel: Tensor) -> Tensor:
        """The inverse of `by_channel`."""
        return kernel

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        y = self._biased(self.product(inputs[0], self.kernel()))
        if self.batch_norm is not None:
            y = self.batch_norm(y, training=False)
        return apply_relu(y, self.activation)

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        norm, kernel = self.batch_norm, self.by_channel(self.kernel())
        gain = None if self.per_channel or norm is None else batch_norm_as_affine(norm)[0]
        kernel = self.weight_quantizer.fake_quantize(kernel, gain, self.learned_scale())
        dtype = self.product_dtype if training else None
        if norm is None or (training and norm.trainable):
            y = self._biased(product_in(dtype, self.product, inputs[0], self.as_stored(kernel)))
            return y if norm is None else normalize(norm, y, training=True)
        # frozen statistics: a small kernel is multiplied in place of a large output
        gain, bias = self.gain_and_bias()
        return product_in(dtype, self.product, inputs[0], self.as_stored(kernel * gain)) + bias

    def _biased(self, y: Tensor) -> Tensor:
        return y + self.layer.bias if self.layer.use_bias else y

    def gain_and_bias(self) -> tuple[Tensor, Tensor]:
        """What batch norm and bias do to each channel: `y = product x gain + bias`, both (channels,)."""
        channels = self.by_channel(self.kernel()).shape[-1]
        bias = ops.convert_to_tensor(self.layer.bias) if self.layer.use_bias else ops.zeros((channels,))
        norm = self.batch_norm
        if norm is None:
            return ops.ones((channels,)), bias
        gain, shift = batch_norm_as_affine(norm)
        return gain, settled(bias * gain) + shift

    def integer_weights(self) -> tuple[Tensor, Tensor, Tensor]:
        """Codes (channels last), scale and int32 bias codes of the file, all float32."""
        gain, bias = self.gain_and_bias()
        input_scale, _ = self.source().parameters()
        kernel = self.by_channel(self.kernel())
        return self.weight_quantizer.folded(kernel, gain, bias, input_scale, self.learned_scale())

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        codes, weight_scale, bias_codes = self.integer_weights()
        accumulator = integer.exact_product_sum(
            lambda x, kernel: self.product(x, self.as_stored(kernel)),
            centred[0],
            codes,
            bias_codes,
            terms=self.terms(),
            largest_code=self.weight_quantizer.largest_code,
        )
        input_scale, _ = self.source().parameters()
        scale, zero_point = self.output_quantizer.parameters()
        if self.runs_built_in():
            scales = (input_scale, weight_scale, scale)
            half_up = np.arange(codes.shape[-1]) < self.built_in_half_up(codes.shape[-1])
            result = integer.requantize_fixed_point(accumulator, scales, zero_point, half_up=half_up)
        else:
            result = integer.requantize(accumulator, quotient(input_scale * weight_scale, scale), zero_point)
        return integer.clamp(result, *activation_codes(self.activation, scale, zero_point))

    def runs_built_in(self) -> bool:
        """Whether LiteRT runs this op in its built-in kernel, as XNNPACK does not take it."""
        return False

    def built_in_half_up(self, channels: int) -> int:
        """How many of the channels the built-in kernel rounds half up at its last shift."""
        return channels

    def constants(self, integer: bool) -> dict[str, Constant]:
        if not integer:
            gain, bias = (ops.convert_to_numpy(x).astype("float64") for x in self.gain_and_bias())
            kernel = ops.convert_to_numpy(self.by_channel(self.kernel())) * gain
            stored = ops.convert_to_numpy(self.as_stored(ops.convert_to_tensor(kernel.astype("float32"))))
            return {"kernel": Constant(values=stored), "bias": Constant(values=bias.astype("float32"))}
        codes, scale, bias_codes = (ops.convert_to_numpy(x) for x in self.integer_weights())
        input_scale = ops.convert_to_numpy(self.source().parameters()[0])
        kernel = self.as_stored(ops.convert_to_tensor(codes * scale))
        stored_codes = ops.convert_to_numpy(self.as_stored(ops.convert_to_tensor(codes))).astype("int8")
        bias = bias_codes.astype("float64") * (input_scale.astype("float64") * scale.astype("float64"))
        return {
            "kernel": Constant(
                values=ops.convert_to_numpy(kernel),
                codes=stored_codes,
                scale=scale if self.per_channel else scale[:1],
                bits=self.weight_bits,
                together=self.together(),
            ),
            "bias": Constant(values=bias.astype("float32"), codes=bias_codes.astype("int64")),
        }

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        y = self.product(inputs[0], constants["kernel"]) + constants["bias"]
        return mark("", apply_relu(y, self.activation), self.output_quantizer)

    def multiply_accumulates(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.output_shapes()) * self.terms()

    def weight_count(self) -> int:
        return int(np.prod(self.layer.kernel.shape)) + int(self.by_channel(self.kernel()).shape[-1])

    def get_config(self) -> dict[str, Any]:
        norm = self.batch_norm
        return super().get_config() | {
            "batch_norm": None if norm is None else keras.saving.serialize_keras_object(norm),
            "activation": self.activation,
            "weight_bits": self.weight_bits,
            "per_channel": self.per_channel,
            "product_dtype": self.product_dtype,
        }


def batch_norm_as_affine(norm: keras.layers.BatchNormalization) -> tuple[Tensor, Tensor]:
    """Gain and shift, each (channels,), that a batch norm applies in inference.

    Not `1 / sqrt(variance)`, which TensorFlow's graph optimizer turns into approximate operations of other bits.
    """
    variance = norm.moving_variance + norm.epsilon
    gain = square_root(variance) / variance
    if norm.gamma is not None:
        gain = norm.gamma * gain
    shift = settled(-norm.moving_mean * gain)
    return gain, shift if norm.beta is None else shift + norm.beta
