# SPDX-License-Identifier: Apache-2.0
"""One layer that stays float, called several times: each call has its own arguments, and its own tensor in the file."""

import keras
import numpy as np
import pytest
from keras import layers, tree

import lowbit
from lowbit.errors import UnsupportedError
from lowbit.quantizers import Mode, forward_mode
from lowbit.runtime import Runner
from lowbit.simulation import fates

GENERATOR = np.random.default_rng(0)
ROWS = {name: GENERATOR.normal(size=(16, 6, 4)).astype("float32") for name in ("left", "right")}
WORDS = {"words": GENERATOR.integers(0, 11, (16, 6)).astype("int32")}


def state_of_another_call():
    inputs = keras.Input((6, 4), name="left")
    gru = layers.GRU(4, name="gru")
    first = gru(inputs)
    return keras.Model(inputs, [first, gru(inputs, initial_state=first)])


def read_backwards():
    inputs = keras.Input((6,), dtype="int32", name="words")
    table = layers.ReversibleEmbedding(11, 5, name="table")
    return keras.Model(inputs, table(layers.Dense(5, name="dense")(table(inputs)), reverse=True))


def siamese(name="head"):
    left, right = keras.Input((6, 4), name="left"), keras.Input((6, 4), name="right")
    encoder = layers.LSTM(4, name="encoder")
    x = layers.Concatenate(name="join")([encoder(left), encoder(right)])
    return keras.Model([left, right], layers.Dense(2, name=name)(x))


@pytest.mark.parametrize(
    ("build", "data"),
    [(state_of_another_call, ROWS), (read_backwards, WORDS), (siamese, ROWS)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_each_call_has_its_own_arguments(build, data, tmp_path):
    keras.utils.set_random_seed(1)
    model = build()
    inputs = {tensor.name: data[tensor.name] for tensor in model.inputs}
    simulation = lowbit.quantize_model(model, calibration=[inputs])
    given = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    wanted = [np.asarray(one) for one in tree.flatten(model(given))]
    with forward_mode(Mode.FLOAT):
        found = [np.asarray(one) for one in tree.flatten(simulation(given))]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    assert [fate.fate for fate in fates(simulation)].count("kept float") == 1

    simulation.save(tmp_path / "simulation.keras")
    loaded = keras.models.load_model(tmp_path / "simulation.keras")
    simulated = [np.asarray(one) for one in tree.flatten(simulation(given))]
    for ours, theirs in zip(tree.flatten(loaded(given)), simulated, strict=True):
        assert np.array_equal(np.asarray(ours), theirs)

    result = lowbit.export(simulation, tmp_path / "model.tflite", parity=[inputs])
    assert (result.parity.worst_equal, result.parity.missing) in {(1.0, ()), (None, ())}
    run = Runner((tmp_path / "model.tflite").read_bytes(), source="model.tflite")
    outputs = run({name: values[:1] for name, values in inputs.items()})
    for name, values in zip(sorted(outputs), simulated, strict=True):  # the second use's name is the longer one
        np.testing.assert_allclose(outputs[name], values[:1], atol=1e-5)


@pytest.mark.parametrize("name", ["encoder_quantized", "encoder_use_2", "encoder_use_2_quantized"])
def test_a_layer_with_the_name_of_one_of_the_files_own_tensors(name):
    with pytest.raises(UnsupportedError, match=f"a layer named '{name}'.*rename the layer"):
        lowbit.quantize_model(siamese(name))
