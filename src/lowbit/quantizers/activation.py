# SPDX-License-Identifier: Apache-2.0
"""Quantizers of activations whose range comes from data, and follows it or is trained."""

import math
from typing import Any

import keras
from keras import ops

from lowbit.quantizers import affine, learned
from lowbit.quantizers.fake import trained_fake_quantize
from lowbit.quantizers.mode import computed_once
from lowbit.quantizers.relu import apply_relu
from lowbit.quantizers.replicas import are_several, of_all_replicas
from lowbit.quantizers.tensor import Tensor, TensorQuantizer


@keras.saving.register_keras_serializable("lowbit")
class ActivationQuantizer(TensorQuantizer):
    """Range from data: the smallest and largest value seen while calibrating, then a moving average.

    While training, minimum and maximum follow each batch with `momentum`, or are trained (`is_learned`), until
    `freeze`. Without calibration the first training batch sets them.

    Args:
        bits: 8 (asymmetric) or 16 (symmetric).
        symmetric: with 8 bits, zero point 0 as well.
        momentum: share of the old range kept at each training step, 0..1.
        is_learned: the ends of the range are trained by their gradients, from where calibration put them
            (`quantizers.learned`).
    """

    def __init__(
        self,
        *,
        bits: int,
        momentum: float = 0.99,
        symmetric: bool = False,
        is_learned: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(bits=bits, **kwargs)
        self.symmetric = symmetric
        self.momentum = momentum
        self.is_learned = is_learned
        self.is_narrowed = False  # whether a 16-bit tensor is one of 8 bits for some of its readers
        self.minimum = self._scalar("minimum")
        self.maximum = self._scalar("maximum")
        self.observations = self._scalar("observations")
        self.tracking = self._scalar("tracking", initializer="ones")
        if is_learned:
            self.trainable = True
            self.moved_minimum = self.add_weight(shape=(), initializer="zeros", name="moved_minimum")
            self.moved_maximum = self.add_weight(shape=(), initializer="zeros", name="moved_maximum")

    def _scalar(self, name: str, initializer: str = "zeros") -> keras.Variable:
        return self.add_weight(shape=(), initializer=initializer, trainable=False, name=name)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Smallest and largest value of the range as it is used, float32 scalars."""
        low, high = ops.convert_to_tensor(self.minimum), ops.convert_to_tensor(self.maximum)
        if not self.is_learned:
            return low, high
        is_moving = ops.not_equal(self.tracking, 0.0)
        moved = (learned.factor(value) for value in (self.moved_minimum, self.moved_maximum))
        low_factor, high_factor = (ops.where(is_moving, one, 1.0) for one in moved)
        return affine.settled(low * low_factor), affine.settled(high * high_factor)

    def freeze(self, frozen: bool = True) -> None:
        """From now on the range stays as it is, or moves again."""
        low, high = self.ends()
        self.minimum.assign(low)
        self.maximum.assign(high)
        if self.is_learned:
            self.moved_minimum.assign(0.0)
            self.moved_maximum.assign(0.0)
        self.tracking.assign(0.0 if frozen else 1.0)

    def parameters(self) -> tuple[Tensor, Tensor]:
        if self.is_narrowed:
            return affine.widened(*self.in_eight_bits())
        return self._grid(self.bits)

    def in_eight_bits(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point of the same range in 8 bits."""
        return self._grid(8)

    def _grid(self, bits: int) -> tuple[Tensor, Tensor]:
        def grid() -> tuple[Tensor, Tensor]:
            return affine.activation_parameters(*self.ends(), bits, symmetric=self.symmetric)

        found: tuple[Tensor, Tensor] = computed_once((id(self), bits), grid)
        return found

    def range_in_file(self) -> tuple[float, float]:
        if not self.is_narrowed:
            return super().range_in_file()
        scale, zero_point = (float(ops.convert_to_numpy(value)) for value in self.in_eight_bits())
        return affine.range_in_float64(scale, int(zero_point), 8)

    def input_codes(self, x: Tensor) -> Tensor:
        """Any real values -> codes as LiteRT's QUANTIZE makes them: times the float32 reciprocal of the scale.

        The 1 is hidden from TensorFlow's graph optimizer, which makes `1 / scale` an approximate reciprocal.
        """
        scale, zero_point = self.parameters()
        one = ops.minimum(ops.maximum(ops.convert_to_tensor(self.observations), 1.0), 1.0)
        codes = ops.round(x * (one / scale)) + zero_point
        return ops.clip(codes, *affine.code_range(self.bits, narrow=self.bits == 16))

    def observe(self, x: Tensor) -> None:
        """Widen the range to hold all of `x` (calibration, eager)."""
        first = ops.equal(self.observations, 0.0)
        low, high = ops.min(x), ops.max(x)
        self.minimum.assign(ops.where(first, low, ops.minimum(self.minimum, low)))
        self.maximum.assign(ops.where(first, high, ops.maximum(self.maximum, high)))
        self.observations.assign_add(1.0)

    def train(self, x: Tensor, activation: str = "linear") -> Tensor:
        """Moves the range towards this batch first.

        A grid that starts at 0 and ends at the largest value clips as ReLU and ReLU6 do: these need no pass of their
        own, forward or backward.
        """
        clips_as_relu = activation != "linear" and self.bits == 8 and not self.symmetric
        if not clips_as_relu:
            x, activation = apply_relu(x, activation), "linear"
        self.track(x, activation)
        return self.fake_quantize(x)

    def track(self, x: Tensor, activation: str = "linear") -> None:
        """Move the range towards the activation of this training batch.

        A frozen one costs no pass over the values, a learned one only at its first batch.
        """
        x = ops.stop_gradient(x)

        def seen() -> tuple[Tensor, Tensor]:
            low = ops.min(x) if activation == "linear" else ops.zeros(())
            return of_all_replicas(low, apply_relu(ops.max(x), activation))

        low, high = ops.convert_to_tensor(self.minimum), ops.convert_to_tensor(self.maximum)
        is_first = ops.equal(self.observations, 0.0)
        follows = is_first if self.is_learned else ops.not_equal(self.tracking, 0.0)
        new_low, new_high = seen() if are_several() else ops.cond(follows, seen, lambda: (low, high))
        keep = ops.where(is_first, 0.0, self.momentum)
        self.minimum.assign(ops.where(follows, keep * low + (1.0 - keep) * new_low, low))
        self.maximum.assign(ops.where(follows, keep * high + (1.0 - keep) * new_high, high))
        self.observations.assign_add(self.tracking)

    def widen(self, x: Tensor, *, only_first: bool) -> None:
        """While training: let the range hold this batch too; with `only_first`, or learned, just when it holds nothing
        yet.
        """
        x = ops.stop_gradient(x)
        first = ops.equal(self.observations, 0.0)
        apply = first if only_first or self.is_learned else ops.not_equal(self.tracking, 0.0)
        low, high = of_all_replicas(ops.min(x), ops.max(x))
        self.minimum.assign(ops.where(apply, ops.minimum(self.minimum, low), self.minimum))
        self.maximum.assign(ops.where(apply, ops.maximum(self.maximum, high), self.maximum))

    def fake_quantize(self, x: Tensor) -> Tensor:
        if not self.is_learned:
            return super().fake_quantize(x)
        edges = affine.fake_quantize_range(*self.parameters(), self.bits)
        levels, count = 2 ** (self.bits - 1) - 1, math.prod(x.shape[1:])
        ends = (learned.with_smaller_gradient(end, count, levels) for end in self.ends())
        low, high = (end + ops.stop_gradient(edge - end) for end, edge in zip(ends, edges, strict=True))
        return trained_fake_quantize(x, low, high, self.bits)

    def is_calibrated(self) -> bool:
        return float(ops.convert_to_numpy(self.observations)) > 0

    def reset(self) -> None:
        """Forget every range seen so far."""
        for variable in (self.minimum, self.maximum, self.observations):
            variable.assign(0.0)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "momentum": self.momentum,
            "symmetric": self.symmetric,
            "is_learned": self.is_learned,
        }
