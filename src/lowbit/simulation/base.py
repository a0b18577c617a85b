# SPDX-License-Identifier: Apache-2.0
"""The layer all simulated layers derive from: which forward pass is computed when."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lowbit.quantizers import Mode, current_mode, record
from lowbit.quantizers.activation import TensorQuantizer

Tensor = Any
Mark = Callable[[str, Tensor, TensorQuantizer | None], Tensor]
"""`mark(suffix, tensor, quantizer)` declares a tensor of the exported graph and returns it."""


@dataclass(frozen=True, kw_only=True)
class Constant:
    """A constant of the exported graph.

    `values` are float32; for an integer file they are `codes x scale` and `scale` has one entry
    for each channel of the last axis. A bias has `codes` only: its scale follows from the op.
    """

    values: np.ndarray
    codes: np.ndarray | None = None
    scale: np.ndarray | None = None
    bits: int | None = None


class _Link:
    """Holds quantizers of other layers where Keras does not track them as this layer's own."""

    def __init__(self, sources: Sequence[TensorQuantizer | None], is_output: bool = False) -> None:
        self.sources = tuple(sources)
        self.is_output = is_output


class SimulatedLayer(keras.layers.Layer):
    """One operation of the file, with the quantizer of its output.

    Values between layers are real numbers in every mode; in inference they lie on the grid of the
    producing quantizer, so the codes are recovered from them exactly.

    Args:
        activation_bits: 8 or 16.
        members: names of the model's own layers that this operation stands for.
    """

    fate = "quantized"
    reason = ""
    is_edge = False

    def __init__(self, *, activation_bits: int, members: Sequence[str] = (), **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.activation_bits = activation_bits
        self.members = tuple(members)
        self.supports_jit = False
        self._link = _Link(())

    def link(self, sources: Sequence[TensorQuantizer | None], *, is_output: bool = False) -> None:
        """Say which quantizers the inputs come from, in order (None: float), and whether this is an output."""
        self._link = _Link(sources, is_output)

    def is_output(self) -> bool:
        """Whether this layer makes an output of the model."""
        return self._link.is_output

    def sources(self) -> tuple[TensorQuantizer | None, ...]:
        return self._link.sources

    def source(self, position: int = 0) -> TensorQuantizer:
        """The quantizer of one input, where integer arithmetic needs it."""
        quantizer = self.sources()[position]
        if quantizer is None:
            raise ValueError(f"input {position} of {self.name!r} has no quantizer")
        return quantizer

    def tensor_quantizer(self) -> TensorQuantizer | None:
        """The quantizer of the output tensor: its own, or its input's where the scale passes through."""
        raise NotImplementedError

    def own_quantizers(self) -> list[TensorQuantizer]:
        """Quantizers whose ranges belong to this layer."""
        quantizer = self.tensor_quantizer()
        return [] if quantizer is None or quantizer in self.sources() else [quantizer]

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        """The unquantized inference of the model's own layers."""
        raise NotImplementedError

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        """Float arithmetic on quantized weights, before the output quantizer."""
        return self.float_output(inputs)

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        """The runtime's integer arithmetic: input codes - zero points -> output codes."""
        raise NotImplementedError

    def rounded(self, output: Tensor) -> Tensor:
        """Codes of a float output, where the layer is not computed in integers."""
        quantizer = self.tensor_quantizer()
        if quantizer is None:
            raise ValueError(f"{self.name!r} has no quantizer")
        return quantizer.to_codes(output)

    def is_exact(self) -> bool:
        """Whether inference is computed in the runtime's integers."""
        return self.activation_bits == 8 and all(source is not None for source in self.sources())

    def call(self, inputs: Tensor | list[Tensor], training: bool | None = False) -> Tensor:
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        quantizer = self.tensor_quantizer()
        mode = current_mode()
        if mode is Mode.FLOAT or quantizer is None:
            return self.float_output(values)
        if mode is Mode.OBSERVE:
            return self.observed_output(values)
        if training:
            return quantizer.fake_quantize(self.simulated_output(values, True), training=True)
        if self.is_exact():
            codes = self.integer_codes([self.source(i).centred(x) for i, x in enumerate(values)])
        else:
            codes = self.rounded(self.simulated_output(values, False))
        record(self.name, codes)
        return quantizer.to_real(codes)

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        """Float output; its range is recorded by the layer's own quantizer, where it has one."""
        output = self.float_output(inputs)
        for quantizer in self.own_quantizers():
            if hasattr(quantizer, "observe"):
                quantizer.observe(output)
        return output

    def constants(self, integer: bool) -> dict[str, Constant]:
        """Constants of the exported op; with `integer` on the quantized grid."""
        return {}

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        """The op as the exported graph computes it, in float, each tensor marked."""
        return mark("", self.float_output(inputs), self.tensor_quantizer())

    def restore(self, inputs: list[Tensor]) -> Tensor:
        """Plain Keras layers with this layer's weights, called on KerasTensors (see `strip`)."""
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "activation_bits": self.activation_bits,
            "members": list(self.members),
        }


class WrappingLayer(SimulatedLayer):
    """A simulated layer that computes with a copy of one of the model's own layers."""

    def __init__(self, *, layer: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        several = isinstance(input_shape, list) or isinstance(input_shape[0], (list, tuple))
        tensors = [keras.KerasTensor(shape) for shape in (input_shape if several else [input_shape])]
        # Traces the layer's call where the layer, a user's own say, does not compute its output shape.
        return self.layer.compute_output_spec(tensors if several else tensors[0]).shape

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return call_layer(self.layer, inputs, training=False)

    def restore(self, inputs: list[Tensor]) -> Tensor:
        return copy_layer(self.layer)(inputs if len(inputs) > 1 else inputs[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WrappingLayer":
        return cls(**{key: _revive(value) for key, value in config.items()})


def _revive(value: Any) -> Any:
    is_object = isinstance(value, dict) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if is_object else value


def call_layer(layer: keras.layers.Layer, inputs: list[Tensor], *, training: bool) -> Tensor:
    """Call a Keras layer on one or several tensors, with `training` where its call takes it."""
    values = inputs if len(inputs) > 1 else inputs[0]
    if "training" in inspect.signature(layer.call).parameters:
        return layer(values, training=training)
    return layer(values)


def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A new layer with the same configuration, name and weights."""
    copy = type(layer).from_config(layer.get_config())
    if layer.weights:
        copy.build_from_config(layer.get_build_config())
        copy.set_weights(layer.get_weights())
    return copy
