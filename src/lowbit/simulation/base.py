# SPDX-License-Identifier: Apache-2.0
"""The layer all simulated layers derive from: which forward pass is computed when."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from lowbit.quantizers import ActivationQuantizer, Mode, current_mode, record
from lowbit.quantizers.relu import apply_relu
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.simulation.exported import Constant, Mark
from lowbit.simulation.links import Link, Links

Tensor = Any


class SimulatedLayer(keras.layers.Layer):
    """One operation of the file, with the quantizer of its output.

    Values between layers are real numbers in every mode; in inference they lie on the grid of the
    producing quantizer, so the codes are recovered from them exactly.

    A layer of the model that is called several times is one simulated layer with several uses: its weights are
    shared, each use has an output quantizer and links of its own. `select` says which use is spoken of.

    Args:
        activation_bits: 8 or 16.
        members: names of the model's own layers that this operation stands for.
        uses: how often it is called.
        symmetric: activation ranges centred on 0, zero point 0.
        is_learned: ranges are trained (`quantizers.learned`), those of activations and the scales of weights.
        origins: for each of `carried_weights`, the number of the model's own weight it stands for and the transpose
            that was applied to it, or None.
    """

    fate = "quantized"
    reason = ""
    is_edge = False
    activation = "linear"
    """What is fused behind the op: "linear", "relu" or "relu6"."""

    has_float_form = False
    """Whether the float file has other ops for it than the integer file."""

    passes_scale = False
    """Whether the output has the input's scale."""

    shares_output_scale = False
    """Whether all inputs must have the output's scale (concatenation)."""

    def __init__(
        self,
        *,
        activation_bits: int,
        members: Sequence[str] = (),
        uses: int = 1,
        symmetric: bool = False,
        is_learned: bool = False,
        origins: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.activation_bits = activation_bits
        self.members = tuple(members)
        self.uses = uses
        self.symmetric = symmetric
        self.is_learned = is_learned
        self.origins = [None if origin is None else list(origin) for origin in origins]
        self.supports_jit = keras.backend.backend() != "tensorflow"  # there XLA rounds otherwise than eager calls
        self.select(0)
        self._links = Links(uses)

    def select(self, use: int) -> None:
        """From now on `sources`, `tensor_quantizer` and names are those of this use, counted from 0."""
        self._use = use

    @property
    def _link(self) -> Link:
        return self._links.by_use[self._use]

    @property
    def tensor_name(self) -> str:
        """The name of the selected use's output tensor."""
        return self.name if self._use == 0 else f"{self.name}_use_{self._use + 1}"

    def link(
        self,
        sources: Sequence[TensorQuantizer | None],
        *,
        is_output: bool = False,
        shared: TensorQuantizer | None = None,
        is_one_tensor: bool = False,
    ) -> None:
        """Link the selected use.

        Args:
            sources: the quantizers the inputs come from, in order (None: float).
            is_output: whether it makes an output of the model.
            shared: a quantizer of another layer that takes the place of this one's own.
            is_one_tensor: whether there are several inputs and the file has one tensor for all of them.
        """
        self._links.by_use[self._use] = Link(sources, is_output, shared, is_one_tensor)
        if shared is not None and hasattr(self, "output_quantizers"):
            self.output_quantizers[self._use].trainable = False  # it has no part in anything

    def make_quantizers(self, name: str = "output", *, is_learned: bool | None = None) -> list[ActivationQuantizer]:
        """A quantizer with a range from data for each use; learned where the layer's ranges are, unless told."""
        return [
            ActivationQuantizer(
                bits=self.activation_bits,
                symmetric=self.symmetric,
                is_learned=self.is_learned if is_learned is None else is_learned,
                name=f"{self.name}_{name}" if use == 0 else f"{self.name}_{name}_{use}",
            )
            for use in range(self.uses)
        ]

    def is_output(self) -> bool:
        """Whether this layer makes an output of the model."""
        return self._link.is_output

    def takes_one_tensor_twice(self) -> bool:
        """Whether its inputs are one tensor of the file, as in `x * x`."""
        return self._link.is_one_tensor

    def sources(self) -> tuple[TensorQuantizer | None, ...]:
        return self._link.sources

    def source(self, position: int = 0) -> TensorQuantizer:
        """The quantizer of one input, where integer arithmetic needs it."""
        quantizer = self.sources()[position]
        if quantizer is None:
            raise ValueError(f"input {position} of {self.tensor_name!r} has no quantizer")
        return quantizer

    @property
    def output_quantizer(self) -> TensorQuantizer:
        """That of the selected use: its own, or the one it shares with others."""
        return self._link.shared or self.output_quantizers[self._use]

    def shared_quantizer(self) -> TensorQuantizer | None:
        """The quantizer of another layer that the selected use shares, if it does."""
        return self._link.shared

    def tensor_quantizer(self) -> TensorQuantizer | None:
        """The quantizer of the output tensor: its own, or its input's where the scale passes through."""
        return self.output_quantizer

    def own_quantizers(self) -> list[TensorQuantizer]:
        """Quantizers whose ranges belong to the selected use of this layer."""
        quantizer = self.tensor_quantizer()
        if quantizer is None or quantizer in self.sources() or self._link.shared is not None:
            return []
        return [quantizer]

    def carried_weights(self) -> list[Any]:
        """The variables that stand for weights of the model, in the order of `origins`."""
        return []

    def multiply_accumulates(self) -> int:
        """Products summed for one sample, over all uses."""
        return 0

    def weight_count(self) -> int:
        """Weights and biases of the file."""
        return 0

    def output_shapes(self) -> list[tuple[int, ...]]:
        """The output's shape for each use, without the batch axis."""
        return [tuple(node.output_tensors[0].shape[1:]) for node in self._inbound_nodes]

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        """The unquantized inference of the model's own layers."""
        raise NotImplementedError

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        """Float arithmetic on quantized weights, before the fused activation and the output quantizer."""
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

    def call(self, inputs: Tensor | list[Tensor], training: bool | None = False, use: int = 0) -> Tensor:
        self.select(use)
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        quantizer = self.tensor_quantizer()
        mode = current_mode()
        if mode is Mode.FLOAT or quantizer is None:
            return self.float_output(values)
        if mode is Mode.OBSERVE:
            return self.observed_output(values)
        if training:
            return self.trained_output(values)
        if self.is_exact():
            codes = self.integer_codes([self.source(i).centred(x) for i, x in enumerate(values)])
        else:
            codes = self.rounded(apply_relu(self.simulated_output(values, False), self.activation))
        record(self.tensor_name, codes)
        return quantizer.to_real(codes)

    def trained_output(self, inputs: list[Tensor]) -> Tensor:
        """Fake-quantized output of a training step; its range follows the data.

        A shared range follows the output of the layer that owns it; others only see to it that their values fit.
        """
        output = self.simulated_output(inputs, True)
        shared = self._link.shared
        if shared is None:
            return self.output_quantizer.train(output, self.activation)
        output = apply_relu(output, self.activation)
        shared.widen(output, only_first=not self.shares_output_scale)
        return shared.fake_quantize(output)

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        """Float output; its range is recorded by its quantizer, where that follows data."""
        output = self.float_output(inputs)
        if hasattr(self.output_quantizer, "observe"):
            self.output_quantizer.observe(output)
        return output

    def constants(self, integer: bool) -> dict[str, Constant]:
        """Constants of the exported op; with `integer` on the quantized grid."""
        return {}

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        """The op as the exported graph computes it, in float, each tensor marked."""
        return mark("", self.float_output(inputs), self.tensor_quantizer())

    def get_config(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "trainable": self.trainable,
            "activation_bits": self.activation_bits,
            "members": list(self.members),
            "uses": self.uses,
            "symmetric": self.symmetric,
            "is_learned": self.is_learned,
            "origins": self.origins,
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
        return self.layer(inputs if len(inputs) > 1 else inputs[0])

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "WrappingLayer":
        return cls(**{key: _revive(value) for key, value in config.items()})


def _revive(value: Any) -> Any:
    is_object = isinstance(value, dict) and "class_name" in value
    return keras.saving.deserialize_keras_object(value) if is_object else value
