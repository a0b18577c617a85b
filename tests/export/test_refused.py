# SPDX-License-Identifier: Apache-2.0
"""What the converter or the quantizer refuses is told by op, layer and tensor, not by places of the caller's script."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.errors import ExportError
from lowbit.export import direct, export
from lowbit.simulation import quantize_model

VALUES = np.random.default_rng(0).normal(size=(16, 6)).astype("float32")


def inverse_erf():
    inputs = keras.Input((6,), name="x")
    x = ops.sort(layers.Dense(4, name="before")(inputs))
    return keras.Model(inputs, layers.Dense(2, name="after")(ops.erfinv(x)))


def test_the_layer_of_an_op_that_litert_has_not(tmp_path):
    simulation = quantize_model(inverse_erf(), calibration=[VALUES / 10])
    with pytest.raises(ExportError, match=r"operations: layer 'erfinv\w*' computes Erfinv, which LiteRT has not"):
        export(simulation, tmp_path / "m.tflite")


def test_no_place_of_the_script():
    with pytest.raises(ExportError, match="Erfinv") as caught:
        direct.convert(inverse_erf())
    assert ".py" not in str(caught.value)


@pytest.mark.parametrize("spec", ["w8a8", "w8a16"])
@pytest.mark.parametrize("shape", [(2, 1, 3, 1), (2, 1, 3, 1, 1)])
def test_more_axes_than_the_quantizer_takes(shape, spec, tmp_path):
    inputs = keras.Input(shape, name="x")
    model = keras.Model(inputs, layers.ReLU()(layers.Rescaling(2.0, name="double")(inputs)))
    images = VALUES.reshape(16, *shape)
    simulation = quantize_model(model, spec, calibration=[images])
    if len(shape) == 4:
        assert export(simulation, tmp_path / "m.tflite", parity=[images]).parity.worst_within_one == 1.0
        return
    with pytest.raises(ExportError, match=r"tensor '(x|double)' has 6 axes, \(1, 2, 1, 3, 1, 1\); expected at most 5"):
        export(simulation, tmp_path / "m.tflite")


def test_two_layers_of_one_tensor(tmp_path):
    inputs = keras.Input((6,), name="x")
    y = layers.Dense(4, name="dense")(inputs)
    squares = [layers.Multiply(name="one")([y, y]), layers.Multiply(name="other")([layers.Dropout(0.1)(y), y])]
    simulation = quantize_model(keras.Model(inputs, layers.Add(name="sum")(squares)), calibration=[VALUES])
    with pytest.raises(ExportError, match="layers 'one' and 'other' compute the same .* compute it once"):
        export(simulation, tmp_path / "m.tflite")


def test_a_reshape_of_nothing(tmp_path):
    inputs = keras.Input((6,), name="x")
    model = keras.Model(inputs, ops.reshape(layers.Dense(4, name="dense")(inputs), (1, -1)))
    with pytest.raises(ExportError, match="layers 'dense' and 'reshape\\w*' compute the same"):
        export(quantize_model(model, calibration=[VALUES]), tmp_path / "m.tflite")


@pytest.mark.parametrize("maxima", [(1.0, None), (6.0, None), (1.0, 2.0, 6.0)], ids=str)
def test_relus_of_one_tensor_that_end_elsewhere(maxima, tmp_path):
    """In the integer file each is a RELU, which ends where its range does; the converter must not make them one."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    ends = [keras.layers.ReLU(maximum, name=f"relu_{number}")(x) for number, maximum in enumerate(maxima)]
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(keras.layers.Concatenate()(ends))))
    images = 4 * np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    simulation = quantize_model(model, calibration=[images])
    found = export(simulation, tmp_path / "m.tflite", parity=[images]).parity
    assert found.worst_equal == 1.0
    assert {f"relu_{number}" for number in range(len(maxima))} <= {tensor.name for tensor in found.per_tensor}
