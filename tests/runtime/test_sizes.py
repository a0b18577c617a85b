# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a file are: counted by hand for a single dense layer, and whole for every kind of file."""

import keras
import numpy as np
import pytest

import lowbit
from lowbit.errors import FileFormatError
from lowbit.runtime import inspect, size_parts


def test_a_dense_layer_by_hand(tmp_path):
    inputs = keras.Input((4,), name="values")
    model = keras.Model(inputs, keras.layers.Dense(3, name="dense")(inputs))
    x = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    path = lowbit.export(model, tmp_path / "model.tflite", spec="w8a8", calibration=[x]).path
    found = inspect(path).size
    assert found.constants == 4 * 3 * 1 + 3 * 4  # int8 weights, int32 biases
    assert found.floor == found.constants + 3 * 4 + 3 * 4  # a float32 scale for each of them and channel
    assert found.scales == 3 * 4 + 3 * 4 + 2 * 4  # those, and of the input and the output
    assert found.zero_points == 3 * 8 + 2 * 8  # three zeros that weights and biases share, input and output
    assert found.above_floor == pytest.approx(path.stat().st_size / 48 - 1)


def test_the_parts_are_the_file(files):
    for kind, path in files.items():
        parts = size_parts(path.read_bytes(), path)
        named = (parts.constants, parts.scales, parts.zero_points, parts.names, parts.structure)
        assert sum(named) == path.stat().st_size, kind
        assert min(named) >= 0 and 0 < parts.floor < path.stat().st_size
        assert (parts.scales == 0) == (kind == "float32")


def test_weights_of_four_bits_are_counted_as_stored(files):
    eight, four = (size_parts(files[kind].read_bytes(), "file").constants for kind in ("w8a8", "w4a8"))
    assert eight - four == 8 * 3 * 3 * 3 // 2  # the convolution's


def test_damaged_contents_are_refused(files):
    with pytest.raises(FileFormatError, match=r"half\.tflite"):
        size_parts(files["w8a8"].read_bytes()[:600], "half.tflite")
