# SPDX-License-Identifier: Apache-2.0
"""Whether file and simulation give the same answers, at every output."""

from collections.abc import Sequence

import numpy as np

from lowbit.errors import ExportError, InputError
from lowbit.quantizers.tensor import TensorQuantizer

_STEPS = 255  # of 8 bits


class Answers:
    """Running counts for each output: places with an answer, and those where both give the same.

    An answer is the largest of the values along the last axis: one for each sample of a classifier, one for each pixel
    of a segmentation. Where that axis has one value (a regression, one probability) both answer alike when they are
    within one step of 8 bits: that of the output's quantizer, or of the values themselves where it stays float.
    """

    def __init__(self, names: Sequence[str], quantizers: Sequence[TensorQuantizer | None]) -> None:
        self.names = tuple(names)
        self._steps = [None if one is None else _step(one) for one in quantizers]
        self._places = [0] * len(names)
        self._agreeing = [0] * len(names)

    def agreement(self) -> float | None:
        """The share of the output that agrees least; None without any answers, as of outputs without values."""
        return min((same / of for same, of in zip(self._agreeing, self._places, strict=True) if of), default=None)

    def add(self, simulated: Sequence[np.ndarray], written: Sequence[np.ndarray]) -> None:
        """One sample's outputs.

        Raises:
            InputError: another number or size of outputs.
            ExportError: a value that is NaN or infinite.
        """
        sizes = [[int(one.size) for one in each] for each in (simulated, written)]
        if sizes[0] != sizes[1]:
            raise InputError(
                received=f"a file with outputs of {sizes[1]} values for one sample",
                expected=f"outputs of {sizes[0]} values, as the simulation has",
                mend="compare a file with the simulation it was written from",
            )
        for number, (ours, theirs) in enumerate(zip(simulated, written, strict=True)):
            for values, who in ((ours, "simulation"), (theirs, "file")):
                self._require_finite(number, values, who)
            same = self._same(number, ours, theirs.reshape(ours.shape))
            self._places[number] += same.size
            self._agreeing[number] += int(same.sum())

    def _same(self, number: int, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
        if ours.size == 0:
            return np.empty(0, dtype="bool")
        if ours.ndim and ours.shape[-1] > 1:
            return np.asarray(ours.argmax(axis=-1) == theirs.argmax(axis=-1))
        ours, theirs = ours.astype("float64"), theirs.astype("float64")
        step = self._steps[number]
        if step is None:
            step = 2 * float(np.abs(ours).max()) / _STEPS
        return np.asarray(np.abs(ours - theirs) <= step * 1.001)

    def _require_finite(self, number: int, values: np.ndarray, who: str) -> None:
        if values.dtype.kind != "f" or np.isfinite(values).all():
            return
        odd = values[~np.isfinite(values)]
        raise ExportError(
            f"output {self.names[number]!r} of the {who} has {odd.size} of {values.size} values that are {odd[0]}; "
            "expected finite numbers; rounding makes a small divisor or the argument of a logarithm 0: add a constant "
            "to it in the model, or keep the layers before it float with a rule"
        )


def _step(quantizer: TensorQuantizer) -> float:
    """One step of 8 bits: 16-bit ops are simulated in float, and off by some of their own."""
    scale = float(np.asarray(quantizer.parameters()[0]))
    return scale if quantizer.bits == 8 else scale * 2 ** (quantizer.bits - 8)
