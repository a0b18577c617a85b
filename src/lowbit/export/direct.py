# SPDX-License-Identifier: Apache-2.0
"""A Keras model -> float `.tflite` by TensorFlow's converter alone, for models that no simulation can be made of.

Control flow on values, and float layers with several outputs, are known to TensorFlow's tracing only. Such a file has
no named tensors inside, so it serves the forms that need none: float32, float16, dynamic range, weight-only.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree
from tensorflow.lite.python.convert_phase import ConverterError

from lowbit.errors import ExportError, InputError
from lowbit.export import refused
from lowbit.runtime import flatbuffer

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_INPUT, _OUTPUT = "input_{:03}", "output_{:03}"  # TensorFlow sorts arguments and outputs by name


def convert(model: keras.Model, input_shape: Any = None) -> bytes:
    """The float32 file of `model` in inference, with batch 1 and LiteRT's built-in operations only.

    Inputs and outputs are named as the model names them, with a number where names repeat.

    Args:
        input_shape: sizes without the batch axis, or a dict of them by input name, in place of the model's own.

    Raises:
        InputError: sizes that are not known, or a model that was never built.
        ExportError: TensorFlow cannot trace the model, or LiteRT has no built-in operation for a part of it.
    """
    structure, is_keywords = _inputs(model, input_shape)
    tensors = tree.flatten(structure)
    names: list[str] = []

    def call(*values: Any) -> dict[str, Any]:
        given = tree.pack_sequence_as(structure, list(values))
        outputs = model(**given, training=False) if is_keywords else model(given, training=False)
        names[:] = _output_names(model, outputs)
        flat = tree.flatten(outputs)
        # An input that is handed through needs a tensor of its own to carry the output's name.
        return {_OUTPUT.format(number): tf.identity(tensor) for number, tensor in enumerate(flat)}

    signature = [
        tf.TensorSpec((1, *_known(tensor)), tensor.dtype, name=_INPUT.format(number))
        for number, tensor in enumerate(tensors)
    ]
    content = _converted(call, signature, model)
    return _with_names(content, _unique([tensor.name for tensor in tensors]), _unique(names))


def _converted(call: Any, signature: Sequence[tf.TensorSpec], model: keras.Model) -> bytes:
    frozen = [(variable, tf.constant(variable.numpy())) for variable in model.variables]
    try:
        with keras.StatelessScope(state_mapping=frozen):
            function = tf.function(call).get_concrete_function(*signature)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function], tf.Module())
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return bytes(converter.convert())
    except (ConverterError, tf.errors.OpError, ArithmeticError, AttributeError, LookupError, RuntimeError,
            TypeError, ValueError) as error:  # fmt: skip
        raise ExportError(
            f"TensorFlow cannot convert model {model.name!r} with LiteRT's built-in operations: {_reason(error)}"
        ) from error


def _reason(error: BaseException) -> str:
    """One line. The converter begins with its reason; Keras's and TensorFlow's tracing wrap it in places and values."""
    lines = [refused.without_place(_COLOURS.sub("", line)) for line in str(error).splitlines()]
    lines = [line for line in lines if line] or [type(error).__name__]
    wrapped = [number for number, line in enumerate(lines) if "Exception encountered when calling" in line]
    inner = lines[wrapped[-1] + 1 :] if wrapped else []
    return (inner[0] if inner else lines[-1 if lines[0].startswith("in user code") else 0])[:300]


def _inputs(model: keras.Model, input_shape: Any) -> tuple[Any, bool]:
    """Symbolic inputs in the model's own structure, and whether they are keyword arguments of its call."""
    own, is_keywords = _own_inputs(model), False
    if own is None:
        own, is_keywords = _built_inputs(model, input_shape)
    names = [tensor.name for tensor in tree.flatten(own)]
    given = {} if input_shape is None else _by_name(input_shape, names)

    def sized(tensor: Any) -> Any:
        shape = given.get(tensor.name, tensor.shape[1:])
        return keras.KerasTensor((None, *shape), dtype=tensor.dtype, name=tensor.name)

    return tree.map_structure(sized, own), is_keywords


