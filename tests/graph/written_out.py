# SPDX-License-Identifier: Apache-2.0
"""What the tables of layers and operations share: one call as a model, written out, and compared."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import tree

from lowbit.quantizers import Mode, forward_mode
from lowbit.simulation import fates, quantize_model
from lowbit.simulation.moving import MOVED

BATCH = 3


def symbol(place: Any) -> Any:
    """A symbolic input of a shape without batch axis, or of (shape, dtype)."""
    if place and isinstance(place[0], tuple):
        return keras.Input(place[0], dtype=place[1])
    return keras.Input(place)


def model_of(call: Callable[..., Any], *places: Any) -> keras.Model:
    """A model that is one call of a layer or function on inputs of these shapes, with random weights."""
    inputs = [symbol(place) for place in places]
    model = keras.Model(inputs if len(inputs) > 1 else inputs[0], call(*inputs))
    generator = np.random.default_rng(5)
    for weight in model.weights:
        if not str(weight.dtype).startswith("float"):
            continue
        is_positive = weight.path.endswith(("variance", "gamma", "scale"))
        drawn = generator.uniform(0.5, 2, weight.shape) if is_positive else generator.normal(size=weight.shape)
        weight.assign(drawn)
    return model


def samples(model: keras.Model) -> list[np.ndarray]:
    generator = np.random.default_rng(7)
    drawn = []
    for tensor in model.inputs:
        shape = (BATCH, *tensor.shape[1:])
        is_whole = tensor.dtype.startswith("int")
        drawn.append(generator.integers(0, 5, shape) if is_whole else generator.normal(size=shape))
    return [values.astype(tensor.dtype) for values, tensor in zip(drawn, model.inputs, strict=True)]


def check_written_out(call: Callable[..., Any], places: Sequence[Any], kept: str = "") -> Any:
    """The simulation of one call predicts in float what the model predicts, and only `kept` stays float.

    Args:
        kept: what the reason matches, for each layer that stays float; without it none may.
    """
    model = model_of(call, *places)
    values = samples(model)
    given = values if len(values) > 1 else values[0]
    try:
        wanted = model(given, training=False)
    except (tf.errors.UnimplementedError, tf.errors.InvalidArgumentError) as error:
        pytest.skip(f"TensorFlow cannot compute this layer on this CPU, which oneDNN does not serve: {error}")
    simulation = quantize_model(model)
    with forward_mode(Mode.FLOAT):
        made = simulation(given)
    tree.assert_same_structure(made, wanted)
    for one, other in zip(tree.flatten(made), tree.flatten(wanted), strict=True):
        one, other = keras.ops.convert_to_numpy(one), keras.ops.convert_to_numpy(other)
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    reasons = {fate.reason for fate in fates(simulation) if fate.fate != "quantized"}
    if kept:
        reasons -= {MOVED}  # for them
        assert reasons and all(re.search(kept, reason) for reason in reasons), reasons
    else:
        assert not reasons, reasons
    return simulation
