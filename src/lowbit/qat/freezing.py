# SPDX-License-Identifier: Apache-2.0
"""When ranges stop to move."""

from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.quantizers import ActivationQuantizer
from lowbit.simulation import Simulation, require_model

TRACKING_SHARE = 0.75
"""Share of the epochs in which activation ranges follow the data; later they are frozen."""


class RangeFreeze(keras.callbacks.Callback):
    """Freezes the activation ranges of a simulation from `first_frozen_epoch` (counted from 0) on.

    A range that still moves shifts every code of its tensor; with ranges still, the last epochs
    train the weights for the grid that is exported (Krishnamoorthi 2018, arXiv:1806.08342).

    Raises:
        InputError: no whole number from 0; when training begins, for a model that is no simulation, or ranges that are
            to be frozen before anything set them.
    """

    def __init__(self, first_frozen_epoch: int) -> None:
        super().__init__()
        is_whole = isinstance(first_frozen_epoch, (int, np.integer)) and not isinstance(first_frozen_epoch, bool)
        if not is_whole or first_frozen_epoch < 0:
            raise InputError(
                received=f"first_frozen_epoch={first_frozen_epoch!r}",
                expected="a whole number of epochs from 0",
                mend="pass for example RangeFreeze(15) for a training of 20 epochs",
            )
        self.first_frozen_epoch = int(first_frozen_epoch)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        require_model(self.model, Simulation, "a simulation for lowbit.qat.RangeFreeze")
        if self.first_frozen_epoch == 0:
            self.model.require_calibrated()
        self._freeze(False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch >= self.first_frozen_epoch:  # a resumed training may begin after it
            self._freeze(True)

    def _freeze(self, frozen: bool) -> None:
        for quantizer in self.model.quantizers().values():
            if isinstance(quantizer, ActivationQuantizer):
                quantizer.freeze(frozen)
