# SPDX-License-Identifier: Apache-2.0
"""A sum is one SUM in the file, with the simulation's codes."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.export import export
from lowbit.simulation import quantize_model

SUMS = {
    "last axis": (lambda x: ops.sum(x, axis=-1), (9, 12)),
    "tokens": (lambda x: ops.sum(x, axis=1), (150, 8)),
    "all but the batch": (lambda x: ops.sum(x, axis=(1, 2), keepdims=True), (7, 12)),
    "places of an image": (lambda x: ops.sum(x, axis=(1, 2)), (6, 5, 8)),
    "lines by lines": (lambda x: layers.Dot(1)([x, x * x + 0.3]), (12,)),
}


def sums(name: str) -> tuple[keras.Model, np.ndarray]:
    call, shape = SUMS[name]
    keras.utils.set_random_seed(3)
    inputs = keras.Input(shape, name="values")
    x = layers.Dense(shape[-1], name="before")(inputs)
    model = keras.Model(inputs, call(x))
    return model, np.random.default_rng(4).normal(0.2, 1.0, (64, *shape)).astype("float32")


@pytest.mark.parametrize("name", SUMS)
def test_a_sum_exports_code_for_code(name, tmp_path):
    model, data = sums(name)
    result = export(quantize_model(model, calibration=[data]), tmp_path / "m.tflite", parity=[data]).parity
    assert [tensor.op for tensor in result.per_tensor].count("SUM") == 1
    assert (result.worst_equal, result.missing) == (1.0, ())


def test_with_16_bits_a_sum_keeps_its_values(tmp_path):
    model, data = sums("tokens")
    result = export(quantize_model(model, "w8a16", calibration=[data]), tmp_path / "m.tflite", parity=[data]).parity
    (summed,) = [tensor for tensor in result.per_tensor if tensor.op == "SUM"]
    assert summed.within_one > 0.99
