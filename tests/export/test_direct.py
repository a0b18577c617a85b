# SPDX-License-Identifier: Apache-2.0
"""Models that only TensorFlow can trace still get their float, float16 and 8-bit-weight files; quantizing is refused.

Also what `export` and `export_variant` are told in passing: sizes for free inputs, and the agreement that is asked for.
"""

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from lowbit.errors import ExportError, InputError, UnsupportedError
from lowbit.export import direct, export, export_variant, write
from lowbit.export.write import LEAST_AGREEMENT, VARIANTS
from lowbit.recipes import Request
from lowbit.runtime import Runner, inspect
from lowbit.simulation import quantize_model

WIDTH = 40  # litert-quantizer leaves small weights as they are


@keras.saving.register_keras_serializable("direct")
class Branching(keras.Model):
    """One of two layers, by the sign of the mean; two outputs by name, not in the order of the alphabet."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.above, self.below = layers.Dense(WIDTH, name="above"), layers.Dense(WIDTH, name="below")

    def call(self, x):
        chosen = tf.cond(tf.reduce_mean(x) > 0, lambda: self.above(x), lambda: self.below(x))
        return {"scores": chosen, "same": x}


class Looping(keras.Model):
    """A layer, then three turns of a loop of TensorFlow's."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.head = layers.Dense(WIDTH)

    def call(self, x):
        def turn(number, value):
            return number + 1, tf.tanh(value)

        return tf.while_loop(lambda number, _: number < 3, turn, [0, self.head(x)])[1]


