# SPDX-License-Identifier: Apache-2.0
"""What a file can have as outputs, what they are called, and requests that would be silently ignored."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.errors import InputError, UnsupportedError
from lowbit.export import export, export_variant
from lowbit.runtime import Runner, inspect
from lowbit.simulation import quantize_model

VALUES = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")
ONE_TENSOR = "outputs 0 and 1 that are one tensor, 'dense'; expected each tensor once"
AN_INPUT = "that is an input of the model; expected outputs that operations of the file compute; leave it out"


def model(outputs):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,), name="x")
    return keras.Model(inputs, outputs(inputs, layers.Dense(3, name="dense")(inputs)))


NO_OUTPUTS = {
    "twice": (lambda x, y: [y, y], ONE_TENSOR),
    "twice by dropout": (lambda x, y: [y, layers.Dropout(0.1)(y)], ONE_TENSOR),
    "input": (lambda x, y: x, AN_INPUT),
    "dropped input": (lambda x, y: layers.Dropout(0.1)(x), AN_INPUT),
    "input beside": (lambda x, y: [y, x], AN_INPUT),
}


@pytest.mark.parametrize("name", NO_OUTPUTS)
def test_outputs_that_a_file_cannot_have(name, tmp_path):
    outputs, message = NO_OUTPUTS[name]
    float_model = model(outputs)
    simulation = quantize_model(float_model, calibration=[VALUES])
    with pytest.raises(UnsupportedError, match=message):
        export(simulation, tmp_path / "m.tflite")
    assert list(tmp_path.iterdir()) == []
    assert len(inspect(export_variant(float_model, tmp_path / "f.tflite", "float32").path).outputs) >= 1


def test_a_dict_of_outputs_has_the_users_keys(tmp_path):
    float_model = model(lambda x, y: {"logits": y, "aside": layers.Dense(2, name="second")(y)})
    result = export(quantize_model(float_model, calibration=[VALUES]), tmp_path / "m.tflite", parity=[VALUES])
    assert (result.parity.worst_equal, result.parity.missing) == (1.0, ())
    assert {tensor.name for tensor in result.parity.per_tensor} == {"x_quantized", "dense", "second"}
    for path in (result.path, export(float_model, tmp_path / "float.tflite").path):
        answers, found = float_model(VALUES[:1]), Runner.open(path)({"x": VALUES[:1]})
        assert set(found) == {"logits", "aside"}
        assert all(np.abs(found[key] - np.asarray(answers[key])).max() < 0.1 for key in found)


def where(x, y):
    return layers.Dense(3, name="after")(ops.where(y > 0.5, y, 0.0))


TRUTHS = {
    "where": (where, "float32"),
    "output": (lambda x, y: y > 0.0, "bool"),
    "and": (lambda x, y: ops.cast(ops.logical_and(y > 0.0, x[:, :3] < 1.0), "float32"), "float32"),
    "masked": (lambda x, y: layers.LSTM(2)(layers.Masking()(layers.Reshape((3, 2))(x))), "float32"),
}


@pytest.mark.parametrize("name", TRUTHS)
def test_truth_values_stay_what_they_are(name, tmp_path):
    outputs, dtype = TRUTHS[name]
    float_model = model(outputs)
    result = export(quantize_model(float_model, calibration=[VALUES]), tmp_path / "m.tflite", parity=[VALUES])
    assert result.parity.missing == () and result.parity.top1_agreement == 1
    runner = Runner.open(result.path)
    assert runner.outputs[0].dtype == dtype
    # a value beside the threshold is on its other side once rounded
    found = np.concatenate([next(iter(runner({"x": value[None]}).values())) for value in VALUES])
    answers = np.asarray(float_model(VALUES)).astype("float32")
    assert (np.abs(found.astype("float32") - answers) < 0.1).mean() > 0.9


def test_a_masked_embedding_of_whole_numbers(tmp_path):
    inputs = keras.Input((6,), dtype="int32", name="words")
    x = layers.GlobalAveragePooling1D()(layers.Embedding(9, 4, mask_zero=True)(inputs))
    words = np.random.default_rng(0).integers(0, 9, (16, 6)).astype("int32")
    simulation = quantize_model(keras.Model(inputs, layers.Dense(2)(x)), calibration=[words])
    assert export(simulation, tmp_path / "m.tflite", parity=[words]).parity.top1_agreement == 1


@pytest.mark.parametrize("name", ["calibration", "parity"])
def test_data_that_a_float_file_has_no_use_for(name, tmp_path):
    with pytest.raises(InputError, match=f"received {name} for a float file; expected a spec with"):
        export(model(lambda x, y: y), tmp_path / "m.tflite", **{name: [VALUES]})


def test_calibration_is_not_for_a_simulation(tmp_path):
    simulation = quantize_model(model(lambda x, y: y), calibration=[VALUES])
    with pytest.raises(InputError, match="received calibration for a simulation; .* call lowbit.calibrate"):
        export(simulation, tmp_path / "m.tflite", calibration=[VALUES])


@pytest.mark.parametrize(
    ("outputs", "named"),
    [(lambda x, y: layers.Dense(2)(ops.sort(x)), "input 'x'"), (lambda x, y: ops.sort(y), "output 'sort")],
)
def test_int8_ends_that_only_float_layers_use(outputs, named, tmp_path):
    simulation = quantize_model(model(outputs), calibration=[VALUES])
    with pytest.raises(InputError, match=f"io='int8' and {named}.*, which layers kept float alone compute with"):
        export(simulation, tmp_path / "m.tflite", io="int8")
