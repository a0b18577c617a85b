# SPDX-License-Identifier: Apache-2.0
"""Activations that are ops of their own: ReLU, and those whose range the runtime prescribes."""

from typing import Any

import keras
from keras import ops

from lowbit.quantizers import ActivationQuantizer, Mode, current_mode
from lowbit.quantizers.activation import TensorQuantizer, fixed_quantizer
from lowbit.simulation.base import SimulatedLayer, Tensor

_FUNCTIONS = {"relu": ops.relu, "softmax": ops.softmax, "sigmoid": ops.sigmoid, "tanh": ops.tanh}


@keras.saving.register_keras_serializable("lowbit")
class QuantizedActivation(SimulatedLayer):
    """RELU with a range from data; SOFTMAX, LOGISTIC and TANH with the runtime's fixed range.

    The runtime computes the exact function for each code and rounds it. At the output of the model a function of fixed
    range is not rounded while training: no weight can change that grid.
    """

    def __init__(self, *, activation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activation
        self.output_quantizer: TensorQuantizer
        if activation == "relu":
            self.output_quantizer = ActivationQuantizer(bits=self.activation_bits, name="output_quantizer")
        else:
            self.output_quantizer = fixed_quantizer(activation, self.activation_bits, "output_quantizer")

    @property
    def activation_name(self) -> str:
        return self.activation

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def tensor_quantizer(self) -> TensorQuantizer:
        return self.output_quantizer

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return _FUNCTIONS[self.activation](inputs[0])

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        return self.float_output(inputs)

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        scale, _ = self.source().parameters()
        return self.output_quantizer.to_codes(_FUNCTIONS[self.activation](centred[0] * scale))

    def call(self, inputs: Tensor, training: bool | None = False) -> Tensor:
        if training and self.is_output() and self.activation != "relu" and current_mode() is Mode.SIMULATE:
            return self.float_output([inputs])
        return super().call(inputs, training=training)

    def unrounded(self, output: Tensor) -> Tensor:
        """The function alone, on the KerasTensor that this layer takes; `output` is the one it makes."""
        (source,) = output._keras_history.operation._inbound_nodes[output._keras_history.node_index].input_tensors
        return output if self.activation == "relu" else keras.layers.Activation(self.activation)(source)

    def restore(self, inputs: list[Tensor]) -> Tensor:
        return keras.layers.Activation(self.activation, name=self.name)(inputs[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"activation": self.activation}
