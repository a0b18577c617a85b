# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: what a simulation needs beyond `training`."""

from lowbit.qat.fit import fit
from lowbit.qat.freezing import RangeFreeze

__all__ = ["RangeFreeze", "fit"]
