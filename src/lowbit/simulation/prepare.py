# SPDX-License-Identifier: Apache-2.0
"""Any Keras model -> its quantized simulation, with quantizers where LiteRT has tensors."""

import json
import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError, UnsupportedError
from lowbit.graph import FlatGraph, Node, flatten, fuse, is_leaf, lower
from lowbit.simulation.assembly import Assembly
from lowbit.simulation.calibrate import calibrate
from lowbit.simulation.float_model import check_is_float, check_is_not_empty
from lowbit.simulation.model import Simulation, require_model
from lowbit.spec import LayerSetting, LayerView, Rule, Spec, resolve

RANGES = ("tracked", "learned")


def quantize_model(
    model: keras.Model,
    spec: Spec | str = "w8a8",
    *,
    rules: Iterable[Rule] = (),
    calibration: Iterable[Any] | None = None,
    input_shape: Any = None,
    ranges: str = "tracked",
) -> Simulation:
    """The quantized simulation of a float model; fit it and it is quantization-aware training.

    Args:
        model: functional, sequential, nested or subclassed; it is not changed, its weights are copied.
        spec: bits, such as "w8a8" or "w4a8". With 4 bits, depthwise kernels keep 8 unless a rule says otherwise
            (4-bit depthwise kernels run slower and LiteRT's policy leaves them out).
        rules: settings for single layers (`lowbit.Rule`); later ones win.
        calibration: batches that set the activation ranges (see `calibrate`). Without them the
            first training batch does.
        input_shape: sizes in place of the model's own where those are free (None), without the batch axis; a dict by
            input name for several inputs.
        ranges: what becomes of them in training. "tracked": those of activations follow the values of each batch
            (moving average), those of weights their largest. "learned": both are trained by their gradients, from where
            calibration and the least squared error put them (`lowbit.quantizers.learned`).

    Raises:
        UnsupportedError: the model cannot be traced, or is a simulation already.
        InputError: weights that are not finite, free sizes without `input_shape` or one that does not fit, an unknown
            spec, a rule that matches nothing.
    """
    simulation, _ = simulated(model, Spec.parse(spec), rules, input_shape, ranges)
    if calibration is not None:
        calibrate(simulation, calibration)
    return simulation


def float_form(model: keras.Model, input_shape: Any = None) -> Simulation:
    """What the float32 file is made of; as `quantize_model`, but for operations that float kernels compute as they are.

    Raises what `quantize_model` raises.
    """
    return simulated(model, Spec(), (), input_shape, for_float=True)[0]


def simulated(
    model: keras.Model,
    spec: Spec,
    rules: Iterable[Rule],
    input_shape: Any,
    ranges: str = "tracked",
    *,
    for_float: bool = False,
) -> tuple[Simulation, FlatGraph]:
    """The simulation, not calibrated, and the flat graph it was made from; `for_float` makes a `float_form`."""
    if ranges not in RANGES:
        raise InputError(
            received=f"ranges={ranges!r}", expected=f"one of {', '.join(RANGES)}", mend="choose one of these"
        )
    require_model(model, keras.Model, "a Keras model")
    if isinstance(model, Simulation):
        raise UnsupportedError(
            received=f"the simulation {model.name!r}", expected="a float model", mend="pass lowbit.strip(sim) instead"
        )
    check_is_float(model)
    _check_input_shape(model, input_shape)
    graph = flatten(model, input_shape=input_shape, is_leaf=is_leaf)
    _check_is_for_one(input_shape, graph.input_names)  # a subclassed model's inputs are known only now
    _check_inputs(graph)
    check_is_not_empty(graph)
    settings = _settings(graph, spec, rules)
    spec = Spec(weights=spec.weights, activations=_activation_bits(settings, spec))

    def kept_float(node: Node) -> str | None:
        return "a rule keeps it float" if settings[node.path].keep_float else None

    builder = lower(graph, kept_float, for_float=for_float)
    outputs = [builder.bound[tensor] for tensor in graph.outputs]
    steps = fuse(builder.steps, outputs)
    simulation = Assembly(graph, builder, steps, settings, spec, model, ranges == "learned").simulation()
    return simulation.connect(spec, _configuration(model), getattr(model, "output_names", None)), graph


