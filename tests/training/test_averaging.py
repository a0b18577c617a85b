# SPDX-License-Identifier: Apache-2.0
import keras
import numpy as np
import pytest

from lowbit.training.averaging import WeightAverage


@pytest.mark.parametrize(
    ("steps", "before", "window"),
    [(10, 0, 10), (10, 59, 20), (10, 200, 30), (3, 200, 10), (50, 600, 150), (10_000, 2000, 300)],
)
def test_the_window_is_a_third_of_the_steps_and_at_most_three_epochs(steps, before, window):
    weight = keras.Variable(np.zeros(2, "float32"))
    average = WeightAverage([weight], steps)
    for _ in range(before):
        average.update()
    weight.assign([1.0, -2.0])
    average.update()
    with average.in_model():
        assert np.asarray(weight).tolist() == pytest.approx([1 / window, -2 / window], rel=1e-5)
    assert np.asarray(weight).tolist() == [1.0, -2.0]


def test_training_goes_on_from_its_own_weights_and_the_average_can_be_kept():
    weight = keras.Variable(np.zeros(1, "float32"))
    average = WeightAverage([weight], 10)
    for _ in range(2):
        weight.assign([1.0])
        average.update()
    average.keep()
    assert float(np.asarray(weight)[0]) == pytest.approx(0.19, rel=1e-5)  # 1 - 0.9 x 0.9
