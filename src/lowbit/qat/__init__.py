# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: what a simulation needs beyond `training`."""

from lowbit.qat.fit import fit
from lowbit.qat.freezing import RangeFreeze
from lowbit.qat.oscillation import OscillationFreeze
from lowbit.qat.resuming import Resume
from lowbit.qat.watching import RangeReport

__all__ = ["OscillationFreeze", "RangeFreeze", "RangeReport", "Resume", "fit"]
