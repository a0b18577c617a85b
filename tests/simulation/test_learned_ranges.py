# SPDX-License-Identifier: Apache-2.0
"""Simulations whose ranges are trained: they train, save, load, freeze and export as the others do."""

import keras
import numpy as np
import pytest

from lowbit import qat
from lowbit.errors import InputError
from lowbit.export import export
from lowbit.simulation import quantize_model
from lowbit.simulation.weighted import WeightedLayer


def scales(simulation):
    """By layer, the trained scales of its weights."""
    layers = [layer for layer in simulation.simulated_layers() if isinstance(layer, WeightedLayer)]
    return {layer.name: np.asarray(layer.learned_scale()) for layer in layers}


def ranges(simulation):
    found = {name: one for name, one in simulation.quantizers().items() if hasattr(one, "ends")}
    return {name: tuple(float(end) for end in one.ends()) for name, one in found.items()}


@pytest.fixture(params=[pytest.param("w8a8", marks=pytest.mark.slow), "w4a8"])
def trained(request, digits, digits_calibration, digits_model):
    """Four epochs on digits, the last with frozen ranges; ranges and scales before and after."""
    simulation = quantize_model(digits_model, request.param, calibration=digits_calibration, ranges="learned")
    before = ranges(simulation), scales(simulation)
    batches = digits.train.batches(32, shuffle=True)
    qat.fit(simulation, batches, digits.validation.batches(64), epochs=4, learning_rate=1e-3, patience=9)
    return simulation, before


def test_training_moves_ranges_and_scales_and_the_file_has_them(trained, digits, tmp_path):
    simulation, (ranges_before, scales_before) = trained
    moved = [ranges(simulation)[name] != before for name, before in ranges_before.items()]
    assert sum(moved) > len(moved) / 2
    for name, before in scales_before.items():
        share = scales(simulation)[name] / before
        assert (share != 1).any() and (share > 0.2).all() and (share < 5).all(), name
    parity = export(simulation, tmp_path / "m.tflite", parity=digits.test.batches(64)).parity
    assert parity.worst_equal == parity.top1_agreement == 1.0
    outputs = simulation.predict(next(iter(digits.test.batches(len(digits.test))))[0], verbose=0)
    labels = next(iter(digits.test.batches(len(digits.test))))[1]
    assert (outputs.argmax(1) == labels).mean() > 0.95


def test_it_comes_back_bit_equal(every_layer, images, tmp_path):
    simulation = quantize_model(every_layer, "w4a8", calibration=[images], ranges="learned")
    simulation.compile(keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy")
    simulation.fit(images, np.zeros(len(images)), verbose=0)
    path = tmp_path / "simulation.keras"
    simulation.save(path)
    loaded = keras.models.load_model(path)
    assert scales(loaded).keys() == scales(simulation).keys()
    assert np.array_equal(loaded.predict(images, verbose=0), simulation.predict(images, verbose=0))
    assert len(loaded.trainable_variables) == len(simulation.trainable_variables)


def test_every_trained_range_has_a_gradient(every_layer, images, recwarn):
    """Ranges that are shared, or that of a product before its shift, are no weights to train."""
    simulation = quantize_model(every_layer, calibration=[images], ranges="learned")
    simulation.compile("adam", "sparse_categorical_crossentropy")
    simulation.fit(images[:8], np.zeros(8), verbose=0)
    assert not [one for one in recwarn if "Gradients do not exist" in str(one.message)]


def test_an_unknown_way_is_refused(every_layer):
    with pytest.raises(InputError, match="received ranges='lsq'; expected one of tracked, learned"):
        quantize_model(every_layer, ranges="lsq")


@pytest.mark.parametrize("excluded", [{}, {"var_names": ["bias"]}], ids=["nothing", "biases"])
def test_ranges_do_not_decay_and_what_else_was_excluded_does_not(digits_model, digits_calibration, excluded):
    """A learning rate of 0 for gradients leaves decay alone: 1 - 0.5 x 0.1 in a step, of what may decay."""
    simulation = quantize_model(digits_model, "w4a8", calibration=digits_calibration, ranges="learned")
    optimizer = keras.optimizers.SGD(0.5, weight_decay=0.1)
    optimizer.exclude_from_weight_decay(**excluded)
    simulation.compile(optimizer, "sparse_categorical_crossentropy")
    for variable in simulation.trainable_variables:
        variable.assign(np.ones(variable.shape, "float32"))
    simulation.optimizer.apply([np.zeros(one.shape, "float32") for one in simulation.trainable_variables])
    shrunk = {one.path: float(np.ravel(one)[0]) for one in simulation.trainable_variables}
    ranges = {path for path in shrunk if "moved_" in path}
    assert len(ranges) > 4 and {shrunk[path] for path in ranges} == {1.0}
    kept = {path for path in shrunk if excluded and "bias" in path}
    assert {shrunk[path] for path in kept} <= {1.0}
    others = [shrunk[path] for path in set(shrunk) - ranges - kept]
    assert others and others == pytest.approx([0.95] * len(others))
