# SPDX-License-Identifier: Apache-2.0
"""What coverage says before anything is written, by hand and against the files that are written."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import lowbit
from lowbit.errors import InputError
from lowbit.runtime import workload

BIASED = {"bias_initializer": "random_normal"}
KEPT = lowbit.Rule(match="kept", keep_float=True)


def convolutions() -> keras.Model:
    image = x = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(name="stem_norm")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise", **BIASED)(x)
    x = layers.Conv2D(6, 1, name="kept", **BIASED)(x)
    x = layers.Conv2D(5, 3, activation="relu", name="last", **BIASED)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    x = layers.Dense(4, activation="softmax", name="scores", **BIASED)(x)
    return keras.Model(image, x, name="convolutions")


def attention() -> keras.Model:
    image = x = keras.Input((8, 8, 3), name="image")
    x = layers.Conv2D(6, 2, strides=2, name="patches", **BIASED)(x)
    x = layers.Reshape((16, 6), name="rows")(x)
    query, key = (layers.Dense(5, name=name, **BIASED)(x) for name in ("query", "key"))
    value = layers.Dense(6, use_bias=False, name="value")(x)
    weights = ops.softmax(ops.matmul(query, ops.transpose(key, (0, 2, 1))))
    x = layers.Add(name="join")([x, ops.matmul(weights, value)])
    x = layers.Dense(6, name="kept", **BIASED)(x)
    x = layers.Flatten(name="flat")(x)
    x = layers.Dense(4, name="scores", **BIASED)(x)
    return keras.Model(image, x, name="attention")


# model: multiply-accumulates and weights of each layer that has any
BY_HAND = {
    convolutions: {
        "stem": (4 * 4 * 6 * (3 * 3 * 3), 3 * 3 * 3 * 6 + 6),
        "depthwise": (4 * 4 * 6 * (3 * 3), 3 * 3 * 6 + 6),
        "kept": (4 * 4 * 6 * 6, 6 * 6 + 6),
        "last": (2 * 2 * 5 * (3 * 3 * 6), 3 * 3 * 6 * 5 + 5),
        "scores": (5 * 4, 5 * 4 + 4),
    },
    attention: {
        "patches": (4 * 4 * 6 * (2 * 2 * 3), 2 * 2 * 3 * 6 + 6),
        "query": (16 * 5 * 6, 5 * 6 + 5),
        "key": (16 * 5 * 6, 5 * 6 + 5),
        "matmul": (16 * 16 * 5, 0),
        "matmul_1": (16 * 6 * 16, 0),
        "kept": (16 * 6 * 6, 6 * 6 + 6),
        "scores": (96 * 4, 96 * 4 + 4),
    },
}
MODELS = pytest.mark.parametrize("build", BY_HAND, ids=lambda build: build.__name__)


@pytest.fixture(autouse=True)
def _plain_names() -> None:
    keras.backend.clear_session()  # so that bare operations are named from `matmul` on
    keras.utils.set_random_seed(0)


@MODELS
def test_each_layer_by_hand(build) -> None:
    found = lowbit.coverage(build(), rules=[KEPT])
    counted = {layer.name: (layer.macs, layer.weights) for layer in found.layers if layer.macs}
    counted.pop("value", None)  # whether it gets a bias is the exporter's choice: see the file below
    assert counted == BY_HAND[build]


@MODELS
@pytest.mark.parametrize("spec", ["w8a8", "w4a8"])
def test_what_is_predicted_is_what_the_file_holds(tmp_path, build, spec: str) -> None:
    model, path = build(), tmp_path / "model.tflite"
    predicted = lowbit.coverage(model, spec, rules=[KEPT]).total
    samples = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    simulation = lowbit.quantize_model(model, spec, rules=[KEPT], calibration=[samples])
    lowbit.export(simulation, path)
    assert predicted == workload(path)
    assert 0 < predicted.integer_macs < predicted.macs and 0 < predicted.integer_weights < predicted.weights


def test_every_layer_has_one_fate_a_kind_and_a_reason() -> None:
    found = lowbit.coverage(convolutions(), rules=[KEPT])
    fates = {layer.name: (layer.kind, layer.fate) for layer in found.layers}
    assert fates == {
        "stem": ("Conv2D", "quantized"),
        "stem_norm": ("BatchNormalization", "quantized"),
        "stem_relu": ("ReLU", "quantized"),
        "depthwise": ("DepthwiseConv2D", "quantized"),
        "kept": ("Conv2D", "kept float"),
        "last": ("Conv2D", "quantized"),
        "pool": ("GlobalAveragePooling2D", "quantized"),
        "scores": ("Dense", "quantized"),
    }
    assert (found.quantized, found.kept_float, found.failed) == (7, 1, 0)
    assert found.layer("kept").reason and found.layer("stem_relu").operation == found.layer("stem").operation
    assert (found.model, found.spec) == ("convolutions", "w8a8")


def test_the_parts_of_an_opened_layer_have_a_kind_kept_float_or_not() -> None:
    tensor = keras.Input((6, 4))
    attended = layers.MultiHeadAttention(2, 3, name="heads")(tensor, tensor)
    masked = layers.MultiHeadAttention(2, 3, name="causal")(attended, attended, use_causal_mask=True)
    found = lowbit.coverage(keras.Model(tensor, masked))
    (kept,) = [layer for layer in found.layers if layer.fate == "kept float"]
    assert (kept.kind, "mask" in kept.reason) == ("DotProductAttention", True)
    assert sorted(layer.kind for layer in found.layers) == ["DotProductAttention"] * 2 + ["EinsumDense"] * 8


def test_a_product_that_stays_float_counts_though_keras_names_no_sizes() -> None:
    tensor = keras.Input((6, 4))
    model = keras.Model(tensor, layers.MultiHeadAttention(2, 3, name="heads")(tensor, tensor))
    by_rule = lowbit.coverage(model, rules=[lowbit.Rule(match="*", keep_float=True)]).total
    assert by_rule.integer_macs == 0
    # the four products; the attention between them is one operation where it stays float, and is not counted
    assert by_rule.macs == 4 * 6 * (2 * 3) * 4
    assert lowbit.coverage(model).total.macs == by_rule.macs + 2 * (2 * 6 * 6 * 3)


def test_a_layer_called_twice_is_counted_at_each_call_and_stored_once() -> None:
    tensor = keras.Input((6,))
    shared = layers.Dense(6, name="shared", **BIASED)
    found = lowbit.coverage(keras.Model(tensor, shared(shared(tensor))))
    assert [(layer.name, layer.macs, layer.weights) for layer in found.layers] == [("shared", 72, 42)]


LSTM = 4 * (4 + 5) * 5  # products of one step: four gates of 5 units, 4 features in


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (lambda: layers.Bidirectional(layers.LSTM(5)), (6, 4), 2 * LSTM),
        (lambda: layers.Bidirectional(layers.GRU(5, return_sequences=True)), (6, 4), 2 * 3 * (4 + 5) * 5),
        (lambda: layers.TimeDistributed(layers.LSTM(5)), (3, 6, 4), 3 * LSTM),
        (lambda: layers.TimeDistributed(layers.Bidirectional(layers.LSTM(5))), (3, 6, 4), 3 * 2 * LSTM),
        (lambda: layers.RNN([layers.LSTMCell(5), layers.GRUCell(3)]), (6, 4), LSTM + 3 * (5 + 3) * 3),
        (lambda: layers.ConvLSTM2D(5, 3), (3, 8, 8, 3), 6 * 6 * 4 * 5 * 9 * (3 + 5)),
        (lambda: layers.SpectralNormalization(layers.Dense(5)), (6, 4), 6 * 4 * 5),
    ],
    ids=["bidirectional", "bidirectional GRU", "by time", "by time, bidirectional", "cells", "ConvLSTM", "spectral"],
)
def test_what_wrappers_hold_is_counted_as_in_the_file(tmp_path, layer, shape, macs: int) -> None:
    tensor = keras.Input(shape)
    x = layers.Flatten()(layer()(tensor))
    model = keras.Model(tensor, layers.Dense(3, name="scores")(x))
    predicted = lowbit.coverage(model)
    assert predicted.layers[0].macs == macs
    samples = np.random.default_rng(0).normal(size=(4, *shape)).astype("float32")
    lowbit.export(lowbit.quantize_model(model, calibration=[samples]), tmp_path / "m.tflite")
    measured = workload(tmp_path / "m.tflite")
    assert (predicted.total.macs, predicted.total.integer_macs) == (measured.macs, measured.integer_macs)


def test_without_products_there_is_no_share() -> None:
    tensor = keras.Input((4, 4, 3))
    found = lowbit.coverage(keras.Model(tensor, layers.MaxPooling2D(name="pool")(tensor)))
    assert found.macs_integer_share is None and found.weights_integer_share is None
    assert [layer.name for layer in found.layers] == ["pool"]


def test_free_sizes_are_given() -> None:
    image = keras.Input((None, None, 3), name="image")
    model = keras.Model(image, layers.Conv2D(4, 3, name="conv")(image))
    assert lowbit.coverage(model, input_shape=(8, 8, 3)).total.macs == 6 * 6 * 4 * (3 * 3 * 3)
    with pytest.raises(InputError, match="free shape"):
        lowbit.coverage(model)


def test_the_model_is_not_changed() -> None:
    model = convolutions()
    weights, config = model.get_weights(), model.get_config()
    lowbit.coverage(model, "w4a8")
    assert all(np.array_equal(one, other) for one, other in zip(weights, model.get_weights(), strict=True))
    assert model.get_config() == config


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"spec": "w3a8"}, "weights=3"),
        ({"rules": [lowbit.Rule(match="stem_conv", weights=4)]}, "stem"),
    ],
)
def test_bad_requests(arguments, words: str) -> None:
    with pytest.raises(InputError, match=words):
        lowbit.coverage(convolutions(), **arguments)