def _settings(graph: FlatGraph, spec: Spec, rules: Iterable[Rule]) -> dict[str, LayerSetting]:
    views = [
        LayerView(
            name=node.name,
            layer_type=type(node.operation).__name__,
            path=node.path,
            weight_count=sum(int(np.prod(weight.shape)) for weight in getattr(node.operation, "weights", ())),
        )
        for node in graph.nodes
    ]
    return resolve(spec, rules, list({view.path: view for view in views}.values()))


def _activation_bits(settings: dict[str, LayerSetting], spec: Spec) -> int:
    """The bits of all activations, or the spec's where rules make them differ."""
    bits = {setting.activations for setting in settings.values() if not setting.keep_float}
    return bits.pop() if len(bits) == 1 else spec.activations


def _configuration(model: keras.Model) -> str | None:
    """What the model can be made from again, for `strip`; None where it does not say."""
    try:
        return json.dumps(keras.saving.serialize_keras_object(model))
    except (NotImplementedError, TypeError, ValueError):
        return None


def _check_input_shape(model: keras.Model, input_shape: Any) -> None:
    if input_shape is None:
        return
    own = {tensor.name: tuple(tensor.shape[1:]) for tensor in getattr(model, "inputs", None) or ()}
    _check_is_for_one(input_shape, list(own))
    given = input_shape if isinstance(input_shape, Mapping) else {next(iter(own), "input"): input_shape}
    for name, shape in given.items():
        wanted = own.get(name)
        if own and wanted is None:
            raise InputError(
                received=f"input_shape for {name!r}", expected=f"inputs {sorted(own)}", mend="name one of the inputs"
            )
        sizes = _sizes(shape)
        is_of_rank = sizes is not None and (wanted is None or len(sizes) == len(wanted))
        if not is_of_rank or any(
            want not in (None, size) for want, size in zip(wanted or (), sizes or (), strict=False)
        ):
            raise InputError(
                received=f"input_shape {shape!r} for input {name!r}",
                expected="whole sizes from 1, without the batch axis" + (f", that fit {wanted}" if wanted else ""),
                mend="pass for example input_shape=(224, 224, 3)",
            )


def _check_is_for_one(input_shape: Any, names: Sequence[str]) -> None:
    """Sizes without a name would be those of the first of several inputs, and of no other."""
    if input_shape is not None and not isinstance(input_shape, Mapping) and len(names) > 1:
        raise InputError(
            received=f"input_shape {input_shape!r} for the inputs {', '.join(map(repr, names))}",
            expected="sizes for each by its name",
            mend="pass input_shape={" + ", ".join(f"{name!r}: (...)" for name in names) + "}",
        )


def _sizes(shape: Any) -> tuple[int, ...] | None:
    """The sizes; None where they are not whole numbers from 1."""
    try:
        sizes = tuple(operator.index(size) for size in shape)
    except TypeError:
        return None
    return sizes if all(size > 0 for size in sizes) else None


def _check_inputs(graph: FlatGraph) -> None:
    for tensor, name in zip(graph.inputs, graph.input_names, strict=True):
        shape, dtype = graph.shapes[tensor], graph.dtypes[tensor]
        if not dtype.startswith(("float", "bfloat", "int", "uint")):
            raise UnsupportedError(
                received=f"input {name!r} of type {dtype}",
                expected="numbers",
                mend="turn them into numbers before the model",
            )
        if any(size is None for size in shape[1:]):
            raise InputError(
                received=f"input {name!r} with the free shape {shape[1:]}",
                expected="sizes that are known, as a LiteRT file has fixed ones",
                mend="give the shape it will run at: --input-shape 224,224,3, input_shape=(224, 224, 3) in Python, "
                "or build the model with keras.Input of that shape",
            )
