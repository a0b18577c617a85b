# SPDX-License-Identifier: Apache-2.0
"""Keras -> float `.tflite` -> integer `.tflite` with the simulation's own scales, and parity."""

from lowbit.export.parity import parity
from lowbit.export.write import ExportResult, export, export_variant

__all__ = ["ExportResult", "export", "export_variant", "parity"]
