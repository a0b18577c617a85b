# SPDX-License-Identifier: Apache-2.0
"""Quantizer of weights: symmetric, one scale per output channel (last axis), narrow range."""

from typing import Any

from keras import ops

from lowbit.quantizers import affine, learned

Tensor = Any

_SMALLEST_SCALE = 1e-9
"""Keeps a channel of zeros finite: its codes are 0. litert-quantizer's own floor lies below it."""

_LARGEST_BIAS_CODE = float(2**29)
"""A weight scale is kept so large that the int32 bias of its channel stays below this."""


class WeightQuantizer:
    """Formulas for one weight tensor of shape (..., channels). Holds no variables.

    >>> WeightQuantizer(bits=4).largest_code
    7
    """

    def __init__(self, *, bits: int, per_channel: bool = True) -> None:
        self.bits = bits
        self.per_channel = per_channel
        self.largest_code = affine.code_range(bits, narrow=True)[1]

    def scale(self, weights: Tensor) -> Tensor:
        """One scale per channel, shape (channels,): largest absolute weight / largest code.

        All the same when `per_channel` is off.
        """
        bound = ops.max(ops.abs(weights), axis=tuple(range(len(weights.shape) - 1)))
        if not self.per_channel:
            bound = ops.zeros_like(bound) + ops.max(bound)
        return ops.maximum(bound * affine.reciprocal(self.largest_code), _SMALLEST_SCALE)

    def codes(self, weights: Tensor, scale: Tensor) -> Tensor:
        """Integers in float32, half to even, in [-largest_code, largest_code]."""
        return ops.clip(ops.round(affine.quotient(weights, scale)), -self.largest_code, self.largest_code)

    def fake_quantize(self, weights: Tensor, gain: Tensor | None = None, scale: Tensor | None = None) -> Tensor:
        """Round to the grid with a straight-through gradient; any weight rank, channels last.

        With `gain` (channels,) the grid is that of `weights x gain`; a channel without gain is left as it is.
        With a trained `scale` (channels,) the grid is that one, and the gradient reaches it.
        """
        if scale is not None:
            return learned.fake_quantize(weights, scale, self.largest_code)
        gain = ops.ones((weights.shape[-1],)) if gain is None else gain
        folded = weights * gain
        scale = self.scale(folded)
        safe = ops.where(ops.equal(gain, 0.0), ops.ones_like(gain), gain)
        on_grid = ops.where(ops.equal(gain, 0.0), weights, self.codes(folded, scale) * scale / safe)
        # no weight lies outside of its grid, so that no gradient is cut off
        return weights + ops.stop_gradient(on_grid - weights)

    def folded(
        self, weights: Tensor, gain: Tensor, bias: Tensor, input_scale: Tensor, scale: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What the file holds: codes, scale and int32 bias codes of `weights x gain` and `bias`.

        A batch norm multiplies each channel by a gain; symmetric quantization per channel commutes
        with that, so codes are taken from the unfolded weights and only change sign with the gain.
        A channel whose scale is too small for its bias (a dead channel) is quantized on a coarser
        grid. A trained `scale` takes the place of the one that spans all weights. Returns codes (like
        weights), scale (channels,), bias codes (channels,), all float32.
        """
        if not self.per_channel:
            return self._folded_per_tensor(weights * gain, bias, input_scale)
        scale = self.scale(weights) if scale is None else ops.maximum(scale, _SMALLEST_SCALE)
        magnitude = ops.abs(gain)
        smallest = ops.maximum(affine.quotient(ops.abs(bias), input_scale * _LARGEST_BIAS_CODE), _SMALLEST_SCALE)
        folded_scale = scale * magnitude
        alive = folded_scale >= smallest
        folded_scale = ops.where(alive, folded_scale, smallest)
        coarse = self.codes(weights * magnitude, folded_scale)
        codes = ops.where(alive, self.codes(weights, scale), coarse) * ops.sign(gain)
        return codes, folded_scale, ops.round(bias / (input_scale * folded_scale))

    def _folded_per_tensor(self, weights: Tensor, bias: Tensor, input_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One scale, that of the folded weights, so large that every bias fits."""
        scale = self.scale(weights)
        scale = ops.maximum(scale, ops.max(ops.abs(bias)) / (input_scale * _LARGEST_BIAS_CODE))
        return self.codes(weights, scale), scale, ops.round(bias / (input_scale * scale))
