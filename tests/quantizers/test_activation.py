# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from keras import ops

from compiling import gradient
from lowbit.quantizers import ActivationQuantizer
from lowbit.quantizers.activation import fixed_quantizer


def ranged(low, high, bits=8):
    quantizer = ActivationQuantizer(bits=bits)
    quantizer.observe(np.array([low, high], dtype="float32"))
    return quantizer


def test_codes_there_and_back():
    quantizer = ranged(0.0, 25.5)  # scale 0.1
    values = np.array([-1.0, 0.0, 0.31, 12.7, 99.0], dtype="float32")
    codes = quantizer.to_codes(values)
    assert ops.convert_to_numpy(codes).tolist() == [-128, -128, -125, -1, 127]
    assert ops.convert_to_numpy(quantizer.centred(quantizer.to_real(codes))).tolist() == [0, 0, 3, 127, 255]


def test_fake_quantization_lands_on_the_same_grid():
    quantizer = ranged(-1.3, 4.1)
    values = np.linspace(-2, 5, 999).astype("float32")
    fake = ops.convert_to_numpy(quantizer.fake_quantize(values))
    exact = ops.convert_to_numpy(quantizer.to_real(quantizer.to_codes(values)))
    scale = float(quantizer.parameters()[0])
    assert np.abs(fake - exact).max() <= scale * 1.001  # halves may fall to either side
    assert (np.abs(fake - exact) < scale * 0.01).mean() > 0.99


def test_gradient_is_cut_outside_the_range():
    quantizer = ranged(-1.0, 1.0)
    x = np.array([-3.0, -0.5, 0.5, 3.0], dtype="float32")
    assert gradient(quantizer.fake_quantize, x).tolist() == [0, 1, 1, 0]


def test_the_first_training_batch_sets_the_range_and_later_ones_move_it():
    quantizer = ActivationQuantizer(bits=8, momentum=0.75)
    assert not quantizer.is_calibrated()
    quantizer.fake_quantize(ops.convert_to_tensor([-2.0, 4.0]), training=True)
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-2.0, 4.0)
    quantizer.fake_quantize(ops.convert_to_tensor([-6.0, 8.0]), training=True)
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-3.0, 5.0)  # a quarter of the way
    quantizer.tracking.assign(0.0)
    quantizer.fake_quantize(ops.convert_to_tensor([-60.0, 80.0]), training=True)
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-3.0, 5.0)


@pytest.mark.parametrize(
    ("activation", "bits", "scale", "zero_point"),
    [("softmax", 8, 1 / 256, -128), ("sigmoid", 8, 1 / 256, -128), ("tanh", 8, 1 / 128, 0), ("softmax", 16, 2**-15, 0)],
)
def test_ranges_the_runtime_prescribes(activation, bits, scale, zero_point):
    found = fixed_quantizer(activation, bits, "q").parameters()
    assert (float(found[0]), float(found[1])) == (scale, zero_point)
