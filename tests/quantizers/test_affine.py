# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from keras import ops
from litert_quantizer import qtyping
from litert_quantizer.algorithms.uniform_quantize import uniform_quantize_tensor

from compiling import compiled
from lowbit.quantizers import affine


@pytest.mark.parametrize(
    ("bits", "minimum", "maximum", "scale", "zero_point"),
    [
        (8, 0.0, 6.0, 6 / 255, -128),
        (8, 2.0, 6.0, 6 / 255, -128),  # zero must be representable
        (8, -3.0, -1.0, 3 / 255, 127),
        (8, -1.0, 1.0, 2 / 255, -1),  # -128 + 127.499996 in float32
        (8, -1.0, 3.0, 4 / 255, -64),  # -128 + 63.75 = -64.25
        (8, 0.0, 0.0, 1e-4 / 255, -128),  # no range: widened, never NaN
        (8, 1e-9, 2e-9, 1e-4 / 255, -128),
        (16, -2.0, 1.0, 2 / 32767, 0),
        (16, 0.0, 0.0, 1e-4 / 32767, 0),
    ],
)
def test_scale_and_zero_point(bits, minimum, maximum, scale, zero_point):
    found_scale, found_zero = affine.activation_parameters(np.float32(minimum), np.float32(maximum), bits)
    assert float(found_scale) == pytest.approx(scale, rel=1e-6)
    assert float(found_zero) == zero_point


@pytest.mark.parametrize(
    ("bits", "narrow", "expected"),
    [(8, False, (-128, 127)), (8, True, (-127, 127)), (4, True, (-7, 7)), (16, True, (-32767, 32767))],
)
def test_code_range(bits, narrow, expected):
    assert affine.code_range(bits, narrow=narrow) == expected


@pytest.mark.parametrize("bits", [8, 16])
def test_litert_quantizer_derives_our_scale_from_the_range_we_hand_over(bits):
    generator = np.random.default_rng(0)
    for low, high in generator.uniform(-7, 7, (300, 2)).astype("float32"):
        scale, zero_point = (float(v) for v in affine.activation_parameters(min(low, high), max(low, high), bits))
        minimum, maximum = affine.range_in_float64(scale, int(zero_point), bits)
        theirs_zero, theirs_scale = uniform_quantize_tensor.tensor_zp_scale_from_min_max(
            np.array([minimum]), np.array([maximum]), bits, bits == 16, qtyping.QuantGranularity.TENSORWISE
        )
        assert np.float32(theirs_scale[0]) == np.float32(scale)
        assert int(theirs_zero[0]) == int(zero_point)


def test_a_compiled_graph_computes_the_same_scales_bit_for_bit():
    low, high = np.random.default_rng(0).uniform(0, 7, (2, 500)).astype("float32")
    ends = ops.convert_to_tensor(-low), ops.convert_to_tensor(high)
    parameters = lambda low, high: affine.activation_parameters(low, high, 8)  # noqa: E731
    for eager, in_graph in zip(parameters(*ends), compiled(parameters)(*ends), strict=True):
        assert np.array_equal(eager, in_graph)
