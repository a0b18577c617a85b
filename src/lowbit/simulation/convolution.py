# SPDX-License-Identifier: Apache-2.0
"""Convolution, depthwise and transposed convolution, each one op of the file."""

from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from lowbit.simulation.base import Tensor
from lowbit.simulation.weighted import WeightedLayer


class Convolution(WeightedLayer):
    """What the two convolutions share; `convolve` is their operation."""

    convolve: Callable[..., Tensor]

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        conv = self.layer
        return self.convolve(
            x,
            kernel,
            strides=conv.strides,
            padding=conv.padding,
            data_format="channels_last",
            dilation_rate=conv.dilation_rate,
        )

    def runs_built_in(self) -> bool:
        return self.weight_bits == 4


@keras.saving.register_keras_serializable("lowbit")
class QuantizedConv2D(Convolution):
    """Conv2D [+ BatchNormalization] [+ ReLU | ReLU6] as LiteRT's CONV_2D."""

    convolve = staticmethod(ops.conv)


@keras.saving.register_keras_serializable("lowbit")
class QuantizedDepthwiseConv2D(Convolution):
    """DepthwiseConv2D [+ BatchNormalization] [+ ReLU | ReLU6] as DEPTHWISE_CONV_2D.

    The kernel (height, width, channels, multiplier) has channels x multiplier output channels.
    """

    convolve = staticmethod(ops.depthwise_conv)

    def terms(self) -> int:
        return int(np.prod(self.layer.kernel.shape[:2]))

    def by_channel(self, kernel: Tensor) -> Tensor:
        height, width, channels, multiplier = kernel.shape
        return ops.reshape(kernel, (height, width, channels * multiplier))

    def as_stored(self, kernel: Tensor) -> Tensor:
        return ops.reshape(kernel, self.layer.kernel.shape)


@keras.saving.register_keras_serializable("lowbit")
class QuantizedConv2DTranspose(WeightedLayer):
    """Conv2DTranspose [+ BatchNormalization] [+ ReLU | ReLU6] as TRANSPOSE_CONV.

    The kernel is (height, width, output channels, input channels).
    """

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        conv = self.layer
        return ops.conv_transpose(
            x,
            kernel,
            strides=conv.strides,
            padding=conv.padding,
            output_padding=conv.output_padding,
            data_format="channels_last",
        )

    def terms(self) -> int:
        height, width, _, channels = self.layer.kernel.shape
        return int(height * width * channels)

    def together(self) -> int:
        return int(self.layer.kernel.shape[-1])

    def by_channel(self, kernel: Tensor) -> Tensor:
        return ops.transpose(kernel, (0, 1, 3, 2))

    def as_stored(self, kernel: Tensor) -> Tensor:
        return ops.transpose(kernel, (0, 1, 3, 2))

    def built_in_half_up(self, channels: int) -> int:
        """It computes channels eight at a time, which round half up, and those left over half away from zero."""
        return channels // 8 * 8

    def runs_built_in(self) -> bool:
        """XNNPACK takes no strides beyond the kernel where the output is filled up to "same"."""
        sizes = zip(self.layer.kernel.shape[:2], self.layer.strides, strict=True)
        return self.layer.padding == "same" and any(stride > size for size, stride in sizes)

    def multiply_accumulates(self) -> int:
        """Each input element meets each kernel element of its channel."""
        inputs = [tuple(node.input_tensors[0].shape[1:]) for node in self._inbound_nodes]
        height, width, filters, _ = self.layer.kernel.shape
        return sum(int(np.prod(shape)) for shape in inputs) * int(height * width * filters)
