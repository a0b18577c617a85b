# SPDX-License-Identifier: Apache-2.0
"""Early stopping on validation, the best weights restored."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


class EarlyStopping:
    """Keeps the weights of the epoch with the most right answers in validation; of equal ones with the lowest loss.

    By loss alone where answers are not right or wrong. Cross-entropy of a classifier turns up while its answers still
    get better, as it grows too sure of its errors, and when it does is luck.
    As Keras's callback with `restore_best_weights`, which it is not because validation here is a plain prediction of
    the whole split. Without a validation loss nothing stops, and the last epoch counts as the best.
    """

    def __init__(self, model: keras.Model, patience: int) -> None:
        self.best_epoch = 0
        self._model, self._patience = model, patience
        self._best: tuple[float, float] | None = None
        self._best_weights: list[np.ndarray] | None = None

    def update(self, epoch: int, loss: float | None, accuracy: float | None = None) -> bool:
        """Note the validation of an epoch, counted from 1; whether to stop now."""
        if loss is None:
            self.best_epoch = epoch
            return False
        found = (0.0 if accuracy is None else accuracy, -loss)
        if self._best is None or found > self._best:
            self.best_epoch, self._best, self._best_weights = epoch, found, self._model.get_weights()
        return epoch > 1 and epoch - self.best_epoch >= self._patience

    def restore(self) -> None:
        """Give the model the weights of the best epoch."""
        if self._best_weights is not None:
            self._model.set_weights(self._best_weights)


@contextmanager
def weights_kept_on_failure(model: keras.Model) -> Iterator[None]:
    """A training that fails or is interrupted leaves the weights that the model came with."""
    before: list[np.ndarray] = model.get_weights()
    try:
        yield
    except BaseException:
        model.set_weights(before)
        raise
