# SPDX-License-Identifier: Apache-2.0
"""What the bytes of a file are."""

from dataclasses import dataclass

from lowbit.results.checks import within


@dataclass(frozen=True, kw_only=True)
class SizeParts:
    """Bytes by what they hold; together they are the file. What several tensors share is counted once.

    constants      weights, biases and other stored tensors
    scales         one float32 for each tensor or channel
    zero_points    one int64 for each scale
    names          of tensors
    structure      all else: shapes, ops with their options, tables of the format
    floor          constants, and the scales that they need: no file of these weights at these bits can be smaller
    """

    constants: int
    scales: int
    zero_points: int
    names: int
    structure: int
    floor: int

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            within(f"bytes of {name}", value, 0)

    @property
    def above_floor(self) -> float:
        """By which share of the floor the file is larger, 0.05 for 5 %; 0 for a file without constants."""
        total = self.constants + self.scales + self.zero_points + self.names + self.structure
        return total / self.floor - 1 if self.floor else 0.0
