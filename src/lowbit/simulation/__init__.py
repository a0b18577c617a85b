# SPDX-License-Identifier: Apache-2.0
"""The quantized simulation: trains in float with fake quantization, infers in the file's integers."""

from lowbit.simulation.calibrate import calibrate
from lowbit.simulation.fates import Fate, fates
from lowbit.simulation.model import Simulation, require_model
from lowbit.simulation.prepare import float_form, quantize_model
from lowbit.simulation.strip import strip

__all__ = ["Fate", "Simulation", "calibrate", "fates", "float_form", "quantize_model", "require_model", "strip"]
