# SPDX-License-Identifier: Apache-2.0
"""Models that cannot be simulated, and data that cannot calibrate, are refused in words; nothing is changed."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from whole import state

import lowbit
from lowbit.errors import InputError, UnsupportedError
from lowbit.simulation import fates


def small_model():
    inputs = keras.Input((8, 8, 1), name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten(name="flat")(x)), name="small")


class Branching(keras.Model):
    """Looks at values to choose its way."""

    def __init__(self):
        super().__init__(name="branching")
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        if ops.sum(x) > 0:
            return self.head(x)
        return self.head(-x)


class NumpyModel(keras.Model):
    """Leaves Keras on its way."""

    def __init__(self):
        super().__init__(name="leaving")
        self.head = layers.Dense(2, name="head")

    def call(self, x):
        return self.head(np.fft.fft(np.asarray(x)).real)


class Unbuilt(keras.Model):
    def __init__(self):
        super().__init__(name="unbuilt")
        self.head = layers.Dense(2)

    def call(self, x):
        return self.head(x)


def branching():
    model = Branching()
    model(np.ones((1, 4), "float32"))
    return model


def leaving():
    model = NumpyModel()
    model(np.ones((1, 4), "float32"))
    return model


def whole_numbers():
    inputs = keras.Input((4,), dtype="int32", name="counts")
    return keras.Model(inputs, layers.Dense(2, name="head")(inputs), name="whole_numbers")


def words():
    inputs = keras.Input((1,), dtype="string", name="sentence")
    return keras.Model(inputs, layers.Identity()(inputs), name="words")


def free_sizes():
    inputs = keras.Input((None, None, 1), name="image")
    return keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs)), name="free_sizes")


def sequential_without_input():
    return keras.Sequential([layers.Dense(2)], name="without_input")


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (branching, UnsupportedError, "model 'branching' of type Branching, which cannot be traced"),
        (branching, UnsupportedError, "without Python control flow on values"),
        (leaving, UnsupportedError, "model 'leaving' of type NumpyModel, which cannot be traced"),
        (Unbuilt, UnsupportedError, "'unbuilt' was never built, so its weights do not exist"),
        (sequential_without_input, UnsupportedError, "'without_input' was never built"),
        (whole_numbers, UnsupportedError, r"whole numbers \(int32\) from 'counts'.*make the input float32"),
        (words, UnsupportedError, "input 'sentence' of type string.*numbers before the model"),
        (free_sizes, InputError, r"input 'image' with the free shape \(None, None, 1\).*input_shape="),
    ],
)
def test_a_model_that_cannot_be_simulated(build, error, words):
    model = build()
    before = state(model)
    with pytest.raises(error, match=words):
        lowbit.quantize_model(model)
    assert state(model) == before


def test_a_simulation_is_not_simulated_again():
    simulation = lowbit.quantize_model(small_model())
    with pytest.raises(UnsupportedError, match=r"the simulation 'small'.*lowbit.strip\(sim\)"):
        lowbit.quantize_model(simulation)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("w3a8", "received weights=3, activations=8; expected weight bits among .*choose w8a8"),
        ("w8a3", "received weights=8, activations=3.*activation bits among"),
        ("int8", "received.*'int8'.*w8a8"),
        ("", "received.*''.*w8a8"),
    ],
)
def test_bits_that_do_not_exist(spec, words):
    model = small_model()
    before = state(model)
    with pytest.raises(InputError, match=words):
        lowbit.quantize_model(model, spec)
    assert state(model) == before


@pytest.mark.parametrize("received", [None, "small.keras", layers.Dense(2)])
def test_what_is_no_model(received):
    with pytest.raises(InputError, match="expected a Keras model"):
        lowbit.quantize_model(received)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(value):
    model = small_model()
    model.get_layer("conv").bias.assign([value, 0, 0, 0])
    with pytest.raises(InputError, match=r"NaN or infinite values in weight 'conv/bias'"):
        lowbit.quantize_model(model)


IMAGES = np.random.default_rng(0).uniform(size=(4, 8, 8, 1)).astype("float32")


def _with(value):
    images = IMAGES.copy()
    images[2, 3, 3, 0] = value
    return images


@pytest.mark.parametrize(
    ("batches", "words"),
    [
        ([], "no calibration batches"),
        ([IMAGES[:0]], r"shape \(0, 8, 8, 1\) for input 'image' in batch 0"),
        ([IMAGES, _with(np.nan)], "NaN or infinite values for input 'image' in batch 1"),
        ([_with(np.inf)], "NaN or infinite values for input 'image' in batch 0"),
        ([IMAGES[:, :4]], r"shape \(4, 4, 8, 1\).*expected shape \(batch, 8, 8, 1\)"),
        ([IMAGES[0]], r"shape \(8, 8, 1\) for input 'image'"),
        (
            [{"picture": IMAGES, "text": IMAGES}],
            r"inputs \['picture', 'text'\] in batch 0; expected inputs \['image'\]",
        ),
        (
            [np.array([["a"]])],
            r"received array\(\[\['a'\]\].*for input 'image' in batch 0; expected an array of float32",
        ),
        ("digits", "calibration 'digits'; expected an iterable of batches"),
        (7, "calibration 7; expected an iterable of batches"),
    ],
)
def test_data_that_cannot_calibrate_leaves_the_ranges(batches, words):
    simulation = lowbit.quantize_model(small_model(), calibration=[IMAGES])
    before = simulation.get_weights()
    with pytest.raises(InputError, match=words):
        lowbit.calibrate(simulation, batches)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(simulation.get_weights(), before, strict=True))
    with pytest.raises(InputError, match=words):
        lowbit.quantize_model(small_model(), calibration=batches)


@pytest.mark.parametrize("value", [0.0, 0.5, -3.0])
def test_constant_data_gives_ranges_that_work(value, tmp_path):
    images = np.full((4, 8, 8, 1), value, dtype="float32")
    simulation = lowbit.quantize_model(small_model(), calibration=[images])
    assert np.isfinite(simulation.predict(images, verbose=0)).all()
    result = lowbit.export(simulation, tmp_path / "constant.tflite", parity=[images, IMAGES])
    assert (result.parity.worst_equal, result.parity.missing) == (1.0, ())


def test_words_as_input_beside_numbers_are_named():
    numbers, words = keras.Input((4,), name="numbers"), keras.Input((1,), dtype="string", name="sentence")
    model = keras.Model([numbers, words], layers.Dense(2)(numbers))
    with pytest.raises(UnsupportedError, match="input 'sentence' of type string"):
        lowbit.quantize_model(model)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((8, 8), r"input_shape \(8, 8\) for input 'image'.*fit \(None, None, 1\)"),
        ((8, 8, 3), r"input_shape \(8, 8, 3\) for input 'image'.*fit \(None, None, 1\)"),
        ((0, 8, 1), r"\(0, 8, 1\).*whole sizes from 1"),
        ((8, -8, 1), r"\(8, -8, 1\).*whole sizes from 1"),
        ((8, 8.5, 1), r"\(8, 8.5, 1\).*whole sizes from 1"),
        ((None, 8, 1), r"\(None, 8, 1\).*whole sizes from 1"),
        (8, r"input_shape 8 .*whole sizes from 1"),
        ("8,8,1", "input_shape '8,8,1'.*whole sizes from 1"),
        ({"picture": (8, 8, 1)}, r"input_shape for 'picture'; expected inputs \['image'\]"),
    ],
)
def test_an_input_shape_that_does_not_fit(shape, words):
    model = free_sizes()
    before = state(model)
    with pytest.raises(InputError, match=words):
        lowbit.quantize_model(model, input_shape=shape)
    assert state(model) == before


class TwoInputs(keras.Model):
    def build(self, input_shape):
        self.add = layers.Add()

    def call(self, inputs):
        return self.add([inputs["left"], inputs["right"]])


def two_subclassed():
    model = TwoInputs()
    model({"left": np.zeros((1, 8), "float32"), "right": np.zeros((1, 8), "float32")})
    return model


def two_functional():
    left, right = keras.Input((None, 4), name="left"), keras.Input((None, 4), name="right")
    return keras.Model([left, right], layers.Add()([left, right]))


@pytest.mark.parametrize(("make", "shape"), [(two_functional, (8, 4)), (two_subclassed, (8,))])
def test_sizes_for_one_of_several_inputs_need_its_name(make, shape):
    with pytest.raises(InputError, match=r"input_shape \(8, ?4?\) .*'left', 'right'.*\{'left': \(...\), 'right'"):
        lowbit.quantize_model(make(), input_shape=shape)
    named = {"left": shape, "right": shape}
    simulation = lowbit.quantize_model(make(), input_shape=named)
    assert [tuple(tensor.shape[1:]) for tensor in simulation.inputs] == [shape, shape]


def test_a_free_size_can_be_given():
    simulation = lowbit.quantize_model(free_sizes(), input_shape=(8, 8, 1))
    assert tuple(simulation.inputs[0].shape) == (None, 8, 8, 1)
    assert all(fate.reason or fate.fate == "quantized" for fate in fates(simulation))


FIXED = {
    "reshape": lambda x: ops.reshape(layers.Dense(2)(x), (8, -1)),
    "reshape, sizes told": lambda x: layers.Dense(2)(ops.reshape(x, (8, 16, 4))),
    "broadcast": lambda x: ops.broadcast_to(ops.mean(x, axis=(1, 2, 3), keepdims=True), (8, 8, 8, 1)),
}


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("batch", [8, None])
def test_a_batch_size_written_into_the_model(name, batch):
    inputs = keras.Input((8, 8, 1), batch_size=batch, name="image")
    model = keras.Model(inputs, FIXED[name](inputs))
    with pytest.raises(UnsupportedError, match="a batch of 8; expected a batch of any size.*write -1"):
        lowbit.quantize_model(model)


def test_a_fixed_batch_that_nothing_depends_on(tmp_path):
    inputs = keras.Input((8, 8, 1), batch_size=8, name="image")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(3, name="head")(ops.reshape(x, (-1, 144))))
    simulation = lowbit.quantize_model(model, calibration=[IMAGES[:8]])
    assert lowbit.export(simulation, tmp_path / "m.tflite", parity=[IMAGES[:8]]).parity.worst_equal == 1.0


def test_functions_as_arguments_are_refused():
    inputs = keras.Input((8,), name="x")
    chosen = ops.cond(ops.sum(inputs) > 0, lambda: inputs * 2, lambda: inputs * 3)
    with pytest.raises(UnsupportedError, match="gives functions to Cond, as ops.cond takes"):
        lowbit.quantize_model(keras.Model(inputs, layers.Dense(2)(chosen)))


def test_what_keras_says_of_a_failing_call_is_passed_on():
    inputs = keras.Input((None, None, 1), name="image")
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs)))
    with pytest.raises(UnsupportedError, match="Computed output size would be zero or negative"):
        lowbit.quantize_model(model, input_shape=(2, 2, 1))


def test_indices_beyond_the_table_are_named():
    inputs = keras.Input((3,), dtype="int32", name="ids")
    model = keras.Model(inputs, layers.Dense(2)(layers.Embedding(20, 4, name="table")(inputs)))
    simulation = lowbit.quantize_model(model)
    with pytest.raises(InputError, match="indices from 0 to 23 for the Embedding 'table'; expected .* 0 to 19"):
        lowbit.calibrate(simulation, [np.array([[0, 1, 2]]), np.array([[0, 23, 2]])])


def test_data_of_one_number_is_told_of():
    with pytest.warns(UserWarning, match="hold nothing but 0.5 for input 'image'"):
        lowbit.quantize_model(small_model(), calibration=[np.full((2, 8, 8, 1), 0.5)] * 2)
