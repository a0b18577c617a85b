# SPDX-License-Identifier: Apache-2.0
"""Primitive operations with an output range of their own, one they share, or one that the runtime prescribes."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.graph.primitives import FIXED_RANGE, PRIMITIVES, SAME_AS_OUTPUT
from lowbit.quantizers import Mode, WeightQuantizer, current_mode, integer
from lowbit.quantizers.fixed import fixed_quantizer
from lowbit.quantizers.relu import activation_codes, apply_relu
from lowbit.simulation.base import SimulatedLayer, Tensor
from lowbit.simulation.exported import Constant, Mark
from lowbit.simulation.integer_rules import RULES, Operand
from lowbit.simulation.products import product_in


@keras.saving.register_keras_serializable("lowbit")
class QuantizedOperation(SimulatedLayer):
    """One primitive as one op of the file [+ ReLU | ReLU6].

    Args:
        kind: a name of `graph.primitives.PRIMITIVES`, saved in capitals: Keras's .h5 reader takes "multiply" for a
            function.
        settings: its keyword arguments.
        operands: for each argument None where it is a tensor, or `{"shape", "trainable"}` where it is a weight or
            constant of this layer's own. Those are quantized per tensor, symmetric, 8 bits.
        activation: "linear", "relu" or "relu6", fused.
        product_dtype: "float16" or "bfloat16" for the matrix products of training steps, None for float32.
    """

    def __init__(
        self,
        *,
        kind: str,
        settings: Mapping[str, Any] | None = None,
        operands: Sequence[Mapping[str, Any] | None] = (None,),
        activation: str = "linear",
        product_dtype: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.product_dtype = product_dtype
        self.kind = kind.lower()
        self.settings = dict(settings or {})
        self.operands = [None if operand is None else dict(operand) for operand in operands]
        self.activation = activation
        self.shares_output_scale = self.kind in SAME_AS_OUTPUT
        self.has_float_form = self.kind == "relu" and bool(self.settings)
        if self.kind in FIXED_RANGE:
            names = [f"{self.name}_output" if use == 0 else f"{self.name}_output_{use}" for use in range(self.uses)]
            self.output_quantizers = [fixed_quantizer(self.kind, self.activation_bits, name) for name in names]
        else:
            self.output_quantizers = self.make_quantizers()
        self.parameters = [
            self.add_weight(shape=operand["shape"], trainable=operand["trainable"], name=f"operand_{position}")
            for position, operand in enumerate(self.operands)
            if operand is not None
        ]
        self.built = True

    def build(self, input_shape: Any) -> None:
        self.built = True

    @property
    def activation_name(self) -> str:
        """The function this layer is, for losses that look for a softmax or sigmoid at the output."""
        return self.kind

    def carried_weights(self) -> list[Any]:
        return list(self.parameters)

    def compute_output_shape(self, input_shape: Any) -> Any:
        several = isinstance(input_shape, list) or isinstance(input_shape[0], (list, tuple))
        symbols = [keras.KerasTensor(shape) for shape in (input_shape if several else [input_shape])]
        known = [keras.KerasTensor(parameter.shape) for parameter in self.parameters]
        return PRIMITIVES[self.kind](*self._arranged(symbols, known), **self.settings).shape

    def _arranged(self, tensors: Sequence[Any], parameters: Sequence[Any]) -> list[Any]:
        """Arguments in the primitive's order."""
        mine, theirs = iter(parameters), iter(tensors)
        return [next(theirs) if operand is None else next(mine) for operand in self.operands]

    def _apply(self, values: Sequence[Tensor]) -> Tensor:
        return PRIMITIVES[self.kind](*values, **self.settings)

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        values = self._arranged(inputs, [ops.convert_to_tensor(value) for value in self.parameters])
        return apply_relu(self._apply(values), self.activation)

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        on_grid = [_fake_quantized(value) if training else constant_grid(value)[2] for value in self.parameters]
        if self.kind == "rsqrt" and self.sources() and self.sources()[0] is not None:
            step = ops.stop_gradient(self.source().parameters()[0])
            inputs = [ops.maximum(inputs[0], step)]  # the op answers code 0 with its largest code, not infinity
        return product_in(self.product_dtype if training else None, self._apply, self._arranged(inputs, on_grid))

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        tensors = [Operand(values, self.source(i).parameters()[0]) for i, values in enumerate(centred)]
        constants = [Operand(*constant_grid(value)[:2]) for value in self.parameters]
        scale, zero_point = self.output_quantizer.parameters()
        codes = RULES[self.kind](self, self._arranged(tensors, constants), scale, zero_point)
        return integer.clamp(codes, *activation_codes(self.activation, scale, zero_point))

    def call(self, inputs: Any, training: bool | None = False, use: int = 0) -> Tensor:
        self.select(use)
        if training and self.is_output() and self.kind in FIXED_RANGE and current_mode() is Mode.SIMULATE:
            return self.float_output([inputs])  # no weight can change a prescribed grid
        return super().call(inputs, training=training, use=use)

    def unrounded(self, output: Tensor) -> Tensor:
        """The function alone, on the KerasTensor that this layer takes; `output` is the one it makes."""
        if self.kind not in FIXED_RANGE:
            return output
        number = output._keras_history.node_index
        (source,) = output._keras_history.operation._inbound_nodes[number].input_tensors
        # Named after this layer and its use: Keras's own name, "activation", may be that of a layer of the model.
        return keras.layers.Activation(self.kind, dtype="float32", name=f"{self.name}_unrounded_{number}")(source)

    def constants(self, integer: bool) -> dict[str, Constant]:
        if not integer:
            return {value.name: Constant(values=ops.convert_to_numpy(value)) for value in self.parameters}
        return {value.name: quantized_constant(value, self.activation_bits) for value in self.parameters}

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        values = self._arranged(inputs, [constants[value.name] for value in self.parameters])
        settings = self.settings
        if self.has_float_form and mark.integer:
            settings = {}  # the output's range ends at the maximum: codes saturate there
            values = [mark.apart(values[0])]  # one of another maximum is another tensor
        y = apply_relu(PRIMITIVES[self.kind](*values, **settings), self.activation)
        return mark("", y, self.output_quantizer)

    def multiply_accumulates(self) -> int:
        if self.kind != "matmul":
            return 0
        terms = [int(node.input_tensors[0].shape[-1]) for node in self._inbound_nodes]
        return sum(int(np.prod(shape)) * n for shape, n in zip(self.output_shapes(), terms, strict=True))

    def weight_count(self) -> int:
        return sum(int(np.prod(value.shape)) for value in self.parameters)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "kind": self.kind.upper(),
            "settings": self.settings,
            "operands": [None if operand is None else dict(operand) for operand in self.operands],
            "activation": self.activation,
            "product_dtype": self.product_dtype,
        }


def constant_grid(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """A constant quantized per tensor: centred codes, scale, real values on the grid."""
    quantizer = WeightQuantizer(bits=8)
    flat = ops.reshape(ops.convert_to_tensor(values), (-1, 1))
    scale = quantizer.scale(flat)
    codes = ops.reshape(quantizer.codes(flat, scale), values.shape)
    return codes, scale[0], codes * scale[0]


def _fake_quantized(values: Tensor) -> Tensor:
    """On the grid, with a gradient that passes."""
    values = ops.convert_to_tensor(values)
    return values + ops.stop_gradient(constant_grid(values)[2] - values)


def quantized_constant(values: Tensor, bits: int) -> Constant:
    """An operand in codes of 8 bits, stored in as many `bits` as the activations have."""
    codes, scale, on_grid = (ops.convert_to_numpy(v) for v in constant_grid(values))
    return Constant(values=on_grid, codes=codes.astype("int8"), scale=np.atleast_1d(scale), bits=bits, is_operand=True)
