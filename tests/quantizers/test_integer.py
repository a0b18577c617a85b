# SPDX-License-Identifier: Apache-2.0
"""Expected integers are worked out by hand or in Python's own integers."""

import numpy as np
import pytest
from keras import ops

from lowbit.quantizers import integer


def numbers(tensor):
    return np.asarray(ops.convert_to_numpy(tensor)).tolist()


def test_requantize_rounds_half_to_even():
    accumulator = np.array([5.0, 7.0, -5.0, 6.0], dtype="float32")
    assert numbers(integer.requantize(accumulator, np.float32(0.5), np.float32(10))) == [12, 14, 8, 13]


@pytest.mark.parametrize(
    ("first", "second", "scales", "output_scale", "zero_point", "expected"),
    [
        (3, 4, (1.0, 0.5), 1.0, 0, 5),
        (0, 1, (1.0, 0.5), 1.0, 0, 1),  # 0.5 rounds up
        (0, -1, (1.0, 0.5), 1.0, 0, 0),  # -0.5 rounds up too
        (10, -3, (0.25, 0.75), 0.5, -4, -3),  # 2.5 - 2.25 = 0.25 real = 0.5 steps, up to 1, minus 4
    ],
)
def test_add(first, second, scales, output_scale, zero_point, expected):
    inputs = [np.array([float(v)], dtype="float32") for v in (first, second)]
    scales = [ops.convert_to_tensor(v, "float32") for v in scales]
    codes = integer.add(inputs, scales, ops.convert_to_tensor(output_scale, "float32"), float(zero_point))
    assert numbers(codes) == [expected]


@pytest.mark.parametrize("half_up", [True, False])
def test_fixed_point_requantization_rounds_twice(half_up):
    # x 0.25 is x 2^30 >> 31, then >> 1: 5 -> round(2.5) = 3 -> round(1.5) = 2, although 5 / 4 = 1.25
    one, sums = ops.ones((1,)), np.array([5.0, 4.0, -5.0], dtype="float32")
    codes = integer.requantize_fixed_point(sums, (one, 0.25 * one, one), 0.0, half_up=half_up)
    assert numbers(codes) == [2, 1, -1]


@pytest.mark.parametrize(("half_up", "expected"), [(True, -1), (False, -2)])
def test_the_second_rounding_of_a_negative_half(half_up, expected):
    # x 0.25: -6 -> round(-3.0) = -3 -> -1.5, which lies between -1 (up) and -2 (away from zero)
    one, sums = ops.ones((1,)), np.array([-6.0], dtype="float32")
    codes = integer.requantize_fixed_point(sums, (one, 0.25 * one, one), 0.0, half_up=half_up)
    assert numbers(codes) == [expected]


@pytest.mark.parametrize("exponent", [-20, -31, -33, -34, -62, -64, -100])
def test_a_channel_of_tiny_weights_gives_the_zero_point(exponent):
    scales = np.array([1.0], "float32"), np.array([2.0**exponent], "float32"), np.array([1.0], "float32")
    accumulator = np.array([5.0, -100_000.0, 0.0], dtype="float32")
    tensors = [ops.convert_to_tensor(scale) for scale in scales]
    codes = integer.requantize_fixed_point(accumulator, tensors, 3.0, half_up=True)
    assert numbers(codes) == [3, 3, 3]


@pytest.mark.parametrize(("terms", "largest_code"), [(9, 127), (518, 127), (4608, 127), (25088, 127), (4608, 7)])
def test_sums_are_exact_beyond_what_float32_holds(terms, largest_code):
    generator = np.random.default_rng(terms)
    centred = generator.integers(0, 256, (3, terms))
    codes = generator.integers(0, largest_code + 1, (terms, 5))  # one sign: sums grow
    bias = generator.integers(-(2**27), 2**27, 5)
    expected = (centred.astype("int64") @ codes.astype("int64") + bias).astype("float32")
    found = integer.exact_product_sum(
        ops.matmul,
        *(ops.convert_to_tensor(v.astype("float32")) for v in (centred, codes, bias.astype("float32"))),
        terms=terms,
        largest_code=largest_code,
    )
    expected = (centred.astype("int64") @ codes + bias.astype("float32").astype("int64")).astype("float32")
    assert np.array_equal(ops.convert_to_numpy(found), expected)


def test_mean_half_away():
    totals = np.array([1.0, -1.0, 3.0, -5.0, 4.0], dtype="float32")
    assert numbers(integer.mean_half_away(totals, np.float32(2))) == [1, -1, 2, -3, 2]
    assert numbers(integer.mean_half_away(np.array([9.0], "float32"), np.float32(6))) == [2]
