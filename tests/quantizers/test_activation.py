# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from keras import ops

from compiling import gradient
from lowbit.quantizers import ActivationQuantizer
from lowbit.quantizers.fixed import fixed_quantizer


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


@pytest.mark.parametrize(("activation", "largest"), [("relu", 7.5), ("relu6", 6.0)])
def test_the_grid_stands_for_the_relu_before_it(activation, largest):
    """Values and gradients are those of ReLU and rounding one after the other."""
    quantizer = ActivationQuantizer(bits=8)
    values = np.concatenate([np.linspace(-2, 7.5, 500), [0.0, 6.0]]).astype("float32")
    apart = {"relu": ops.relu, "relu6": ops.relu6}[activation]
    trained = ops.convert_to_numpy(quantizer.train(ops.convert_to_tensor(values), activation))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (0.0, largest)
    assert np.array_equal(trained, ops.convert_to_numpy(quantizer.fake_quantize(apart(values))))
    passed = gradient(quantizer.fake_quantize, values)
    composed = gradient(lambda x: quantizer.fake_quantize(apart(x)), values)
    inside = (values > 0) & (values < 6.0)
    assert np.array_equal(passed[inside], composed[inside]) and passed[inside].all()
    assert not passed[(values < 0) | (values > largest)].any()


@pytest.mark.parametrize("settings", [{"symmetric": True}, {"bits": 16}], ids=str)
def test_a_symmetric_grid_does_not_clip_negative_values_so_relu_does(settings):
    quantizer = ActivationQuantizer(**{"bits": 8} | settings)
    assert float(ops.min(quantizer.train(ops.convert_to_tensor([-3.0, 2.0]), "relu"))) == 0.0


def test_the_first_training_batch_sets_the_range_and_later_ones_move_it():
    quantizer = ActivationQuantizer(bits=8, momentum=0.75)
    assert not quantizer.is_calibrated()
    quantizer.train(ops.convert_to_tensor([-2.0, 4.0]))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-2.0, 4.0)
    quantizer.train(ops.convert_to_tensor([-6.0, 8.0]))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-3.0, 5.0)  # a quarter of the way
    quantizer.tracking.assign(0.0)
    quantizer.train(ops.convert_to_tensor([-60.0, 80.0]))
    assert (float(quantizer.minimum), float(quantizer.maximum)) == (-3.0, 5.0)


@pytest.mark.parametrize(
    ("activation", "bits", "scale", "zero_point"),
    [("softmax", 8, 1 / 256, -128), ("sigmoid", 8, 1 / 256, -128), ("tanh", 8, 1 / 128, 0), ("softmax", 16, 2**-15, 0)],
)
def test_ranges_the_runtime_prescribes(activation, bits, scale, zero_point):
    found = fixed_quantizer(activation, bits, "q").parameters()
    assert (float(found[0]), float(found[1])) == (scale, zero_point)
