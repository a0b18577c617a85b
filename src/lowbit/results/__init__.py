# SPDX-License-Identifier: Apache-2.0
"""What was got: the rows of a run, parity, coverage; frozen, written as JSON and read back (`lowbit.records`)."""

from lowbit.results.coverage import FATES, Coverage, LayerCoverage, Workload
from lowbit.results.details import ChangedSample, Changes, ClassAccuracy, Curve, Details
from lowbit.results.device import Device, DeviceReport, FileLatency
from lowbit.results.figures import DIRECTIONS, LatencyRatio, LatencyResult, Metric, milliseconds, percent, quantity
from lowbit.results.movement import EpochMovement
from lowbit.results.parity import ParityResult, TensorParity
from lowbit.results.profile import OpTime, Profile, SlowOp
from lowbit.results.run import KINDS, MEASURED, SCHEMA, STATUSES, Results, Row, Verdict
from lowbit.results.sizes import SizeParts

__all__ = [
    "DIRECTIONS",
    "FATES",
    "KINDS",
    "MEASURED",
    "SCHEMA",
    "STATUSES",
    "ChangedSample",
    "Changes",
    "ClassAccuracy",
    "Coverage",
    "Curve",
    "Details",
    "Device",
    "DeviceReport",
    "EpochMovement",
    "FileLatency",
    "LatencyRatio",
    "LatencyResult",
    "LayerCoverage",
    "Metric",
    "OpTime",
    "ParityResult",
    "Profile",
    "Results",
    "Row",
    "SizeParts",
    "SlowOp",
    "TensorParity",
    "Verdict",
    "Workload",
    "milliseconds",
    "percent",
    "quantity",
]
