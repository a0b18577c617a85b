# SPDX-License-Identifier: Apache-2.0
"""PyTorch's operations that take fewer passes than what Keras composes; the one file that imports it."""

from typing import Any

import numpy as np
import torch

from lowbit.quantizers.affine import code_range

Tensor = Any


def random_state() -> np.ndarray:
    """Of PyTorch's own generator, from which dropout without a seed draws; uint8, shape (bytes,)."""
    return np.asarray(torch.get_rng_state())


def set_random_state(state: np.ndarray) -> None:
    """Go on drawing from there."""
    torch.set_rng_state(torch.from_numpy(state))


def fake_quantize(x: Tensor, low: Tensor, high: Tensor, bits: int) -> Tensor:
    """`x` on the grid of `bits` from `low` to `high`; the gradient passes where `x` lies between them, else it is 0.

    PyTorch's own kernel is not vectorized on CPUs: 15 ms where a pass over the values takes 1.0, and these four 2.6.
    It is taken elsewhere, as numbers of another device are slow to ask for; there the gradient of what is rounded to an
    end passes as well.
    """
    lowest, highest = code_range(bits, narrow=bits == 16)
    scale = (high - low) / float(highest - lowest)
    if x.device.type == "cpu":
        return _Rounded.apply(torch.nn.functional.hardtanh(x, float(low), float(high)), float(scale))
    zero_point = (lowest - torch.round(low / scale)).to(torch.int32)
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, lowest, highest)


class _Rounded(torch.autograd.Function):
    """Multiples of a scale; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float) -> Tensor:
        return (x * (1.0 / scale)).round_().mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None


def batch_norm(x: Tensor, gamma: Tensor, beta: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """`x` normalized by its own statistics, its mean and its variance (biased), the latter two of shape (channels,).

    Args:
        x: float32, channels last, any rank.
    """
    places = torch.movedim(x, -1, 1)
    y, mean, inverse_deviation = torch.native_batch_norm(places, gamma, beta, None, None, True, 0.0, epsilon)
    variance = torch.clamp(inverse_deviation**-2 - epsilon, min=0.0)
    return torch.movedim(y, 1, -1), mean, variance
