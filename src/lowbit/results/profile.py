# SPDX-License-Identifier: Apache-2.0
"""Where the time of a file goes."""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, kw_only=True)
class OpTime:
    """All ops of one kind that XNNPACK runs, or that it does not: how many, and their share 0..1 of the file's time."""

    op: str
    count: int
    delegated: bool
    share: float


@dataclass(frozen=True, kw_only=True)
class SlowOp:
    """One op and its share; `layer` names the tensor it computes."""

    op: str
    layer: str
    delegated: bool
    share: float


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Time by kind of op, the largest share first, and the single ops that take longest.

    Every part of the file that runs at a stretch, an XNNPACK partition or an op outside, was measured as a file of its
    own, in turns with the whole. Inside a partition the ops share its time as they take it alone. `unexplained` is what
    the parts do not add up to, as a share of the whole: negative where they take longer apart. `reasons` says in words
    what the figures mean and what would change them.
    """

    DERIVED: ClassVar[tuple[str, ...]] = ("unexplained",)

    whole_ms: float
    partitions: int
    delegated_share: float
    kinds: tuple[OpTime, ...]
    slowest: tuple[SlowOp, ...]
    arena_bytes: int | None
    reasons: tuple[str, ...]

    @property
    def unexplained(self) -> float:
        return 1 - sum(kind.share for kind in self.kinds)

    def time_ms(self, op: str) -> float:
        """Of all ops of one kind together."""
        return self.whole_ms * sum(kind.share for kind in self.kinds if kind.op == op)
