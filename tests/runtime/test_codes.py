# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from lowbit.errors import InputError
from lowbit.runtime.codes import to_codes, to_integers, to_real


@pytest.mark.parametrize(
    ("value", "code"),
    [(0.0, 10), (0.5, 11), (-0.5, 9), (0.25, 10), (0.75, 12), (-0.25, 10), (58.5, 127), (900.0, 127), (-900.0, -128)],
)
def test_codes_round_half_to_even_and_clamp(value, code):
    assert to_codes(np.array([value], "float32"), scale=0.5, zero_point=10, dtype=np.int8)[0] == code


def test_real_values_come_back_exactly():
    codes = np.arange(-128, 128).astype("int8")
    real = to_real(codes, scale=0.1, zero_point=-3)
    np.testing.assert_array_equal(to_codes(real, scale=0.1, zero_point=-3, dtype=np.int8), codes)


def test_integers_stay_and_fractions_are_refused():
    np.testing.assert_array_equal(to_integers(np.array([3.0, -1.0]), np.int32, "ids"), np.array([3, -1], "int32"))
    with pytest.raises(InputError, match="value 0.5 for input 'ids'"):
        to_integers(np.array([3.0, 0.5]), np.int32, "ids")
    with pytest.raises(InputError, match="from -128 to 127"):
        to_integers(np.array([300.0]), np.int8, "ids")
