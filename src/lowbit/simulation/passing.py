# SPDX-License-Identifier: Apache-2.0
"""The edges between float and integers, and what is no integer op: dropout and noise, layers kept float."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from lowbit.graph import Slot, output_spec
from lowbit.quantizers import Mode, current_mode, record
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.simulation import float_work
from lowbit.simulation.base import SimulatedLayer, Tensor, WrappingLayer
from lowbit.simulation.exported import Mark


class PutIn(SimulatedLayer):
    """A QUANTIZE op, which litert-quantizer puts into the integer file; the float file has nothing there."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0]

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        return inputs[0]

    def put_in_codes(self, inputs: Tensor) -> Tensor:
        """The op's codes, for real values."""
        raise NotImplementedError

    def call(self, inputs: Tensor, training: bool | None = False, use: int = 0) -> Tensor:
        if training or current_mode() is not Mode.SIMULATE:
            return super().call(inputs, training=training, use=use)
        codes = self.put_in_codes(inputs)
        record(self.tensor_name, codes)
        return self.output_quantizer.to_real(codes)

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        """Its input is a tensor with a name already."""
        return inputs[0]


@keras.saving.register_keras_serializable("lowbit")
class QuantizeInput(PutIn):
    """The QUANTIZE op behind a float tensor: an input of the file, or what a layer kept float computes.

    At an input of an int8 file it is the input itself.
    """

    is_edge = True

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_quantizers = self.make_quantizers()
        self.built = True

    def put_in_codes(self, inputs: Tensor) -> Tensor:
        return self.output_quantizer.input_codes(inputs)


@keras.saving.register_keras_serializable("lowbit")
class Identity(WrappingLayer):
    """Dropout and noise: active in training, no op in the file."""

    passes_scale = True

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return self.sources()[0] if self.sources() else None

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def call(self, inputs: Tensor, training: bool | None = False, use: int = 0) -> Tensor:
        self.select(use)
        if training and current_mode() is Mode.SIMULATE:
            return self.layer(inputs, training=True)
        return inputs

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        return inputs[0]


@keras.saving.register_keras_serializable("lowbit")
class KeptFloat(WrappingLayer):
    """A layer or bare operation that the integer runtime has no form for.

    Args:
        layer: the layer or operation.
        arguments: `(args, kwargs)` of each call, in a list, with a `Slot` (or `{"slot": position}`) in place of each
            tensor. One alone is that of all calls. Of several outputs a third entry says which one is used.
        reason: why it stays float.
    """

    fate = "kept float"

    def __init__(self, *, reason: str = "", arguments: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.reason = reason
        calls = arguments if isinstance(arguments, list) else [((Slot(0),), {}) if arguments is None else arguments]
        self.arguments = [_slots_written(call) for call in (calls * self.uses if len(calls) == 1 else calls)]

    def build(self, input_shape: Any) -> None:
        self.built = True

    def compute_output_spec(self, inputs: Any, training: bool | None = False, use: int = 0) -> Any:
        self.select(use)
        args, kwargs, pick = self._filled(list(inputs) if isinstance(inputs, (list, tuple)) else [inputs])
        # Traces the layer's call where the layer, a user's own say, does not compute its output shape.
        made = _picked(output_spec(self.layer, *args, **kwargs), pick)
        return keras.KerasTensor(made.shape, dtype=self.compute_dtype)

    def _filled(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any], int | None]:
        def fill(value: Any) -> Any:
            if isinstance(value, list):
                return [fill(one) for one in value]
            if not isinstance(value, dict):
                return value
            match value:
                case {"slot": position}:
                    return inputs[position]
                case {"array": values, "dtype": dtype}:
                    return np.asarray(values, dtype=dtype)
                case {"slice": bounds}:
                    return slice(*bounds)
                case {"tuple": values}:
                    return tuple(fill(one) for one in values)
            return {key: fill(one) for key, one in value.items()}

        args, kwargs, *pick = fill(self.arguments[self._use])
        return args, kwargs, pick[0] if pick else None

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return None

    def carried_weights(self) -> list[Any]:
        return list(getattr(self.layer, "weights", []))

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return self._applied(inputs, False)

    def call(self, inputs: Any, training: bool | None = False, use: int = 0) -> Tensor:
        self.select(use)
        values = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        return self._applied(values, bool(training) and current_mode() is Mode.SIMULATE)

    def _applied(self, inputs: Sequence[Tensor], training: bool) -> Tensor:
        args, kwargs, pick = self._filled(inputs)
        if "training" in inspect.signature(self.layer.call).parameters:
            kwargs = {**kwargs, "training": training}
        return _picked(self.layer(*args, **kwargs), pick)

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        return mark("", self.float_output(inputs), None)

    def multiply_accumulates(self) -> int:
        return sum(
            float_work.multiply_accumulates(self.layer, node.input_tensors[0].shape[1:], shape)
            for node, shape in zip(self._inbound_nodes, self.output_shapes(), strict=True)
        )

    def weight_count(self) -> int:
        return float_work.weight_count(self.layer)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"reason": self.reason, "arguments": self.arguments}


def _picked(outputs: Any, pick: int | None) -> Any:
    return outputs if pick is None else tree.flatten(outputs)[pick]


def _slots_written(arguments: Any) -> Any:
    """Lists and dicts that JSON can hold: a slot becomes `{"slot": position}`; tuples, slices and arrays likewise."""

    def written(value: Any) -> Any:
        if isinstance(value, Slot):
            return {"slot": value.tensor}
        if isinstance(value, Mapping):
            return {key: written(one) for key, one in value.items()}
        if isinstance(value, tuple):
            return {"tuple": [written(one) for one in value]}
        if isinstance(value, list):
            return [written(one) for one in value]
        if isinstance(value, slice):
            return {"slice": [value.start, value.stop, value.step]}
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        array = np.asarray(ops.convert_to_numpy(value))
        return {"array": array.tolist(), "dtype": str(array.dtype)}

    return written(arguments)
