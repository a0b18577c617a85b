# SPDX-License-Identifier: Apache-2.0
"""Two devices train as one with the same global batch: the same ranges, near weights; what cannot work is refused."""

import importlib.util
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import lowbit
from lowbit.errors import InputError

COMMON = """
import contextlib, json, sys
import numpy as np
import keras, lowbit
from keras import layers

X = np.random.default_rng(0).normal(size=(64, 8, 8, 1)).astype("float32")
Y = np.arange(64) % 10

def simulation(**options):
    keras.utils.set_random_seed(3)
    parts = [layers.Flatten(name="flat"), layers.Dense(10, "softmax", name="last")]
    if keras.backend.backend() == "tensorflow":
        norm = layers.BatchNormalization(synchronized=True, name="norm")
        parts = [layers.Conv2D(8, 3, name="conv"), norm, layers.ReLU(name="relu"), *parts]
    model = keras.Sequential([keras.Input((8, 8, 1), name="image"), *parts])
    sim = lowbit.quantize_model(model, calibration=[X[:32]])
    sim.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    return sim

def fit(sim, **options):
    return sim.fit(X, Y, batch_size=16, epochs=1, shuffle=False, verbose=0, **options)

def number(variable):
    return float(np.asarray(keras.ops.convert_to_numpy(variable)))

def ranges(sim):
    quantizers = [quantizer for quantizer in sim.quantizers().values() if hasattr(quantizer, "minimum")]
    return [[number(v) for v in (q.minimum, q.maximum, q.observations)] for q in quantizers]

def refusal(attempt):
    try:
        attempt()
    except lowbit.errors.InputError as error:
        return str(error)
    return "none"

def compared(one, two):
    pairs = zip(one.get_weights(), two.get_weights(), strict=True)
    return {"one": ranges(one), "two": ranges(two), "apart": max(float(np.abs(a - b).max()) for a, b in pairs)}
"""

TENSORFLOW = """
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
one = simulation()
start = ranges(one)
fit(one)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    two = simulation()
fit(two)  # Keras goes on with the strategy the simulation was made under
said = compared(one, two) | {"start": start, "replicas": strategy.num_replicas_in_sync}
quantizers = [quantizer for quantizer in two.quantizers().values() if hasattr(quantizer, "maximum")]
said["on_second"] = [float(quantizer.maximum.value.values[1].numpy()) for quantizer in quantizers]
said["parity"] = lowbit.export(two, sys.argv[1], parity=[X]).parity.worst_equal
made_before = simulation()
def entered_late():
    with strategy.scope():
        fit(made_before)
def central():
    with tf.distribute.experimental.CentralStorageStrategy(["CPU:0", "CPU:1"]).scope():
        simulation()
def under(**options):
    with strategy.scope():
        simulation(**options)
said["late"] = refusal(entered_late)
said["central"] = refusal(central)
said["outside"] = refusal(lambda: two.compile("sgd", "sparse_categorical_crossentropy"))
said["xla"] = refusal(lambda: under(jit_compile=True))
said["loop"] = refusal(lambda: under(steps_per_execution=2))
print(json.dumps(said))
"""

JAX = """
one = simulation()
start = ranges(one)
fit(one)
devices = keras.distribution.list_devices("cpu")
keras.distribution.set_distribution(keras.distribution.DataParallel(devices=devices))
two = simulation()
fit(two)
said = compared(one, two) | {"start": start, "replicas": len(devices)}
print(json.dumps(said))
"""


def run(script: str, *arguments: str, **environment: str) -> dict:
    done = subprocess.run(
        [sys.executable, "-c", COMMON + script, *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory):
    return run(TENSORFLOW, str(tmp_path_factory.mktemp("distribution") / "two.tflite"))


def test_mirrored_devices_see_the_ranges_of_all(mirrored):
    assert mirrored["replicas"] == 2
    assert np.array(mirrored["two"]) == pytest.approx(np.array(mirrored["one"]), rel=1e-5)
    assert mirrored["on_second"] == [maximum for _, maximum, _ in mirrored["two"]]
    assert np.abs(np.array(mirrored["two"]) - np.array(mirrored["start"])).max(axis=1).min() > 1e-3  # they moved
    assert mirrored["apart"] < 1e-5


def test_what_mirrored_devices_trained_is_exported(mirrored):
    assert mirrored["parity"] == 1.0


@pytest.mark.parametrize(
    "case, match",
    [
        ("late", "made before MirroredStrategy was entered"),
        ("central", "CentralStorageStrategy"),
        ("outside", "call compile under strategy.scope"),
        ("xla", "jit_compile=True under MirroredStrategy with 2 devices"),
        ("loop", "steps_per_execution=2 under MirroredStrategy with 2 devices"),
    ],
)
def test_strategies_that_cannot_work_are_refused(mirrored, case, match):
    assert match in mirrored[case]


@pytest.mark.skipif(importlib.util.find_spec("jax") is None, reason="jax is not installed")
def test_data_parallel_devices_on_jax_train_as_one():
    flags = "--xla_force_host_platform_device_count=2"
    said = run(JAX, KERAS_BACKEND="jax", XLA_FLAGS=flags)
    assert said["replicas"] == 2
    assert np.array(said["two"]) == pytest.approx(np.array(said["one"]), rel=1e-4)
    assert np.abs(np.array(said["two"]) - np.array(said["start"])).max(axis=1).min() > 1e-3
    assert said["apart"] < 1e-5


def test_distribution_of_another_backend_is_refused():
    sim = lowbit.quantize_model(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)]), calibration=[np.eye(4)])
    keras.distribution.set_distribution(keras.distribution.DataParallel(devices=["cpu:0", "cpu:1"]))
    try:
        with pytest.raises(InputError, match="DataParallel on tensorflow, where Keras leaves it without effect"):
            sim.compile("sgd", "mse")
    finally:
        keras.distribution.set_distribution(None)
