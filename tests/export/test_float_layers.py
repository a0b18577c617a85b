# SPDX-License-Identifier: Apache-2.0
"""Layers without integer form stay float, are named, and the file still converts, runs and answers alike."""

import keras
import numpy as np
import pytest
from keras import layers

from lowbit.errors import ExportError, InputError, UnsupportedError
from lowbit.export import export, export_variant
from lowbit.runtime.interpreter import Runner
from lowbit.simulation import calibrate, fates, quantize_model, strip


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 1, (32, 8, 8, 1)).astype("float32")


def rows(x):
    return layers.Reshape((8, 8), name="rows")(x)


def classify(x):
    return layers.Dense(10, activation="softmax", name="predictions")(x)


BODIES = {
    "lstm": lambda x: classify(layers.LSTM(8, name="kept")(rows(x))),
    "gru": lambda x: classify(layers.GRU(8, name="kept")(rows(x))),
    "one of several outputs": lambda x: classify(layers.LSTM(8, return_state=True, name="kept")(rows(x))[2]),
    "elu": lambda x: classify(layers.Flatten()(layers.Conv2D(2, 3, activation="elu", name="kept")(x))),
    "softplus": lambda x: classify(layers.Flatten()(layers.Activation("softplus", name="kept")(x))),
}


@pytest.mark.parametrize("name", BODIES)
def test_kept_float_layers_are_named_and_bridged(name, pixels, tmp_path):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), name="image")
    model = keras.Model(inputs, BODIES[name](inputs))
    simulation = quantize_model(model, calibration=[pixels])
    kept = [fate.layer for fate in fates(simulation) if fate.fate == "kept float"]
    assert [layer for layer in kept if layer != "rows"] == ["kept"]
    result = export(simulation, tmp_path / "integer.tflite", parity=[pixels]).parity
    assert result.missing == ()
    assert result.top1_agreement >= 0.98
    assert export_variant(model, tmp_path / "float.tflite", "float32").size_bytes > 0


@keras.saving.register_keras_serializable("tests")
class InverseErf(keras.layers.Layer):
    """LiteRT has no built-in operation for it."""

    def call(self, x):
        return keras.ops.erfinv(x)


def test_what_the_converter_refuses_is_one_line(pixels, tmp_path):
    inputs = keras.Input((8, 8, 1), name="image")
    model = keras.Model(inputs, classify(layers.Flatten()(InverseErf()(inputs))))
    with pytest.raises(ExportError, match="converter refused the model with LiteRT's built-in operations"):
        export_variant(model, tmp_path / "m.tflite", "float32")
    assert list(tmp_path.iterdir()) == []


def test_random_augmentation_is_no_operation_of_the_file(pixels, tmp_path):
    inputs = keras.Input((8, 8, 1), name="image")
    model = keras.Model(inputs, classify(layers.Flatten()(layers.Conv2D(2, 3)(layers.RandomFlip()(inputs)))))
    result = export(quantize_model(model, calibration=[pixels]), tmp_path / "m.tflite", parity=[pixels]).parity
    assert result.worst_equal == 1.0


def test_inputs_whose_names_differ_in_punctuation_only(pixels, tmp_path):
    first, second = keras.Input((8, 8, 1), name="a-x"), keras.Input((8, 8, 1), name="a_x")
    joined = layers.Add()([layers.Conv2D(2, 3)(first), layers.Conv2D(2, 3)(second)])
    model = keras.Model([first, second], classify(layers.Flatten()(joined)))
    batch = {"a-x": pixels, "a_x": pixels[::-1]}
    result = export(quantize_model(model, calibration=[batch]), tmp_path / "m.tflite", parity=[batch]).parity
    assert result.worst_equal == 1.0


def test_float64_weights_are_refused():
    inputs = keras.Input((4,))
    with pytest.raises(UnsupportedError, match="float64 weight 'wide/kernel'"):
        quantize_model(keras.Model(inputs, layers.Dense(2, dtype="float64", name="wide")(inputs)))


def test_what_is_no_model_or_no_batches_is_said_so(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.Dense(2)(inputs))
    for call in (
        lambda: quantize_model("model.keras"),
        lambda: export(None, tmp_path / "m.tflite"),
        lambda: strip(model),
        lambda: calibrate(model, []),
        lambda: quantize_model(model, calibration=5),
        lambda: quantize_model(model, calibration="digits"),
    ):
        with pytest.raises(InputError, match="expected (a Keras model|a simulation|an iterable of batches)"):
            call()


def test_integer_edges_need_8_bit_activations(pixels, tmp_path):
    inputs = keras.Input((8, 8, 1))
    simulation = quantize_model(keras.Model(inputs, classify(layers.Flatten()(inputs))), "w8a16", calibration=[pixels])
    with pytest.raises(InputError, match="io='int8' for inputs or outputs of 16 bits"):
        export(simulation, tmp_path / "m.tflite", io="int8")


@pytest.mark.parametrize("kept", [layers.GRU(4), layers.Conv1DTranspose(4, 3)], ids=["GRU", "Conv1DTranspose"])
def test_a_float_tensor_that_is_moved_and_read_in_float_is_not_rounded(kept, pixels, tmp_path):
    """One bright pixel makes a grid so coarse that rounding would be seen; the converter leaves no tensor to round."""
    bright = pixels.copy()
    bright[0, 0, 0, 0] = 60.0
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 1), name="image")
    model = keras.Model(inputs, kept(layers.Reshape((8, 8), name="rows")(inputs)))
    simulation = quantize_model(model, calibration=[bright])
    assert np.allclose(simulation.predict(bright, verbose=0), model.predict(bright, verbose=0), atol=1e-5)
    assert {fate.layer: fate.fate for fate in fates(simulation)}["rows"] == "kept float"
    export(simulation, tmp_path / "m.tflite", parity=[bright])
    runner = Runner((tmp_path / "m.tflite").read_bytes())
    written = runner({"image": bright[:1]})
    assert np.allclose(next(iter(written.values())), model.predict(bright[:1], verbose=0), atol=1e-5)
