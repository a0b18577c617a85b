# SPDX-License-Identifier: Apache-2.0
"""QAT trains, repairs what post-training quantization breaks, and differs from its control in the quantizers only."""

from typing import Any

import keras
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.recipes.training import Batches, Training, copy, train
from lowbit.simulation import Simulation, quantize_model
from lowbit.training import predict


@pytest.fixture
def batches(digits: Any, digits_calibration: Any) -> Batches:
    return Batches(
        train=digits.train.batches(32, shuffle=True),
        validation=digits.validation.batches(64),
        calibration=digits_calibration,
    )


def weights(model: Any) -> list[np.ndarray]:
    return [np.asarray(variable).copy() for variable in model.weights]


def accuracy(model: Any, digits: Any) -> float:
    outputs, labels = predict(model, digits.test.batches(64))
    return float(np.mean(np.argmax(outputs, axis=-1) == labels))


SLOW = [pytest.param(stage, marks=pytest.mark.slow) for stage in ("float", "qat-scratch-w8a8")]


@pytest.mark.parametrize("stage", ["finetuned", "qat-w8a8", *SLOW])
def test_the_model_to_start_from_is_never_changed(stage: str, digits_model: Any, batches: Batches) -> None:
    before = weights(digits_model)
    trained, history = train(stage, digits_model, batches, Training(epochs=1, learning_rate=1e-4))
    assert all(np.array_equal(a, b) for a, b in zip(before, weights(digits_model), strict=True))
    assert isinstance(trained, Simulation) == stage.startswith("qat") and history.trained_epochs == 1


def test_the_control_and_qat_are_the_same_training_but_for_the_quantizers(digits_model: Any, batches: Batches) -> None:
    """Both train all layers, see the same batches, and measure batch-norm statistics anew."""
    settings = Training(epochs=1, learning_rate=1e-4)
    control, _ = train("finetuned", digits_model, batches, settings)
    simulation, _ = train("qat-w8a8", digits_model, batches, settings)
    norms = (keras.layers.BatchNormalization,)
    before, of_control, of_simulation = (
        [layer.get_weights() for layer in model._flatten_layers() if isinstance(layer, norms)]
        for model in (digits_model, control, simulation)
    )
    assert len(before) == len(of_control) == len(of_simulation) > 1
    for old, *trained in zip(before, of_control, of_simulation, strict=True):
        for new in trained:
            assert not any(np.array_equal(a, b) for a, b in zip(old, new, strict=True))
        assert np.allclose(trained[0][2], trained[1][2], atol=0.3)  # means of the same data, rounded or not
    assert len(simulation.trainable_weights) >= len(control.trainable_weights)


def with_outliers(model: Any) -> Any:
    """A copy with uneven weights: one in each output channel is four times the largest, so 4-bit steps are coarse."""
    uneven = copy(model)
    for layer in uneven.layers:
        kernel = getattr(layer, "kernel", None)
        if kernel is None or isinstance(layer, keras.layers.DepthwiseConv2D) or np.prod(kernel.shape[:-1]) < 8:
            continue
        flat = np.asarray(kernel).reshape(-1, kernel.shape[-1]).copy()
        columns = np.arange(flat.shape[1])
        rows = np.random.default_rng(0).integers(0, len(flat), len(columns))
        flat[rows, columns] = 4 * np.sign(flat[rows, columns]) * np.abs(flat).max(axis=0)
        kernel.assign(flat.reshape(kernel.shape))
    return uneven


@pytest.mark.slow
def test_training_repairs_four_bit_weights_where_quantizing_afterwards_fails(
    digits_model: Any, digits: Any, batches: Batches
) -> None:
    """Against the control, which trains on as long without quantizers and is quantized then."""
    uneven, settings = with_outliers(digits_model), Training(epochs=6, learning_rate=1e-3)
    control, _ = train("finetuned", uneven, batches, settings)
    after = quantize_model(control, "w4a8", calibration=batches.calibration)
    trained, _ = train("qat-w4a8", uneven, batches, settings)
    assert accuracy(control, digits) > 0.8
    assert accuracy(trained, digits) > accuracy(after, digits) + 0.15


def test_unknown_stages_are_refused(digits_model: Any, batches: Batches) -> None:
    with pytest.raises(InputError, match="stage 'pruned'"):
        train("pruned", digits_model, batches, Training(epochs=1, learning_rate=1e-4))


@pytest.mark.slow
def test_a_simulation_learns_ranges_and_from_the_model_it_was_made_of(digits_model: Any, batches: Batches) -> None:
    """Of a teacher alone: labels that are all wrong do no harm."""
    wrong = [(x, (labels + 1) % 10) for x, labels in batches.train]
    taught = Batches(train=wrong, validation=batches.validation, calibration=batches.calibration)
    settings = Training(epochs=1, learning_rate=1e-3, ranges="learned", teacher_share=1.0)
    simulation, history = train("qat-w8a8", digits_model, taught, settings)
    assert history.logs["val_accuracy"][-1] > 0.9 > 0.1 > history.logs["accuracy"][-1]
    learned = [variable for variable in simulation.trainable_weights if variable.name.startswith("moved")]
    assert any(np.any(np.asarray(variable)) for variable in learned)
