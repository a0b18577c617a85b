# SPDX-License-Identifier: Apache-2.0
"""Every recipe that writes a file: it opens, it is as small as its bits say, and the caller's model is untouched."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowbit import recipes
from lowbit.recipes import Made, Request
from lowbit.runtime import inspect

WRITTEN = [name for name in recipes.names() if recipes.get(name).maker]
FROM_FLOAT = [name for name in WRITTEN if recipes.get(name).source in ("float", "finetuned")]


def state(model: Any) -> list[Any]:
    """Everything of a model that a recipe must leave alone."""
    names = [layer.name for layer in model.layers], [layer.trainable for layer in model.layers]
    weights = [(variable.path, np.asarray(variable).tobytes()) for variable in model.variables]
    return [names, weights, model.compiled, model.trainable]


def make(name: str, model: Any, path: Path, calibration: Any) -> Made:
    recipe = recipes.get(name)
    parity = calibration[:1] if recipe.spec else None
    return recipe.make(Request(model=model, path=path, calibration=calibration, parity=parity))


@pytest.mark.parametrize("name", FROM_FLOAT)
def test_a_float_model_is_written_and_left_alone(
    name: str, digits_model: Any, digits_calibration: Any, tmp_path: Path
) -> None:
    before = state(digits_model)
    made = make(name, digits_model, tmp_path / "x.tflite", digits_calibration)
    assert state(digits_model) == before
    assert made.path.stat().st_size == made.size_bytes
    inside, recipe = inspect(made.path), recipes.get(name)
    assert inside.weights_dtype == recipe.weights
    if recipe.spec:
        assert inside.activations_dtype == recipe.activations and inside.float_ops == 0
        assert made.parity is not None and made.parity.top1_agreement == 1.0 and made.summary
    else:
        assert made.parity is None and made.summary is None


def test_a_simulation_is_written_and_left_alone(
    digits_simulation: Any, digits_calibration: Any, tmp_path: Path
) -> None:
    before = state(digits_simulation)
    made = make("qat-w8a8", digits_simulation, tmp_path / "x.tflite", digits_calibration)
    assert state(digits_simulation) == before
    assert made.parity is not None and made.parity.worst_equal == 1.0


def test_integer_inputs_and_outputs(digits_model: Any, digits_calibration: Any, tmp_path: Path) -> None:
    request = Request(model=digits_model, path=tmp_path / "x.tflite", calibration=digits_calibration, io="int8")
    inside = inspect(recipes.get("ptq-w8a8").make(request).path)
    assert (inside.inputs[0].dtype, inside.outputs[0].dtype) == ("int8", "int8")
