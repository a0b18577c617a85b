# SPDX-License-Identifier: Apache-2.0
"""The edges of the graph and the operations that add no range: same scale, identity, kept float."""

from collections.abc import Mapping
from typing import Any

import keras

from lowbit.quantizers import ActivationQuantizer, Mode, current_mode, record
from lowbit.quantizers.activation import TensorQuantizer
from lowbit.simulation.base import Mark, SimulatedLayer, Tensor, WrappingLayer, call_layer


@keras.saving.register_keras_serializable("lowbit")
class QuantizeInput(SimulatedLayer):
    """The QUANTIZE op at a float input of the file, or the int8 input itself."""

    is_edge = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def tensor_quantizer(self) -> ActivationQuantizer:
        return self.output_quantizer

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0]

    def is_exact(self) -> bool:
        return True

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if training or current_mode() is not Mode.SIMULATE:
            return super().call(inputs, training=training)
        codes = self.output_quantizer.input_codes(inputs)
        record(self.name, codes)
        return self.output_quantizer.to_real(codes)

    def restore(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0]


@keras.saving.register_keras_serializable("lowbit")
class SameScale(WrappingLayer):
    """Max pooling, padding, reshaping, transposing: codes move, the scale passes through."""

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return self.sources()[0] if self.sources() else None

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        output = self.layer(inputs)
        source = self.tensor_quantizer()
        if source is not None:
            record(self.name, source.centred(output) + source.parameters()[1])
        return output


@keras.saving.register_keras_serializable("lowbit")
class Identity(WrappingLayer):
    """Dropout and noise: active in training, no op in the file."""

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return self.sources()[0] if self.sources() else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if training and current_mode() is Mode.SIMULATE:
            return self.layer(inputs, training=True)
        return inputs

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        return inputs[0]


@keras.saving.register_keras_serializable("lowbit")
class KeptFloat(WrappingLayer):
    """A layer the integer runtime has no form for. Its output is quantized for the ops after it."""

    fate = "kept float"

    def __init__(self, *, reason: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")

    def tensor_quantizer(self) -> ActivationQuantizer:
        return self.output_quantizer

    def is_exact(self) -> bool:
        return False

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        return call_layer(self.layer, inputs, training=training)

    def rounded(self, output: Tensor) -> Tensor:
        """The file has a QUANTIZE behind such a layer."""
        return self.output_quantizer.input_codes(output)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"reason": self.reason}
