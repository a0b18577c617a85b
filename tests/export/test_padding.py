# SPDX-License-Identifier: Apache-2.0
"""Padding by hand before a convolution goes into the convolution where "SAME" is the same; the bits stay."""

import keras
import numpy as np
import pytest
from keras import layers

import lowbit
from lowbit.export import integers
from lowbit.runtime import inspect, predict


def build(size, padding, *, kernel=3, strides=2, after=layers.Conv2D, both=False):
    inputs = keras.Input((size, size, 3), name="image")
    x = padded = layers.ZeroPadding2D(padding, name="pad")(inputs)
    options = {"filters": 4} if after is layers.Conv2D else {}
    x = after(**options, kernel_size=kernel, strides=strides, name="conv")(x)
    x = layers.Flatten(name="flat")(x)
    if both:
        x = layers.Concatenate(name="both")([x, layers.Flatten(name="padded")(padded)])
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


CASES = {
    "as MobileNet": (lambda: build(16, ((0, 1), (0, 1))), True),
    "depthwise": (lambda: build(16, ((0, 1), (0, 1)), after=layers.DepthwiseConv2D), True),
    "an odd size": (lambda: build(15, 1), True),
    "without strides": (lambda: build(16, 1, strides=1), True),
    "on the other side": (lambda: build(16, ((1, 0), (1, 0))), False),
    "more than SAME": (lambda: build(16, 2, strides=1), False),
    "a larger kernel": (lambda: build(17, 2, kernel=5), True),
    "read twice": (lambda: build(16, ((0, 1), (0, 1)), both=True), False),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("spec", ["w8a8", None])
def test_the_pad_goes_where_same_is_the_same_and_the_bits_stay(case, spec, tmp_path, monkeypatch):
    make, fuses = CASES[case]
    keras.utils.set_random_seed(1)
    model = make()
    x = np.random.default_rng(0).normal(size=(8, *model.input_shape[1:])).astype("float32")
    given = {} if spec is None else {"spec": spec, "calibration": [x], "parity": [x]}
    fused = lowbit.export(model, tmp_path / "fused.tflite", **given)
    monkeypatch.setattr(integers.padding, "fuse", lambda model: None)
    padded = lowbit.export(model, tmp_path / "padded.tflite", **given)
    has_pad = ["PAD" in {op.op for op in inspect(one.path).ops} for one in (fused, padded)]
    assert has_pad == [not fuses, True]
    if spec is not None:
        assert fused.parity.worst_equal == 1.0
    outputs = [predict(one.path, [x]).outputs for one in (fused, padded)]
    np.testing.assert_array_equal(*outputs) if spec else np.testing.assert_allclose(*outputs, atol=1e-6)