class Counting(keras.Model):
    """As many turns as a weight says: a value known when the file is written. Keras cannot call it on symbols."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.turn = layers.Dense(WIDTH, activation="tanh")
        self.turns = self.add_weight(shape=(), initializer="ones", trainable=False)

    def call(self, x):
        if isinstance(x, keras.KerasTensor):
            raise TypeError("values only")
        for _ in range(2 + int(ops.convert_to_numpy(self.turns))):
            x = self.turn(x)
        return x


class Deciding(keras.Model):
    """Python control flow on the values that come in."""

    def call(self, x):
        return x * 2 if ops.convert_to_numpy(x).mean() > 0 else x


def recurrent():
    inputs = keras.Input((6, WIDTH), name="sequence")
    return keras.Model(inputs, layers.LSTM(WIDTH, return_state=True, name="cell")(inputs))


def several_inputs():
    """Two inputs by name, in another order than the alphabet's, and a layer that needs TensorFlow's tracing."""
    right, left = keras.Input((WIDTH,), name="right"), keras.Input((6, WIDTH), name="left")
    _, state, memory = layers.LSTM(WIDTH, return_state=True)(left)
    both = layers.Add()([state, memory])
    return keras.Model({"right": right, "left": left}, layers.Subtract(name="out")([both, right]))


def values(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.2, 1, (1, *shape)).astype("float32")


def built(model, x):
    keras.utils.set_random_seed(3)
    model(x)
    return model


MODELS = {
    "branching": (lambda: Branching(name="branching"), (WIDTH,), ["same", "scores"]),
    "looping": (lambda: Looping(name="looping"), (WIDTH,), ["looping"]),
    "counting": (lambda: Counting(name="counting"), (WIDTH,), ["counting"]),
    "recurrent": (recurrent, (6, WIDTH), ["cell", "cell_1", "cell_2"]),
}


@pytest.mark.filterwarnings("ignore:.*is a float32 file")
@pytest.mark.parametrize("kind", VARIANTS)
@pytest.mark.parametrize("name", MODELS)
def test_the_four_files(name, kind, tmp_path):
    make, shape, outputs = MODELS[name]
    x = values(*shape)
    model = built(make(), x)
    given = shape if name == "counting" else None  # Keras could not call it on symbols, so it kept no shape
    before = [np.asarray(weight).tobytes() for weight in model.weights]
    written = export_variant(model, tmp_path / "m.tflite", kind, input_shape=given)
    assert [np.asarray(weight).tobytes() for weight in model.weights] == before
    runner = Runner.open(written.path)
    assert [end.name for end in runner.outputs] == outputs and len(runner.inputs) == 1
    tolerance = {"float32": 1e-5, "float16": 2e-2}.get(kind, 1e-1)
    for sign in (1, -1):  # both branches
        found, wanted = runner({runner.inputs[0].name: sign * x}), keras.tree.flatten(model(sign * x))
        for value, output in zip(found.values(), wanted, strict=True):
            np.testing.assert_allclose(value, np.asarray(output), atol=tolerance)
    if kind != "float32" and name != "branching":
        full = export_variant(model, tmp_path / "full.tflite", "float32", input_shape=given)
        assert written.size_bytes < full.size_bytes


@pytest.mark.parametrize("name", MODELS)
def test_quantizing_them_is_refused_by_name(name):
    make, shape, _ = MODELS[name]
    model = built(make(), values(*shape))
    with pytest.raises(UnsupportedError, match=f"'{'cell' if name == 'recurrent' else model.name}'"):
        quantize_model(model, input_shape=shape)


def test_several_inputs_go_to_their_places(tmp_path):
    left, right = values(6, WIDTH, seed=1), values(WIDTH, seed=2)
    model = built(several_inputs(), {"left": left, "right": right})
    runner = Runner.open(export_variant(model, tmp_path / "m.tflite", "float32").path)
    found = runner({"left": left, "right": right})
    np.testing.assert_allclose(found["out"], np.asarray(model({"left": left, "right": right})), atol=1e-5)


def test_weights_that_stay_float_are_told(tmp_path):
    model = built(Branching(), values(WIDTH))
    with pytest.warns(UserWarning, match="the dynamic-w8 file is a float32 file"):
        export_variant(model, tmp_path / "m.tflite", "dynamic-w8")


def test_the_same_bytes_again(tmp_path):
    model = built(Branching(), values(WIDTH))
    assert direct.convert(model) == direct.convert(model)


def test_what_cannot_be_traced_is_one_line(tmp_path):
    model = built(Deciding(name="deciding"), values(WIDTH))
    with pytest.raises(ExportError, match="cannot convert model 'deciding'") as error:
        export_variant(model, tmp_path / "m.tflite", "float32", input_shape=(WIDTH,))
    assert str(error.value).count("Cannot convert a symbolic") == 1 and "\x1b" not in str(error.value)
    model = built(Counting(name="counting"), values(WIDTH))
    with pytest.raises(InputError, match="'counting' of type Counting, which knows no input shape.*pass input_shape"):
        export_variant(model, tmp_path / "m.tflite", "float32")
    assert list(tmp_path.iterdir()) == []


def test_free_sizes_of_a_model_for_tensorflow_only(tmp_path):
    inputs = keras.Input((None, 4), name="sequence")
    model = keras.Model(inputs, layers.LSTM(3, return_state=True)(inputs))
    with pytest.raises(InputError, match=r"'sequence' with the free shape \(None, 4\).*--input-shape"):
        export_variant(model, tmp_path / "m.tflite", "float32")
    path = export_variant(model, tmp_path / "m.tflite", "float32", input_shape={"sequence": (7, 4)}).path
    assert inspect(path).inputs[0].shape == (1, 7, 4)


def test_a_simulation_and_float64_weights_stay_refused(digits_simulation, tmp_path):
    with pytest.raises(UnsupportedError, match="expected a float model"):
        export_variant(digits_simulation, tmp_path / "m.tflite", "float32")
    inputs = keras.Input((4,), dtype="float64")
    model = keras.Model(inputs, layers.Dense(2, dtype="float64")(inputs))
    with pytest.raises(UnsupportedError, match="float64 weight"):
        export_variant(model, tmp_path / "m.tflite", "float32")
    assert list(tmp_path.iterdir()) == []


def free_sizes():
    inputs = x = keras.Input((None, None, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, activation="relu")(x))
    return keras.Model(inputs, layers.Dense(2)(x))


@pytest.mark.parametrize("spec", [None, "w8a8"])
def test_input_shape_of_a_whole_export(spec, tmp_path):
    batches = None if spec is None else [values(12, 10, 3)]
    settings = {"spec": spec, "calibration": batches}
    path = export(free_sizes(), tmp_path / "m.tflite", input_shape=(12, 10, 3), **settings).path
    assert inspect(path).inputs[0].shape == (1, 12, 10, 3)


def test_input_shape_is_not_for_a_simulation(digits_simulation, tmp_path):
    with pytest.raises(InputError, match="for a simulation; expected a shape for a float model only"):
        export(digits_simulation, tmp_path / "m.tflite", input_shape=(8, 8, 1))


@pytest.fixture
def disagreeing(monkeypatch):
    """Parity as measured, but for the answers: 97 of 100 agree."""

    def measured(*arguments, **options):
        return dataclasses.replace(original(*arguments, **options), top1_agreement=0.97)

    original = write.measure_parity
    monkeypatch.setattr(write, "measure_parity", measured)


@pytest.mark.parametrize(("asked", "is_left"), [({}, False), (0.971, False), (0.97, True), (0, True), (None, True)])
def test_a_file_is_left_only_where_it_agrees_as_asked(asked, is_left, disagreeing, digits, digits_simulation, tmp_path):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"before")
    settings = {"parity": digits.test.batches(8, limit=8)}
    settings |= asked if isinstance(asked, dict) else {"least_agreement": asked}
    if is_left:
        assert export(digits_simulation, path, **settings).parity.top1_agreement == 0.97
        return
    words = "agree on 97.0% of answers, under 0.9.* as least_agreement \\(--least-agreement\\) asks"
    with pytest.raises(ExportError, match=words):
        export(digits_simulation, path, **settings)
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("share", [1.01, -0.1, float("nan"), "0.9", True])
def test_an_agreement_that_is_no_share(share, digits_simulation, tmp_path):
    with pytest.raises(InputError, match="least_agreement=.*expected a share from 0 to 1, or None"):
        export(digits_simulation, tmp_path / "m.tflite", least_agreement=share)


def test_recipes_ask_for_the_same_agreement():
    assert Request(model=None, path="m.tflite").least_agreement == LEAST_AGREEMENT
