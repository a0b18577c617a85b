# SPDX-License-Identifier: Apache-2.0
"""Outputs that the model reads itself: each reader gets the integers or the float values that it computes with."""

import keras
import numpy as np
import pytest
from keras import layers

from lowbit.errors import ExportError
from lowbit.export import export, wiring
from lowbit.runtime import Runner, flatbuffer
from lowbit.simulation import quantize_model

IMAGES = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")


def several(y):
    """Readers of every kind; the last of the model reads the output too."""
    return [y, layers.Multiply()([y, layers.ReLU()(y)]), layers.Dense(4)(y), layers.Softmax()(y)]


READERS = {
    "softmax": lambda y: [y, layers.Softmax()(y)],
    "relu": lambda y: [y, layers.ReLU()(y)],
    "dense": lambda y: [y, layers.Dense(4)(y)],
    "multiply": lambda y: [y, layers.Multiply()([y, layers.Dense(3)(y)])],
    "pool": lambda y: [y, layers.GlobalAveragePooling2D()(y)],
    "several": several,
    "float": lambda y: [y, layers.Activation("elu")(y)],
    "float then integer": lambda y: [y, layers.Activation("elu")(y), layers.Dense(4)(y)],
    "integer then float": lambda y: [y, layers.Dense(4)(y), layers.Activation("elu")(y)],
    "between": lambda y: [layers.Dense(4)(y), y, layers.Softmax()(y)],
}


def model(name):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3), name="image")
    return keras.Model(inputs, READERS[name](layers.Conv2D(3, 3, name="conv")(inputs)))


@pytest.mark.parametrize("spec", ["w8a8", "w8a16"])
@pytest.mark.parametrize("name", READERS)
def test_an_output_that_is_read_inside(name, spec, tmp_path):
    float_model = model(name)
    simulation = quantize_model(float_model, spec, calibration=[IMAGES])
    result = export(simulation, tmp_path / "m.tflite", parity=[IMAGES]).parity
    assert result.missing == ()
    assert result.worst_within_one > (0.9 if spec == "w8a16" else 0.999)
    assert spec == "w8a16" or "float" in name or result.worst_equal == 1.0
    answers = [np.asarray(one) for one in float_model(IMAGES[:1])]
    runner = Runner.open(tmp_path / "m.tflite")
    runner({"image": IMAGES[:1]})
    indices = flatbuffer.read((tmp_path / "m.tflite").read_bytes()).subgraphs[0].outputs
    found = [runner.interpreter.get_tensor(int(index)) for index in indices]
    assert [one.shape for one in found] == [one.shape for one in answers]
    for one, answer in zip(found, answers, strict=True):
        assert np.abs(one - answer).max() < (0.05 if spec == "w8a8" else 0.01) * max(1, np.abs(answer).max())


def test_float_beside_integers_is_noticed(tmp_path):
    export(quantize_model(model("dense"), calibration=[IMAGES]), tmp_path / "m.tflite", keep_names=True)
    written = flatbuffer.read((tmp_path / "m.tflite").read_bytes())
    graph = written.subgraphs[0]
    (dense,) = (op for op in graph.operators if flatbuffer.op_name(written, op) == "FULLY_CONNECTED")
    float_tensor = next(i for i, tensor in enumerate(graph.tensors) if tensor.name == b"conv_dequant")
    dense.inputs = np.array([float_tensor, *dense.inputs[1:]])
    with pytest.raises(ExportError, match="FULLY_CONNECTED .* float tensor 'conv_dequant' beside the integers 'dense"):
        wiring.check(written)
