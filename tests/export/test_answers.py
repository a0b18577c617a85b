# SPDX-License-Identifier: Apache-2.0
"""The gate of an export: every output counts, one-value outputs too, and numbers that cannot be compared are named."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.card import card_path
from lowbit.errors import ExportError, InputError, UnsupportedError
from lowbit.export import export, parity, write
from lowbit.export.answers import Answers
from lowbit.runtime import flatbuffer
from lowbit.simulation import quantize_model

VALUES = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")


def simulated(outputs):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, outputs(inputs, layers.Dense(4, name="dense")(inputs)))
    return quantize_model(model, calibration=[VALUES])


def row(*values):
    return np.array([values], dtype="float32")


CASES = {
    "both": ([row(1, 2), row(3, 1)], [row(0, 5), row(3, 2)], 1.0),
    "second differs": ([row(1, 2), row(3, 1)], [row(0, 5), row(1, 2)], 0.0),
    "half the pixels": ([np.eye(2)], [np.array([[1, 0], [1, 0]])], 0.5),
    "one value, near": ([row(10.0)], [row(10.05)], 1.0),
    "one value, far": ([row(10.0)], [row(10.2)], 0.0),
    "one value, zero": ([row(0.0)], [row(0.001)], 0.0),
    "no values": ([row()], [row()], None),
}


@pytest.mark.parametrize("name", CASES)
def test_agreement_by_hand(name):
    ours, theirs, agreement = CASES[name]
    answers = Answers([f"output {number}" for number, _ in enumerate(ours)], [None] * len(ours))
    answers.add(ours, theirs)
    assert answers.agreement() == agreement


def test_a_file_of_another_model_is_refused():
    with pytest.raises(InputError, match=r"outputs of \[2\] values .* outputs of \[1\] values"):
        Answers(["only"], [None]).add([row(1)], [row(1, 2)])


def changed(path, name, offset):
    """The file with all codes of a bias shifted."""
    model = flatbuffer.read(path.read_bytes())
    (bias,) = (t for t in model.subgraphs[0].tensors if flatbuffer.text(t.name) == name)
    flatbuffer.set_constant(model, bias, flatbuffer.constant(model, bias, "int32") + np.int32(offset))
    path.write_bytes(flatbuffer.write(model))
    card_path(path).unlink()


def test_the_second_output_and_one_value_count(tmp_path):
    simulation = simulated(lambda x, y: [y, layers.Dense(1, name="value")(x)])
    path = tmp_path / "m.tflite"
    assert export(simulation, path, parity=[VALUES], keep_names=True).parity.top1_agreement == 1
    changed(path, "value/bias", 20_000)
    found = parity(simulation, path, [VALUES])
    assert {tensor.name for tensor in found.per_tensor if tensor.within_one < 0.5} == {"value"}
    assert found.top1_agreement < 0.5


def test_integers_that_are_far_apart_are_no_success(monkeypatch, tmp_path):
    def far(*arguments, **options):
        found = original(*arguments, **options)
        tensors = [dataclasses.replace(one, within_one=0.4) if one.name == "dense" else one for one in found.per_tensor]
        return dataclasses.replace(found, per_tensor=tuple(tensors))

    original = write.measure_parity
    monkeypatch.setattr(write, "measure_parity", far)
    simulation = simulated(lambda x, y: layers.Dense(2, name="last")(y))
    with pytest.raises(ExportError, match=r"tensor 'dense' \(FULLY_CONNECTED\) .* in 40.0% of its values"):
        export(simulation, tmp_path / "m.tflite", parity=[VALUES])
    assert list(tmp_path.iterdir()) == []
    assert export(simulation, tmp_path / "m.tflite", parity=[VALUES], least_agreement=None).parity is not None


def test_an_infinite_output_is_named(tmp_path):
    simulation = simulated(lambda x, y: ops.log(layers.Softmax()(y * 20.0)))
    with pytest.raises(ExportError, match="output 'log' of the simulation has . of 4 values that are -inf"):
        export(simulation, tmp_path / "m.tflite", parity=[VALUES])
    assert list(tmp_path.iterdir()) == []


ACROSS = {
    "mean": lambda x, y: layers.Dense(3, name="last")(x - ops.mean(x, axis=0)),
    "sum": lambda x, y: ops.sum(y),
    "float": lambda x, y: ops.sort(y, axis=0),
}


@pytest.mark.parametrize("name", ACROSS)
def test_a_model_across_the_batch_is_said_so(name, tmp_path):
    with pytest.raises(UnsupportedError, match="for a sample alone is not what it is in a batch of 16: .* across the"):
        export(simulated(ACROSS[name]), tmp_path / "m.tflite", parity=[VALUES[:1], VALUES])


MERGED = {"rows": (-1, 2), "values": (-1,)}


@pytest.mark.parametrize("name", MERGED)
def test_a_batch_merged_with_another_axis(name, tmp_path):
    simulation = simulated(lambda x, y: ops.reshape(y, MERGED[name]))
    found = export(simulation, tmp_path / "m.tflite", parity=[VALUES]).parity
    assert (found.worst_equal, found.top1_agreement) == (1.0, 1.0)


@pytest.mark.parametrize("data", [5, "digits", VALUES, {"x": VALUES}])
def test_what_is_no_batches(data, tmp_path):
    simulation = simulated(lambda x, y: y)
    with pytest.raises(InputError, match=r"received parity data .*; expected an iterable of batches; pass \[array\]"):
        export(simulation, tmp_path / "m.tflite", parity=data)


def test_a_16_bit_output_that_is_far_off_is_no_success(tmp_path):
    """Tokens of very different sizes: LiteRT's 16-bit RSQRT is far from 1 / sqrt at the small variances."""
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    tokens = generator.normal(size=(16, 10, 16)) * generator.uniform(0.05, 3, (16, 10, 1))
    inputs = keras.Input((10, 16), name="tokens")
    model = keras.Model(inputs, keras.layers.LayerNormalization(name="norm")(keras.layers.Dense(16)(inputs)))
    simulation = quantize_model(model, "w8a16", calibration=[tokens])
    with pytest.raises(ExportError, match=r"a 16-bit output .* of its range.*'norm_rsqrt' \(RSQRT\)"):
        export(simulation, tmp_path / "m.tflite", parity=[tokens])
    assert list(tmp_path.iterdir()) == []
    written = export(simulation, tmp_path / "m.tflite", parity=[tokens], least_agreement=None)
    assert written.parity.output_max_codes > 3277
