# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest
from keras import layers

from lowbit.errors import InputError, UnsupportedError
from lowbit.quantizers import Mode, forward_mode
from lowbit.simulation import calibrate, fates, quantize_model, strip


def test_without_quantization_the_simulation_is_the_model(every_layer, images):
    simulation = quantize_model(every_layer)
    with forward_mode(Mode.FLOAT):
        output = np.asarray(simulation(images))
    assert np.abs(output - every_layer.predict(images, verbose=0)).max() < 1e-6


@pytest.mark.parametrize("spec", ["w8a8", "w4a8"])
def test_compiled_predictions_are_the_eager_ones_bit_for_bit(every_layer, images, spec):
    simulation = quantize_model(every_layer, spec, calibration=[images])
    compiled = simulation.predict(images, verbose=0)
    assert np.array_equal(compiled, np.asarray(simulation(images, training=False)))


def test_quantization_changes_little(every_layer, images):
    simulation = quantize_model(every_layer, calibration=[images])
    difference = np.abs(simulation.predict(images, verbose=0) - every_layer.predict(images, verbose=0))
    assert 0 < difference.max() < 0.1


def test_the_callers_model_is_not_changed(every_layer, images):
    every_layer.compile("adam", "sparse_categorical_crossentropy")
    weights, config, optimizer = every_layer.get_weights(), every_layer.get_config(), every_layer.optimizer
    nodes = {layer.name: len(layer._inbound_nodes) for layer in every_layer.layers}
    simulation = quantize_model(every_layer, calibration=[images])
    simulation.compile("adam", "sparse_categorical_crossentropy")
    simulation.fit(images, np.zeros(len(images)), verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(weights, every_layer.get_weights(), strict=True))
    assert every_layer.get_config() == config
    assert every_layer.optimizer is optimizer
    assert {layer.name: len(layer._inbound_nodes) for layer in every_layer.layers} == nodes


def test_strip_gives_the_float_model_back(every_layer, images):
    plain = strip(quantize_model(every_layer, calibration=[images]))
    assert np.abs(plain.predict(images, verbose=0) - every_layer.predict(images, verbose=0)).max() < 1e-6
    assert not any("lowbit" in type(layer).__module__ for layer in plain.layers)


def test_every_layer_has_a_fate(every_layer):
    found = {fate.layer: fate for fate in fates(quantize_model(every_layer))}
    assert set(found) == {layer.name for layer in every_layer.layers} - {"image"}
    assert {fate.fate for fate in found.values()} == {"quantized"}
    assert found["stem_relu"].operation == "stem"


def test_a_layer_without_integer_form_is_kept_float_and_says_so(images):
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, name="conv")(inputs)
    outputs = layers.Flatten(name="flat")(layers.ELU(name="elu")(x))
    simulation = quantize_model(keras.Model(inputs, outputs), calibration=[images])
    fate = {fate.layer: fate for fate in fates(simulation)}["elu"]
    assert (fate.fate, fate.reason) == ("kept float", "no integer form of ELU")
    assert np.isfinite(simulation.predict(images, verbose=0)).all()


def test_four_bits_keep_depthwise_at_eight(every_layer):
    bits = {fate.layer: fate.weight_bits for fate in fates(quantize_model(every_layer, "w4a8"))}
    assert (bits["project"], bits["predictions"], bits["depthwise"], bits["add"]) == (4, 4, 8, None)


def test_summary_shows_the_quantized_layers(every_layer):
    lines: list[str] = []
    quantize_model(every_layer).summary(print_fn=lambda line, **_: lines.append(line), line_length=120)
    assert "stem (QuantizedConv2D)" in "\n".join(lines)


def test_predicting_before_calibration_is_an_error(every_layer, images):
    simulation = quantize_model(every_layer)
    with pytest.raises(InputError, match=r"without ranges for \d+ tensors, 'image_quantized' first"):
        simulation.predict(images)


def test_the_first_training_batch_calibrates(every_layer, images):
    simulation = quantize_model(every_layer)
    simulation.compile("adam", "sparse_categorical_crossentropy")
    simulation.fit(images, np.zeros(len(images)), verbose=0)
    assert np.isfinite(simulation.predict(images, verbose=0)).all()


def test_a_simulation_is_not_quantized_again(every_layer):
    with pytest.raises(UnsupportedError, match="expected a float model"):
        quantize_model(quantize_model(every_layer))


def test_nan_weights_are_refused_by_name(every_layer):
    kernel = every_layer.get_layer("stem").kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(InputError, match="NaN or infinite values in weight 'stem/kernel'"):
        quantize_model(every_layer)


@pytest.mark.parametrize("spec", ["w3a8", "w8", "int8", None, "w8a8 "])
def test_a_spec_no_runtime_takes_names_what_is_possible(every_layer, spec):
    with pytest.raises(InputError, match="w8a8, w4a8, w8a16 or w4a16"):
        quantize_model(every_layer, spec)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "no calibration batches"),
        ([np.zeros((2, 8, 8, 3))], r"shape \(2, 8, 8, 3\) for input 'image'.*\(batch, 16, 16, 3\)"),
        ([np.zeros((0, 16, 16, 3))], r"shape \(0, 16, 16, 3\)"),
        ([np.full((1, 16, 16, 3), np.nan)], "NaN or infinite values for input 'image' in batch 0"),
        ([{"image": np.zeros((1, 16, 16, 3)), "more": np.zeros(1)}], r"inputs \['image', 'more'\]"),
    ],
)
def test_bad_calibration_data_leaves_the_ranges_alone(every_layer, images, batches, message):
    simulation = quantize_model(every_layer, calibration=[images])
    before = simulation.get_weights()
    with pytest.raises(InputError, match=message):
        calibrate(simulation, batches)
    assert all(np.array_equal(a, b) for a, b in zip(before, simulation.get_weights(), strict=True))


def test_constant_data_calibrates_without_nan(every_layer):
    simulation = quantize_model(every_layer, calibration=[np.zeros((2, 16, 16, 3))])
    assert np.isfinite(simulation.predict(np.zeros((2, 16, 16, 3)), verbose=0)).all()


def test_batches_come_in_many_forms(every_layer, images):
    forms = [images], [(images, np.zeros(64))], [{"image": images}], [({"anything": images}, None)]
    weights = [quantize_model(every_layer, calibration=form).get_weights() for form in forms]
    for other in weights[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(weights[0], other, strict=True))