def _own_inputs(model: keras.Model) -> Any:
    """Those of a functional model, or of the functional model inside a built sequential one; None for others."""
    return model.input if getattr(model, "inputs", None) else None


def _built_inputs(model: keras.Model, input_shape: Any) -> tuple[Any, bool]:
    """Those of the shapes that a subclassed model was first called with."""
    config: dict[str, Any] = (model.get_build_config() or {}) if model.built else {}
    if "shapes_dict" in config:
        named = {name.removesuffix("_shape"): shape for name, shape in config["shapes_dict"].items()}
        return {name: _symbolic(shape, name) for name, shape in named.items()}, True
    shape: Any = config.get("input_shape")
    if shape is None and input_shape is not None and model.built:
        shape = (None, *input_shape)
        if isinstance(input_shape, Mapping):
            shape = {name: (None, *sizes) for name, sizes in input_shape.items()}
    if shape is None:
        raise InputError(
            received=f"model {model.name!r} of type {type(model).__name__}, which knows no input shape",
            expected="a built model",
            mend="call it once on a batch, or pass input_shape",
        )
    return _symbolic(shape, "input"), False


def _symbolic(shape: Any, name: str) -> Any:
    if isinstance(shape, Mapping):
        return {key: _symbolic(value, key) for key, value in shape.items()}
    if any(isinstance(size, (list, tuple)) for size in shape):
        return [_symbolic(value, f"{name}_{number}") for number, value in enumerate(shape)]
    return keras.KerasTensor((None, *shape[1:]), name=name)


def _by_name(input_shape: Any, names: Sequence[str]) -> Mapping[str, Sequence[int]]:
    given = input_shape if isinstance(input_shape, Mapping) else dict.fromkeys(names[:1], input_shape)
    return {name: tuple(int(size) for size in shape) for name, shape in given.items()}


def _known(tensor: Any) -> tuple[int, ...]:
    shape = tuple(tensor.shape[1:])
    if any(size is None for size in shape):
        raise InputError(
            received=f"input {tensor.name!r} with the free shape {shape}",
            expected="sizes that are known, as a LiteRT file has fixed ones",
            mend="give the shape it will run at: --input-shape 224,224,3, or input_shape=(224, 224, 3) in Python",
        )
    return shape


def _output_names(model: keras.Model, outputs: Any) -> list[str]:
    """By key, else by the layer that makes the output, else by the model's own name."""
    flat = tree.flatten(outputs)
    if isinstance(outputs, Mapping):
        return [str(path[-1]) for path, _ in tree.flatten_with_path(outputs)]
    names = list(getattr(model, "output_names", None) or ())
    return names if len(names) == len(flat) else [model.name] * len(flat)


def _unique(names: Sequence[str]) -> list[str]:
    """The same names, with `_1`, `_2`, ... behind those that were there before."""
    taken: list[str] = []
    for name in names:
        number, free = 0, name
        while free in taken or (number and free in names):
            number += 1
            free = f"{name}_{number}"
        taken.append(free)
    return taken


def _with_names(content: bytes, inputs: Sequence[str], outputs: Sequence[str]) -> bytes:
    """The file with the model's names in its signature and on the tensors, in the model's order."""
    model = flatbuffer.read(content)
    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    for entries, pattern, names in ((signature.inputs, _INPUT, inputs), (signature.outputs, _OUTPUT, outputs)):
        known = {pattern.format(number): name for number, name in enumerate(names)}
        entries.sort(key=lambda entry: flatbuffer.text(entry.name))
        for entry in entries:
            entry.name = known[flatbuffer.text(entry.name)]
            graph.tensors[int(entry.tensorIndex)].name = entry.name
    graph.inputs = [int(entry.tensorIndex) for entry in signature.inputs]
    graph.outputs = [int(entry.tensorIndex) for entry in signature.outputs]
    flatbuffer.number_inner_graphs(model)
    flatbuffer.remove_unused(model)
    return flatbuffer.write(model)
