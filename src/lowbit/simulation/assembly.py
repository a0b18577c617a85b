# SPDX-License-Identifier: Apache-2.0
"""Fused steps -> simulated layers, called on one another: the simulation's graph."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import tree

from lowbit.errors import UnsupportedError
from lowbit.graph import Builder, FlatGraph, Parameter, Step
from lowbit.graph.primitives import FIXED_RANGE, SAME_AS_INPUT, SAME_AS_OUTPUT
from lowbit.simulation.base import SimulatedLayer
from lowbit.simulation.batch_norm import QuantizedBatchNorm
from lowbit.simulation.convolution import QuantizedConv2D, QuantizedConv2DTranspose, QuantizedDepthwiseConv2D
from lowbit.simulation.copies import copied, held
from lowbit.simulation.dense import QuantizedDense
from lowbit.simulation.embedding import QuantizedEmbedding
from lowbit.simulation.model import Simulation
from lowbit.simulation.moving import ONLY_MOVING, SameScale
from lowbit.simulation.operations import QuantizedOperation
from lowbit.simulation.passing import Identity, KeptFloat, QuantizeInput
from lowbit.simulation.products import ProductDtypes
from lowbit.simulation.requantizing import Requantize
from lowbit.spec import LayerSetting, Spec, output_setting

WEIGHTED: Mapping[str, type[SimulatedLayer]] = {
    "conv2d": QuantizedConv2D,
    "depthwise": QuantizedDepthwiseConv2D,
    "transposed_conv": QuantizedConv2DTranspose,
    "dense": QuantizedDense,
}


class Assembly:
    """Makes the simulation of a model, once, from its steps."""

    def __init__(
        self,
        graph: FlatGraph,
        builder: Builder,
        steps: Sequence[Step],
        settings: Mapping[str, LayerSetting],
        spec: Spec,
        model: keras.Model,
        is_learned: bool,
    ) -> None:
        self.graph, self.builder, self.steps, self.settings, self.spec = graph, builder, steps, settings, spec
        self.name, self.is_learned = model.name, is_learned
        self.product_dtypes = ProductDtypes(model)
        self.numbers = {id(weight): number for number, weight in enumerate(model.weights)}
        self.uses = Counter(step.owner for step in steps if step.owner is not None)
        self.arguments: dict[Any, list[Any]] = {}
        for step in steps:
            if step.kind == "float":
                self.arguments.setdefault(step.owner, []).append(step.settings["arguments"])
        self.names = {step.name for step in steps} | set(graph.input_names)
        self.layers: dict[Any, SimulatedLayer] = {}
        self.calls: Counter[Any] = Counter()
        self.rescaled: dict[int, Any] = {}
        self.requantized: dict[int, Any] = {}
        self.integer: dict[int, Any] = {}
        self.floating: dict[int, Any] = {}
        self.needed = _read_in_integers(steps, graph, builder)

    def simulation(self) -> Simulation:
        """Not yet linked."""
        inputs = {}
        for number, name in zip(self.graph.inputs, self.graph.input_names, strict=True):
            shape, dtype = self.graph.shapes[number], self.graph.dtypes[number]
            is_whole = dtype.startswith(("int", "uint"))
            inputs[number] = keras.Input(shape[1:], name=name, dtype="int32" if is_whole else "float32")
            self.floating[number] = inputs[number]
        for step in self.steps:
            self._place(step)
        outputs = {number: self._output(self.builder.bound[number]) for number in self.graph.outputs}
        return Simulation(
            tree.map_structure(lambda number: inputs[number], self.graph.input_structure),
            tree.map_structure(lambda number: outputs[number], self.graph.output_structure),
            name=self.name,
        )

    def _output(self, tensor: int) -> Any:
        return self.integer[tensor] if tensor in self.integer else self.floating[tensor]

    def _place(self, step: Step) -> None:
        """Call the step's layer on its inputs; float where all its inputs are and it computes nothing."""
        stays_float = (
            step.kind in ("float", "embedding")
            or (step.kind == "identity" and step.inputs[0] not in self.integer)
            or (step.kind in ONLY_MOVING and step.inputs[0] in self.floating and step.output not in self.needed)
        )
        bits = self._bits(step)
        if stays_float:
            values = [self._as_it_is(tensor) for tensor in step.tensors]
        elif step.kind == "identity":
            values = [self.integer[tensor] for tensor in step.tensors]
        else:
            values = [self._quantized(tensor, bits) for tensor in step.tensors]
        if step.kind in SAME_AS_OUTPUT:
            values = [self._with_free_scale(value, bits) for value in values]
        layer, use = self._layer(step)
        made = layer(values if len(values) > 1 else values[0], **({"use": use} if use else {}))
        makes_float = stays_float and step.kind != "embedding"
        (self.floating if makes_float else self.integer)[step.output] = made

    def _bits(self, step: Step) -> int:
        return self._output_setting(step)[0]

    def _output_setting(self, step: Step) -> tuple[int, bool]:
        """Bits, and whether the zero point is 0."""
        settings = [self.settings[member] for member in step.members]
        return output_setting(settings) if settings else (self.spec.activations, self.spec.activations == 16)

    def _as_it_is(self, tensor: int) -> Any:
        return self.floating[tensor] if tensor in self.floating else self.integer[tensor]

    def _quantized(self, tensor: int, bits: int) -> Any:
        """A tensor of codes of these bits; one of other bits or in float gets a QUANTIZE op behind it, once."""
        if tensor not in self.integer:
            source = self.floating[tensor]
            if not str(source.dtype).startswith("float"):
                raise UnsupportedError(
                    received=f"whole numbers ({self.builder.dtypes[tensor]}) from {source.name!r} in arithmetic",
                    expected="whole numbers as indices of an Embedding only",
                    mend="make the input float32 (keras.Input(..., dtype='float32'))",
                )
            name = self._own(f"{_name(source)}_quantized")
            layer = QuantizeInput(activation_bits=bits, is_learned=self.is_learned, name=name)
            self.integer[tensor] = layer(source)
        return self._requantized(self.integer[tensor], bits)

    def _requantized(self, tensor: Any, bits: int) -> Any:
        made = _behind(tensor, Identity)  # which is no op of the file
        maker = made._keras_history.operation
        if maker.activation_bits == bits:
            return tensor
        if isinstance(maker, QuantizeInput):
            raise UnsupportedError(
                received=f"{maker.name.removesuffix('_quantized')!r}, in float, read by layers of 8 and of 16 bits",
                expected="one number of bits for what is read in float",
                mend="give all layers that read it the same bits (lowbit.Rule)",
            )
        if id(made) not in self.requantized:
            name = self._own(f"{_name(made)}_quantized")
            self.requantized[id(made)] = Requantize(activation_bits=bits, name=name)(made)
        return self.requantized[id(made)]

    def _with_free_scale(self, tensor: Any, bits: int) -> Any:
        """A tensor that can take the scale of others: one of a prescribed range is multiplied by 1 first."""
        maker = _behind(tensor, SimulatedLayer)._keras_history.operation
        if getattr(maker, "kind", None) not in FIXED_RANGE and not isinstance(maker, Requantize):
            return tensor
        if id(tensor) not in self.rescaled:
            operands = [None, {"shape": [1], "trainable": False}]
            name = self._own(f"{_name(tensor)}_rescaled")
            common: dict[str, Any] = {"name": name, "activation_bits": bits, "is_learned": self.is_learned}
            layer = QuantizedOperation(kind="multiply", operands=operands, **common)
            layer.parameters[0].assign([1.0])
            self.rescaled[id(tensor)] = layer(tensor)
        return self.rescaled[id(tensor)]

    def _own(self, name: str) -> str:
        """A name for what the file has besides the model's layers; UnsupportedError where one of those has it."""
        if name in self.names:
            raise UnsupportedError(
                received=f"a layer named {name!r}",
                expected="other names, as the file has a tensor of its own of that name",
                mend="rename the layer",
            )
        self.names.add(name)
        return name

    def _layer(self, step: Step) -> tuple[SimulatedLayer, int]:
        """The step's layer, made at its first use, and which use this is."""
        key = step.owner if step.owner is not None else step.output
        if key not in self.layers:
            self.layers[key] = self._made(step)
            for number in range(1, self.layers[key].uses):
                self._own(f"{step.name}_use_{number + 1}")
        use = self.calls[key]
        self.calls[key] += 1
        return self.layers[key], use

    def _made(self, step: Step) -> SimulatedLayer:
        setting = self.settings[step.node.path] if step.node is not None else None
        bits, is_symmetric = self._output_setting(step)
        common: dict[str, Any] = {
            "name": step.name,
            "activation_bits": bits,
            "symmetric": is_symmetric and bits == 8,
            "is_learned": self.is_learned,
            "members": step.members,
            "uses": self.uses[step.owner] if step.owner is not None else 1,
        }
        if step.kind == "float":
            layer = copied(step.layer)
            originals = getattr(step.layer, "weights", [])
            origins = [self._origin(Parameter(source=weight)) for weight in originals]
            arguments = self.arguments[step.owner]
            return KeptFloat(layer=layer, reason=step.reason, arguments=arguments, origins=origins, **common)
        if step.kind == "identity":
            layer = step.node.operation if step.node is not None and step.settings.get("in_training") else None
            is_layer = isinstance(layer, keras.layers.Layer)
            return Identity(layer=copied(layer) if is_layer else keras.layers.Identity(dtype="float32"), **common)
        if step.kind in SAME_AS_INPUT:
            return SameScale(kind=step.kind, settings=step.settings, **common)
        if step.layer is not None:
            return self._weighted(step, setting, common)
        return self._operation(step, common)

    def _weighted(self, step: Step, setting: LayerSetting | None, common: dict[str, Any]) -> SimulatedLayer:
        holder = held(step, self.builder.shape(step.tensors[0]))
        norm = step.batch_norm
        origins = [self._origin(one) for one in (*step.weights, *(norm.weights if norm is not None else ()))]
        common |= {"layer": holder, "origins": origins}
        if step.kind == "embedding":
            return QuantizedEmbedding(**common)
        if step.kind == "batch_norm":
            return QuantizedBatchNorm(activation=step.activation, **common)
        bits = setting.weights if setting is not None and setting.weights is not None else None
        if bits == 4 and step.kind == "transposed_conv":
            raise UnsupportedError(
                received=f"4-bit weights for the transposed convolution {step.name!r}",
                expected="8 bits, as LiteRT does not open a file with less there",
                mend="leave it out of the rule, or add a later one with weights=8",
            )
        if bits is None:
            bits = 8 if step.kind in ("depthwise", "transposed_conv") else self.spec.weights
        return WEIGHTED[step.kind](
            batch_norm=None if norm is None else held(norm, self.builder.shape(norm.tensors[0])),
            activation=step.activation,
            weight_bits=bits,
            per_channel=setting.per_channel if setting is not None else True,
            product_dtype=self._product_dtype(step),
            **common,
        )

    def _operation(self, step: Step, common: dict[str, Any]) -> SimulatedLayer:
        operands = [
            {"shape": list(one.array().shape), "trainable": one.trainable} if isinstance(one, Parameter) else None
            for one in step.inputs
        ]
        given = [one for one in step.inputs if isinstance(one, Parameter)]
        layer = QuantizedOperation(
            kind=step.kind,
            settings=step.settings,
            operands=operands,
            activation=step.activation,
            product_dtype=self._product_dtype(step) if step.kind == "matmul" else None,
            origins=[self._origin(one) for one in given],
            **common,
        )
        for variable, parameter in zip(layer.parameters, given, strict=True):
            variable.assign(parameter.array())
        return layer

    def _product_dtype(self, step: Step) -> str | None:
        return self.product_dtypes.of(None if step.node is None else step.node.operation)

    def _origin(self, parameter: Parameter) -> list[Any] | None:
        """The number of the model's weight that a parameter is, and its transpose; None for a constant."""
        number = self.numbers.get(id(parameter.source))
        return None if number is None else [number, None if parameter.axes is None else list(parameter.axes)]


