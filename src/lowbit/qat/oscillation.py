# SPDX-License-Identifier: Apache-2.0
"""Weights that jump to and fro between two codes, damped (Nagel et al. 2022, arXiv:2203.11086).

Near the border of two codes a small step changes a weight's code, and with it the gradient's sign, so that the next
step changes it back. At 4 bits such weights are many; batch-norm statistics and ranges follow values that stand for no
weights of the end.
"""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.simulation import Simulation, require_model
from lowbit.simulation.weighted import WeightedLayer

_MOMENTUM = np.float32(0.01)
"""Share of the newest step in the running frequency and the running mean, the paper's 0.01."""


@dataclass
class _Watched:
    """One kernel, channels last: its codes, the direction of their last change, and how often it turned."""

    layer: WeightedLayer
    codes: np.ndarray
    direction: np.ndarray
    frequency: np.ndarray
    mean: np.ndarray
    frozen: np.ndarray

    @classmethod
    def of(cls, layer: WeightedLayer) -> "_Watched":
        codes = _codes(layer)
        nothing = np.zeros(codes.shape, "float32")
        return cls(layer, codes, nothing.astype("int8"), nothing, codes.astype("float32"), nothing.astype("bool"))

    def step(self, threshold: float) -> None:
        """Take in the weights after a step; freeze those that turn too often, at the code nearest to their mean."""
        codes = _codes(self.layer)
        change = np.sign(codes - self.codes).astype("int8")
        turned = (change != 0) & (change == -self.direction)
        self.frequency += _MOMENTUM * (turned - self.frequency)
        self.mean += _MOMENTUM * (codes - self.mean)
        self.direction = np.where(change != 0, change, self.direction)
        newly = (self.frequency > threshold) & ~self.frozen
        codes = np.where(newly, np.rint(self.mean), np.where(self.frozen, self.codes, codes))
        self.frozen |= newly
        self.codes = codes
        if self.frozen.any():
            self._hold()

    def _hold(self) -> None:
        """Frozen weights back to the middle of their code, whatever the optimizer did."""
        layer = self.layer
        kernel = _by_channel(layer)
        middle = self.codes * keras.ops.convert_to_numpy(layer.weight_scale())
        held = np.where(self.frozen, middle, kernel).astype("float32")
        layer.layer.kernel.assign(layer.as_stored(keras.ops.convert_to_tensor(held)))


class OscillationFreeze(keras.callbacks.Callback):
    """Freezes weights whose codes turn more often than a falling threshold.

    Args:
        first, last: turns per step, as shares, that a weight may make at the first and at the last step; between
            them the threshold falls as a cosine (the paper's best: 0.04 to 0.01).
        bits: kernels of at most so many bits are watched.

    Raises:
        InputError: thresholds out of order, other bits than weights have; when training begins, for a model that is no
            simulation, or has no such kernels.
    """

    def __init__(self, *, first: float = 0.04, last: float = 0.01, bits: int = 4) -> None:
        super().__init__()
        if not 0 < last <= first <= 1:
            raise InputError(
                received=f"first={first!r}, last={last!r}",
                expected="shares from 1 down to above 0, the last not above the first",
                mend="pass for example first=0.04, last=0.01",
            )
        if bits not in (4, 8) or isinstance(bits, float):
            raise InputError(received=f"bits={bits!r}", expected="4 or 8", mend="leave it out for 4")
        self.first, self.last, self.bits = first, last, bits
        self._watched: list[_Watched] = []
        self._epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        require_model(self.model, Simulation, "a simulation for lowbit.qat.OscillationFreeze")
        layers = [one for one in self.model.simulated_layers() if isinstance(one, WeightedLayer)]
        # one scale for all channels follows the largest weight, a frozen one among them
        self._watched = [_Watched.of(one) for one in layers if one.weight_bits <= self.bits and one.per_channel]
        if not self._watched:
            raise InputError(
                received=f"a simulation of {self.model.spec.name} without kernels of {self.bits} bits",
                expected="some, with a scale for each channel, that can turn between two codes",
                mend="leave OscillationFreeze out, or pass bits=8",
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        threshold = self._threshold()
        _ = self.model  # asked for it, Keras on JAX gives its layers the weights of this step, and reads them back
        for one in self._watched:
            one.step(threshold)

    def frozen_share(self) -> float:
        """Of all weights that are watched."""
        count = sum(one.frozen.size for one in self._watched)
        return sum(int(one.frozen.sum()) for one in self._watched) / count if count else 0.0

    def _threshold(self) -> float:
        share = min(1.0, self._epoch / max(1, self.params["epochs"] - 1))
        return self.last + (self.first - self.last) * 0.5 * (1 + np.cos(np.pi * share))


def _by_channel(layer: WeightedLayer) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(layer.by_channel(layer.kernel())))


def _codes(layer: WeightedLayer) -> np.ndarray:
    """Codes of the unfolded kernel, float32."""
    scale = keras.ops.convert_to_numpy(layer.weight_scale())
    largest = layer.weight_quantizer.largest_code
    return np.clip(np.rint(_by_channel(layer) / scale), -largest, largest)
