# SPDX-License-Identifier: Apache-2.0
"""What callbacks of `lowbit.qat` do not take, told before the first step."""

import keras
import numpy as np
import pytest

import lowbit
from lowbit import qat
from lowbit.errors import InputError

X, Y = np.random.default_rng(0).normal(size=(32, 4)).astype("float32"), np.arange(32) % 3


def model() -> keras.Model:
    inputs = keras.Input((4,), name="values")
    return keras.Model(inputs, keras.layers.Dense(3, "softmax", name="dense")(inputs))


def compiled(made: keras.Model) -> keras.Model:
    made.compile("sgd", "sparse_categorical_crossentropy")
    return made


@pytest.mark.parametrize("callback", [qat.RangeFreeze(0), qat.OscillationFreeze(), qat.RangeReport()])
def test_a_plain_model_is_refused(callback) -> None:
    match = f"a simulation for lowbit.qat.{type(callback).__name__}; make it with lowbit.quantize_model"
    with pytest.raises(InputError, match=match):
        compiled(model()).fit(X, Y, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("epoch", [-1, 0.5, float("nan"), "1", None, True])
def test_an_epoch_that_cannot_be_meant_is_refused(epoch) -> None:
    with pytest.raises(InputError, match="first_frozen_epoch=.*whole number of epochs from 0"):
        qat.RangeFreeze(epoch)


@pytest.mark.parametrize("bits", [0, -1, 3.5, 4.0, float("nan"), "4"])
def test_bits_that_no_weight_has_are_refused(bits) -> None:
    with pytest.raises(InputError, match="bits=.*4 or 8"):
        qat.OscillationFreeze(bits=bits)


def test_ranges_that_nothing_set_are_not_frozen() -> None:
    """They would be 0 to 0, and the model could not learn."""
    sim = compiled(lowbit.quantize_model(model()))
    with pytest.raises(InputError, match="without ranges"):
        sim.fit(X, Y, verbose=0, callbacks=[qat.RangeFreeze(0)])
    with pytest.raises(InputError, match="without ranges"):
        sim.test_on_batch(X, Y)
    sim.fit(X, Y, epochs=2, verbose=0, callbacks=[qat.RangeFreeze(1)], validation_data=(X, Y))
    assert np.isfinite(sim.test_on_batch(X, Y))


@pytest.mark.parametrize("place", ["file", "file/inside"])
def test_a_folder_for_tensorboard_that_cannot_be_made(tmp_path, place) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="log_dir=.*file.*folder that can be written"):
        qat.RangeReport(log_dir=tmp_path / place)


def test_other_words_of_jit_compile_are_refused() -> None:
    with pytest.raises(InputError, match="jit_compile='yes'.*True, False or 'auto'"):
        lowbit.quantize_model(model()).compile("sgd", "mse", jit_compile="yes")


def test_weights_that_do_not_fit_leave_those_there_are(tmp_path) -> None:
    learned = lowbit.quantize_model(model(), calibration=[X], ranges="learned")
    learned.save_weights(tmp_path / "learned.weights.h5")
    sim = lowbit.quantize_model(model(), calibration=[X])
    before = sim.get_weights()
    with pytest.raises(InputError, match="which do not fit.*keras.models.load_model"):
        sim.load_weights(tmp_path / "learned.weights.h5")
    assert all(np.array_equal(*pair) for pair in zip(before, sim.get_weights(), strict=True))
    other = lowbit.quantize_model(model(), calibration=[2 * X], ranges="learned")
    other.load_weights(tmp_path / "learned.weights.h5")
    assert np.array_equal(other.predict(X, verbose=0), learned.predict(X, verbose=0))


def test_another_float_type_of_keras_is_refused() -> None:
    made = model()
    keras.config.set_floatx("float64")
    try:
        with pytest.raises(InputError, match="floatx.*'float64'.*set_floatx"):
            lowbit.quantize_model(made)
    finally:
        keras.config.set_floatx("float32")