def _read_in_integers(steps: Sequence[Step], graph: FlatGraph, builder: Builder) -> set[int]:
    """Tensors that integer operations, or the model's outputs, depend on through nothing but moved values.

    A float tensor that is only moved and then read in float stays so: the converter joins what moves it with the moves
    of the float operation, and no tensor is left that could be quantized.
    """
    needed = {builder.bound[number] for number in graph.outputs}
    for step in reversed(steps):
        passes_on = step.kind == "identity" or step.kind in ONLY_MOVING
        if step.kind not in ("float", "embedding") and (not passes_on or step.output in needed):
            needed.update(step.tensors)
    return needed


def _behind(tensor: Any, kind: type[SimulatedLayer]) -> Any:
    """The tensor whose codes this one has: back through layers of a kind that pass scales on."""
    while isinstance(layer := tensor._keras_history.operation, kind) and layer.passes_scale:
        tensor = layer._inbound_nodes[tensor._keras_history.node_index].input_tensors[0]
    return tensor


def _name(tensor: Any) -> str:
    """The name that a tensor has in the file."""
    layer, node = tensor._keras_history.operation, tensor._keras_history.node_index
    if not isinstance(layer, SimulatedLayer):
        return str(tensor.name)
    layer.select(layer._inbound_nodes[node].arguments.kwargs.get("use", 0))
    return layer.tensor_name
