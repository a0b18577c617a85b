# SPDX-License-Identifier: Apache-2.0
"""What quantization did in an epoch of training."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EpochMovement:
    """Ranges and codes at the end of an epoch.

    epoch     counted from 1; 0 is before training
    ranges    smallest and largest value of each activation range, real units, by tensor name
    clipped   share of a tensor's values at an end of its grid where values are cut off, 0..1; empty where not measured
    changed   share of a layer's weight codes that are others than an epoch ago, 0..1
    """

    epoch: int
    ranges: Mapping[str, tuple[float, float]]
    clipped: Mapping[str, float]
    changed: Mapping[str, float]
