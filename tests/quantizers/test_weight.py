# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from keras import ops

from compiling import gradient
from lowbit.quantizers import WeightQuantizer

WEIGHTS = ops.convert_to_tensor([[0.25, -2.0, 0.0], [1.0, 0.6, 0.0]])  # two inputs, three channels


@pytest.mark.parametrize(
    ("bits", "codes"), [(8, [[32, -127, 0], [127, 38, 0]]), (4, [[2, -7, 0], [7, 2, 0]])]
)  # 0.25 x 127 = 31.75, 0.6 / 2 x 127 = 38.1; 0.25 x 7 = 1.75, 0.3 x 7 = 2.1
def test_codes_by_channel(bits, codes):
    quantizer = WeightQuantizer(bits=bits)
    scale = quantizer.scale(WEIGHTS)
    assert ops.convert_to_numpy(quantizer.codes(WEIGHTS, scale)).tolist() == codes
    expected = [1 / quantizer.largest_code, 2 / quantizer.largest_code]
    assert ops.convert_to_numpy(scale)[:2].tolist() == pytest.approx(expected)


def test_fake_quantization_lands_on_the_codes():
    quantizer = WeightQuantizer(bits=4)
    values = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32")
    scale = ops.convert_to_numpy(quantizer.scale(values))
    codes = ops.convert_to_numpy(quantizer.codes(values, scale))
    fake = ops.convert_to_numpy(quantizer.fake_quantize(ops.convert_to_tensor(values)))
    assert np.abs(fake / scale - codes).max() < 1e-4


def test_folding_keeps_codes_and_flips_them_with_the_gain():
    quantizer = WeightQuantizer(bits=8)
    gain = ops.convert_to_tensor([3.0, -0.5, 1.0])
    bias = ops.convert_to_tensor([1.0, -1.0, 0.0])
    codes, scale, bias_codes = (ops.convert_to_numpy(v) for v in quantizer.folded(WEIGHTS, gain, bias, np.float32(0.1)))
    assert codes.tolist() == [[32, 127, 0], [127, -38, 0]]
    assert scale[:2].tolist() == pytest.approx([3 / 127, 1 / 127])
    assert bias_codes.tolist() == [round(1 / (0.1 * 3 / 127)), -round(1 / (0.1 * 1 / 127)), 0]


@pytest.mark.parametrize("gain", [0.0, 1e-12])
def test_a_dead_channel_keeps_its_bias(gain):
    quantizer = WeightQuantizer(bits=8)
    codes, scale, bias_codes = (
        ops.convert_to_numpy(v)
        for v in quantizer.folded(WEIGHTS, ops.full((3,), gain), ops.full((3,), 5.0), np.float32(0.1))
    )
    assert np.isfinite(codes).all() and np.isfinite(scale).all()
    assert np.abs(codes).max() == 0
    assert (bias_codes * 0.1 * scale).tolist() == pytest.approx([5.0] * 3, rel=1e-6)
    assert np.abs(bias_codes).max() <= 2**31 - 1


def test_the_gradient_passes_to_every_weight():
    quantizer = WeightQuantizer(bits=4)
    values = np.random.default_rng(0).normal(size=(3, 3, 4, 5)).astype("float32")
    assert np.array_equal(gradient(quantizer.fake_quantize, values), np.ones_like(values))
