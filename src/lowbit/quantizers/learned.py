# SPDX-License-Identifier: Apache-2.0
"""Ranges that are trained: LSQ for the scales of weights (Esser et al. 2020, arXiv:1902.08153), the ends of activation
ranges by their gradients (Jain et al. 2020, TQT, arXiv:1903.08066).

What is trained is how far a range has moved from its calibrated size, as a share of it: one learning rate then does
for ranges of any size.
"""

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

SPEED = 16.0
"""Adam moves a weight by about the learning rate in a step, and a range by this many times that share of it. A power
of two, so that the product is exact."""

LEAST = 0.05
"""Smallest share of the calibrated range: it never turns over."""

_SEARCHED = np.linspace(0.3, 1.0, 71)
"""Shares of the largest weight among which the best clipping is looked for."""


def factor(moved: Tensor) -> Tensor:
    """What a calibrated range is multiplied by; 1 where `moved` is 0."""
    return ops.maximum(1.0 + SPEED * ops.convert_to_tensor(moved), LEAST)


def with_smaller_gradient(end: Tensor, count: int, largest_code: int) -> Tensor:
    """The same number; its gradient, a sum over `count` values, is divided by sqrt(count x largest code)."""
    share = 1.0 / math.sqrt(count * largest_code)
    return end * share + ops.stop_gradient(end - end * share)


def fake_quantize(weights: Tensor, scale: Tensor, largest_code: int) -> Tensor:
    """Weights on the grid of a trained scale (channels,), whose gradient is LSQ's; channels last.

    The gradient of the scale is made smaller as in the paper, section 2.2.
    """
    scale = with_smaller_gradient(scale, int(np.prod(weights.shape[:-1])), largest_code)
    inside = ops.clip(weights / scale, -float(largest_code), float(largest_code))
    return (inside + ops.stop_gradient(ops.round(inside) - inside)) * scale


def best_scale(weights: np.ndarray, largest_code: int) -> np.ndarray:
    """The scale (channels,) with the least squared error of rounding and clipping; channels last."""
    by_channel = weights.reshape(-1, weights.shape[-1]).astype("float64")
    largest = np.abs(by_channel).max(axis=0)
    best, least = largest / largest_code, np.full(largest.shape, np.inf)
    for share in _SEARCHED:
        scale = np.maximum(share * largest / largest_code, np.finfo("float32").tiny)
        error = np.square(np.clip(np.rint(by_channel / scale), -largest_code, largest_code) * scale - by_channel)
        is_less = error.sum(axis=0) < least
        best, least = np.where(is_less, scale, best), np.where(is_less, error.sum(axis=0), least)
    return best.astype("float32")
