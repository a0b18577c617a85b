# SPDX-License-Identifier: Apache-2.0
"""The formulas: affine quantization, ranges, fake quantization, and the runtime's integer rules."""

from lowbit.quantizers.activation import ActivationQuantizer
from lowbit.quantizers.fixed import FixedQuantizer
from lowbit.quantizers.mode import (
    Mode,
    current_mode,
    forward_mode,
    ranges_stand_still,
    record,
    recording,
    tracing_for_xla,
)
from lowbit.quantizers.weight import WeightQuantizer

__all__ = [
    "ActivationQuantizer",
    "FixedQuantizer",
    "Mode",
    "WeightQuantizer",
    "current_mode",
    "forward_mode",
    "ranges_stand_still",
    "record",
    "recording",
    "tracing_for_xla",
]
