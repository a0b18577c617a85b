# SPDX-License-Identifier: Apache-2.0
"""Activations of 8 and 16 bits in one model: where they meet, and what the file's tensors are."""

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from keras import layers

import lowbit
from lowbit import Rule
from lowbit.errors import InputError, UnsupportedError
from lowbit.quantizers import affine
from lowbit.runtime import flatbuffer, inspect

IMAGES = np.random.default_rng(0).normal(size=(32, 8, 8, 3)).astype("float32")


def model():
    keras.utils.set_random_seed(1)
    image = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, name="first", activation="relu", padding="same")(image)
    y = layers.Conv2D(8, 3, name="second", activation="relu", padding="same")(x)
    y = layers.BatchNormalization(name="norm")(y)
    y = layers.Conv2D(8, 3, name="third", padding="same")(y)
    z = layers.Dropout(0.2, name="drop")(layers.Concatenate(name="both")([x, y]))
    z = layers.DepthwiseConv2D(3, name="depthwise")(z)
    z = layers.Flatten(name="flat")(layers.Rescaling(2.0, offset=0.5, name="shift")(z))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="answer")(z))


def kinds(path):
    """dtype of each tensor that an op of the file makes, by name."""
    names = {schema.TensorType.INT8: "int8", schema.TensorType.INT16: "int16", schema.TensorType.FLOAT32: "float32"}
    graph = flatbuffer.read(path.read_bytes()).subgraphs[0]
    made = [graph.tensors[int(index)] for op in graph.operators for index in op.outputs]
    return {flatbuffer.text(tensor.name): names[tensor.type] for tensor in made}


CASES = {
    "norm": {"second_quantized", "norm/product", "norm"},
    "second": {"first_quantized", "second"},
    "[st]*": {"first_quantized", "second", "norm_quantized", "third", "depthwise_quantized"},
    "both": {"first_quantized", "first_quantized_rescaled", "third_quantized", "third_quantized_rescaled", "both"},
    "flat": {"shift_quantized", "flat"},
    "first": {"image_quantized", "first"},
}


LONG = {"second", "norm", "flat"}  # about the same as the others


@pytest.mark.parametrize(
    "match", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in CASES]
)
def test_layers_with_16_bits_among_8(match, tmp_path):
    simulation = lowbit.quantize_model(model(), rules=[Rule(match=match, activations=16)], calibration=[IMAGES])
    simulation.save(tmp_path / "simulation.keras")
    again = keras.models.load_model(tmp_path / "simulation.keras")
    assert np.array_equal(again.predict(IMAGES, verbose=0), simulation.predict(IMAGES, verbose=0))
    path = tmp_path / "mixed.tflite"
    found = lowbit.export(again, path, parity=[IMAGES], keep_names=True).parity
    wide = {name for name, kind in kinds(path).items() if kind == "int16"}
    assert CASES[match] <= wide
    assert not wide & {"answer", "answer_logits", "answer_softmax"}
    assert inspect(path).float_ops == 0
    assert found.missing == ()
    assert found.top1_agreement == 1
    # 16-bit ops are simulated in float: near. Changes of bits are exact, and so is what moves values only
    equal = {tensor.name: tensor.equal for tensor in found.per_tensor}
    assert equal["image" if "image" in equal else "image_quantized"] == 1
    assert match == "first" or equal.get("first_quantized", 1) == 1
    assert all(tensor.within_one > 0.98 for tensor in found.per_tensor)
    if match in ("norm", "flat"):
        assert found.worst_equal == 1


def test_mixed_bits_are_trained(tmp_path):
    simulation = lowbit.quantize_model(model(), rules=[Rule(match="second", activations=16)], calibration=[IMAGES])
    before = simulation.predict(IMAGES, verbose=0)
    simulation.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    simulation.fit(IMAGES, np.arange(32) % 5, verbose=0)
    assert not np.array_equal(simulation.predict(IMAGES, verbose=0), before)
    found = lowbit.export(simulation, tmp_path / "trained.tflite", parity=[IMAGES]).parity
    assert found.missing == () and found.top1_agreement == 1


def test_the_wide_scale_of_a_range_by_hand():
    # codes -128..127 about zero point 28 at 0.5: -78 to 49.5, so 78 is 32767 steps
    scale, zero_point = affine.widened(np.float32(0.5), np.float32(28))
    assert float(scale) == np.float32(78 / 32767) and float(zero_point) == 0


def test_a_float_tensor_read_in_both_is_refused():
    image = layers.Input((8, 8, 3), name="image")
    parts = [layers.Conv2D(2, 3, name=name)(image) for name in ("narrow", "wide")]
    both = keras.Model(image, layers.Add(name="sum")(parts))
    with pytest.raises(UnsupportedError, match="'image', in float, read by layers of 8 and of 16 bits"):
        lowbit.quantize_model(both, rules=[Rule(match="wide", activations=16)])


def test_a_prescribed_range_of_16_bits_before_8_is_refused():
    chain = keras.Sequential([layers.Input((4,)), layers.Softmax(name="wide"), layers.Dense(2)])
    with pytest.raises(UnsupportedError, match="prescribed range"):
        lowbit.quantize_model(chain, rules=[Rule(match="wide", activations=16)])


def test_int8_ends_need_8_bits_there(tmp_path):
    simulation = lowbit.quantize_model(model(), rules=[Rule(match="first", activations=16)], calibration=[IMAGES])
    with pytest.raises(InputError, match="inputs or outputs of 16 bits"):
        lowbit.export(simulation, tmp_path / "mixed.tflite", io="int8")
    inner = lowbit.quantize_model(model(), rules=[Rule(match="second", activations=16)], calibration=[IMAGES])
    lowbit.export(inner, tmp_path / "mixed.tflite", io="int8")
    assert {end.dtype for end in inspect(tmp_path / "mixed.tflite").inputs} == {"int8"}
