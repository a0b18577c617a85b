# SPDX-License-Identifier: Apache-2.0
"""What every kind of data comes down to: raw samples that can be read by position."""

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]

# Sets whose raw samples fit are decoded once and kept; larger ones are read again for every batch.
MEMORY_LIMIT_BYTES = 1 << 30


class Source(Protocol):
    """Raw samples of one split, before preprocessing."""

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of one sample by input name, e.g. `{"image": (128, 128, 3)}`."""

    @property
    def pixels(self) -> frozenset[str]:
        """Names of the inputs that hold pixel values 0..255; only these are preprocessed."""

    @property
    def in_memory(self) -> bool:
        """Whether `take` is a mere copy; if not, batches are read ahead in the background."""

    def __len__(self) -> int:
        """Number of samples."""

    def take(self, indices: Sequence[int] | Array) -> dict[str, Array]:
        """The raw samples at these positions, in this order, stacked along a new first axis."""

    def check(self) -> None:
        """Decode whatever will be kept in memory, so that a damaged sample is found now. Raises InputError."""

    def fingerprints(self) -> list[str]:
        """One line for each sample that changes when its content does, and is the same on every machine."""
