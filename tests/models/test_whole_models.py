# SPDX-License-Identifier: Apache-2.0
"""Whole models, each trained for an epoch as a simulation, exported, saved, loaded and stripped."""

import keras
import numpy as np
import pytest
import vision_models
from cases import CASES, UNMENDED
from keras import tree
from whole import codes_of, file_outputs, float_outputs, state, weights_of

import lowbit
from lowbit.errors import LowbitError, UnsupportedError
from lowbit.simulation import Simulation, fates


def _parameter(case):
    marks = (
        [pytest.mark.xfail(strict=True, raises=LowbitError, reason=UNMENDED[case.name])]
        if case.name in UNMENDED
        else []
    )
    return pytest.param(case, id=case.name, marks=marks)


every_model = pytest.mark.parametrize("whole", [_parameter(case) for case in CASES], indirect=True)


def one_model(name):
    return pytest.mark.parametrize("whole", [_parameter(case) for case in CASES if case.name == name], indirect=True)


@every_model
def test_the_file_computes_the_codes_of_the_simulation(whole):
    parity = whole.parity
    assert parity.missing == ()
    assert parity.top1_agreement >= 0.98
    assert {tensor.name: tensor.equal for tensor in parity.per_tensor if tensor.equal < 1} == {}
    compared = {tensor.name for tensor in parity.per_tensor}
    assert {name.removesuffix("_quantized") for name in whole.simulation.quantizers()} <= {
        name.removesuffix("_quantized") for name in compared
    }
    assert max(tensor.distinct_codes for tensor in parity.per_tensor) > 50


@every_model
def test_every_output_of_the_file_is_the_simulations(whole):
    answer = whole.simulation(whole.inputs, training=False)
    found = file_outputs(whole, samples=8)
    named = answer if isinstance(answer, dict) else dict(zip(whole.simulation.output_names, tree.flatten(answer)))
    assert set(found) == set(named)
    for name, values in named.items():
        np.testing.assert_allclose(found[name], np.asarray(values)[:8], rtol=1e-6, atol=1e-6)


@every_model
def test_training_moves_the_simulations_weights_and_not_the_models(whole):
    assert state(whole.model) == whole.before
    trained = lowbit.strip(whole.simulation, into=whole.build())
    pairs = zip(weights_of(trained), whole.fresh_weights, whole.model.weights, strict=True)
    moved = {weight.path: not np.array_equal(ours, fresh) for ours, fresh, weight in pairs}
    assert [weight.path for weight in whole.model.trainable_weights if not moved[weight.path]] == []


@every_model
def test_each_layer_has_a_fate(whole):
    kept = {fate.layer: fate.reason for fate in fates(whole.simulation) if fate.fate != "quantized"}
    assert set(kept) == set(whole.case.kept)
    for layer, words in whole.case.kept.items():
        assert words in kept[layer]


@every_model
def test_a_saved_simulation_has_the_same_codes_and_the_same_file(whole, tmp_path):
    whole.simulation.save(tmp_path / "simulation.keras")
    loaded = keras.models.load_model(tmp_path / "simulation.keras")
    assert isinstance(loaded, Simulation)
    ours, theirs = codes_of(whole.simulation, whole.inputs), codes_of(loaded, whole.inputs)
    assert set(ours) == set(theirs)
    assert [name for name in ours if not np.array_equal(ours[name], theirs[name])] == []
    lowbit.export(loaded, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == whole.path.read_bytes()


@every_model
def test_the_stripped_model_is_the_simulation_in_float(whole):
    if whole.case.makes_itself:
        model = lowbit.strip(whole.simulation)
        assert type(model) is type(whole.model)
    else:
        with pytest.raises(UnsupportedError, match="pass into="):
            lowbit.strip(whole.simulation)
        model = whole.build()
        model.set_weights(whole.model.get_weights())  # of those the simulation has as constants
        model = lowbit.strip(whole.simulation, into=model)
    wanted = float_outputs(whole.simulation, whole.inputs)
    found = [np.asarray(one) for one in tree.flatten(model(whole.inputs, training=False))]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@one_model("used_twice")
def test_a_layer_used_twice_has_one_kernel_and_two_ranges(whole):
    layer = whole.simulation.get_layer("shared_conv")
    assert len(layer.output_quantizers) == 2
    quantizers = whole.simulation.quantizers()
    first, second = quantizers["shared_conv"], quantizers["shared_conv_use_2"]
    assert float(first.parameters()[0]) != float(second.parameters()[0])
    assert [list(weight.shape) for weight in layer.trainable_weights] == [[3, 3, 8, 8], [8]]
    kernels = [weight for weight in whole.simulation.weights if tuple(weight.shape) == (3, 3, 8, 8)]
    assert len(kernels) == 1


@one_model("transfer")
def test_a_frozen_backbone_stays_as_it_was(whole):
    trained = lowbit.strip(whole.simulation).get_layer("backbone")
    for ours, theirs in zip(weights_of(trained), weights_of(whole.model.get_layer("backbone")), strict=True):
        assert np.array_equal(ours, theirs)
    assert not trained.trainable_weights


def test_attention_with_dropout_is_computed_in_integers():
    simulation = lowbit.quantize_model(vision_models.transformer_with_dropout())
    assert [fate.layer for fate in fates(simulation) if fate.fate != "quantized"] == []
