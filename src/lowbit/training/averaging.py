# SPDX-License-Identifier: Apache-2.0
"""The moving average of weights along a training (Polyak and Juditsky 1992, doi:10.1137/0330046).

Fine-tuning with a constant learning rate leaves the weights jittering around a good point: on DeepWeeds the validation
loss of single epochs jumps by a tenth and early stopping ends at the first jump. The average does not jump.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from keras import ops

_SHORTEST_WINDOW, _LONGEST_WINDOW = 10, 300
_EPOCHS = 3
_SHARE = 3  # of the steps so far that the window is at most: one third


class WeightAverage:
    """Averages `variables` over a window of about three epochs, at least 10 and at most 300 steps.

    At first over the last third of the steps, so that where training began is forgotten.

    >>> average = WeightAverage(model.trainable_variables, steps=96)    # doctest: +SKIP
    """

    def __init__(self, variables: Sequence[Any], steps: int) -> None:
        self._variables = list(variables)
        self._window = min(max(_EPOCHS * steps, _SHORTEST_WINDOW), _LONGEST_WINDOW)
        self._steps = 0
        self._average = self._values()

    def update(self) -> None:
        """Take in the weights after one more training step."""
        self._steps += 1
        window = min(max(self._steps / _SHARE, _SHORTEST_WINDOW), self._window)
        share = np.float32(1 / window)
        for average, value in zip(self._average, self._values(), strict=True):
            average *= 1 - share
            average += share * value

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Within the block the variables hold their average; afterwards they train on from where they were."""
        training = self._values()
        self._assign(self._average)
        try:
            yield
        finally:
            self._assign(training)

    def keep(self) -> None:
        """Leave the average in the variables."""
        self._assign(self._average)

    def _values(self) -> list[np.ndarray]:
        return [np.array(ops.convert_to_numpy(variable)) for variable in self._variables]

    def _assign(self, values: Sequence[np.ndarray]) -> None:
        for variable, value in zip(self._variables, values, strict=True):
            variable.assign(value)
