# SPDX-License-Identifier: Apache-2.0
"""XLA, several steps in one call, mixed precision, and numbers that are no longer finite."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import lowbit
from lowbit import qat
from lowbit.errors import InputError
from lowbit.simulation.fitting import first_not_finite
from lowbit.training import batch_norms


@pytest.fixture(scope="module")
def data(digits):
    inputs, labels = next(iter(digits.train.batches(len(digits.train))))
    return inputs["image"].astype("float32"), labels


def model_of(policy="float32"):
    keras.utils.set_random_seed(0)
    first = layers.Conv2D(8, 3, strides=2, use_bias=False, dtype=policy, name="conv")
    norm = layers.BatchNormalization(dtype=policy, name="norm")
    depthwise = layers.DepthwiseConv2D(3, dtype=policy, name="depthwise")
    parts = [first, norm, layers.ReLU(dtype=policy, name="relu"), depthwise, layers.Flatten(dtype=policy, name="flat")]
    last = layers.Dense(10, "softmax", dtype="float32", name="last")
    return keras.Sequential([keras.Input((8, 8, 1), name="image"), *parts, last])


def simulation(data, model=None, optimizer=None, **options):
    sim = lowbit.quantize_model(model_of() if model is None else model, calibration=[data[0][:64]])
    optimizer = keras.optimizers.Adam(1e-2) if optimizer is None else optimizer
    sim.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return sim


def fit(sim, data, epochs=8, **options):
    return sim.fit(*data, batch_size=32, epochs=epochs, verbose=0, **options)


def outputs(sim, data):
    return sim.predict(data[0][:64], verbose=0)


def test_xla_trains_in_several_steps_and_inference_stays_exact(data, tmp_path, monkeypatch):
    compiled, function = [], tf.function

    def spied(*functions, **options):
        if functions and functions[0].__name__ == "one_step_on_data":
            compiled.append(options["jit_compile"])
        return function(*functions, **options)

    sim = simulation(data, jit_compile=True, steps_per_execution=4)
    monkeypatch.setattr("keras.src.backend.tensorflow.trainer.tf.function", spied)
    fit(sim, data, validation_data=data)
    assert compiled == [True, False]  # training's, validation's
    assert sim.evaluate(*data, verbose=0)[1] > 0.8
    assert np.array_equal(outputs(sim, data), np.asarray(sim(data[0][:64], training=False)))
    sim.save(tmp_path / "sim.keras")
    loaded = keras.models.load_model(tmp_path / "sim.keras")
    assert loaded.trains_with_xla and not loaded.jit_compile


@pytest.mark.parametrize("policy, optimizer", [("mixed_float16", "LossScaleOptimizer"), ("mixed_bfloat16", "Adam")])
def test_mixed_precision_trains_in_half_and_infers_in_integers(data, policy, optimizer, tmp_path):
    model, same = model_of(policy), model_of()
    same.set_weights(model.get_weights())
    sim, float32 = simulation(data, model), simulation(data, same)
    assert np.array_equal(outputs(sim, data), outputs(float32, data))
    one, other = (np.asarray(one(data[0][:64], training=True)) for one in (sim, float32))
    assert 0 < np.abs(one - other).max() < 0.1  # half precision is used, and is near
    assert type(sim.optimizer).__name__ == optimizer
    fit(sim, data)
    assert sim.evaluate(*data, verbose=0)[1] > 0.8
    assert {keras.backend.standardize_dtype(variable.dtype) for variable in sim.weights} == {"float32"}
    sim.save(tmp_path / "sim.keras")
    loaded = keras.models.load_model(tmp_path / "sim.keras")
    assert type(loaded.optimizer).__name__ == optimizer
    assert [layer.product_dtype for layer in loaded.layers if hasattr(layer, "layer")] == [
        layer.product_dtype for layer in sim.layers if hasattr(layer, "layer")
    ]
    stripped = lowbit.strip(sim)
    assert [layer.dtype_policy.name for layer in stripped.layers] == [layer.dtype_policy.name for layer in model.layers]
    assert lowbit.export(sim, tmp_path / "sim.tflite", parity=[data[0][:64]]).parity.worst_equal == 1.0


@pytest.fixture
def mixed_policy():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def test_the_global_policy_counts_where_the_model_has_none(data, mixed_policy, tmp_path):
    model = model_of()
    model.add(layers.Dropout(0.1, dtype="float32", name="drop"))
    sim = simulation(data, model)
    assert {layer.product_dtype for layer in sim.layers if hasattr(layer, "product_dtype")} >= {"float16"}
    assert sim.dtype_policy.name == "float32" and outputs(sim, data).dtype == "float32"
    assert sim.with_unrounded_outputs().predict(data[0][:8], verbose=0).dtype == "float32"
    assert lowbit.export(sim, tmp_path / "sim.tflite", parity=[data[0][:64]]).parity.worst_equal == 1.0


def test_another_policy_of_a_simulation_is_refused(data):
    sim = simulation(data)
    sim.dtype_policy = "float16"
    with pytest.raises(InputError, match="dtype policy was set to float16"):
        sim.compile("sgd", "mse")


def test_float64_and_integer_policies_are_refused():
    with pytest.raises(InputError, match="float64"):
        lowbit.quantize_model(model_of("float64"))
    model = model_of()
    model.get_layer("last").quantize("int8")
    with pytest.raises(InputError, match="quantized to int8 by Keras"):
        lowbit.quantize_model(model)


FIRST = "'conv/kernel' of layer 'conv'"


def test_a_rate_that_is_too_large_is_told_by_fit(data):
    sim = simulation(data, optimizer=keras.optimizers.SGD(1e20))
    with pytest.raises(InputError, match=f"loss nan and the weight {FIRST} as the first .* at learning rate 1e.20"):
        fit(sim, data)


def test_a_rate_that_is_too_large_is_told_by_the_loop_of_recipes(data):
    sim = simulation(data)
    before = sim.get_weights()
    batches = [(data[0][:32], data[1][:32])] * 4
    assert len(batch_norms(sim)) == 1
    with pytest.raises(InputError, match="loss nan and the (weight|range) .* of layer '.*' as the first"):
        qat.fit(sim, batches, None, epochs=1, learning_rate=1e20, batch_norm="train")
    assert all(np.array_equal(*pair) for pair in zip(before, sim.get_weights(), strict=True))


def test_what_is_not_finite_is_told_though_the_loss_is(data):
    sim = simulation(data)
    sim.get_layer("conv").batch_norm.moving_variance.assign(np.full(8, np.inf))
    with pytest.raises(
        InputError, match="received the weight 'norm/moving_variance' of layer 'conv' as the first that"
    ):
        fit(sim, data, epochs=1)
    sim.get_layer("conv").batch_norm.moving_variance.assign(np.ones(8))
    sim.get_layer("depthwise").output_quantizer.maximum.assign(np.inf)
    assert first_not_finite(sim) == "range 'depthwise_output/maximum' of layer 'depthwise'"
