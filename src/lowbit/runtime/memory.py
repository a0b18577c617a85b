# SPDX-License-Identifier: Apache-2.0
"""Peak resident memory of this process above a starting point."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")
_RESET_PEAK = (Path("/proc/self/clear_refs"), "5")


class MemoryWatch:
    """Remembers resident memory when made; `peak_above()` is the highest since then, above that, in bytes.

    Linux tells the peak since a reset. Elsewhere the peak of the whole process is taken before and after, which is too
    low by what the imports needed for a moment only.
    """

    def __init__(self) -> None:
        self._linux = _STATUS.exists()
        if self._linux:
            _reset_peak()
        self._before = _status_bytes("VmRSS") if self._linux else _highest_ever()

    def peak_above(self) -> int:
        peak = _status_bytes("VmHWM") if self._linux else _highest_ever()
        return max(0, peak - self._before)


def _reset_peak() -> None:
    """Let the kernel forget the peak of the imports; where it may not, that peak counts (containers, old kernels)."""
    path, order = _RESET_PEAK
    try:
        path.write_text(order)
    except OSError:
        return


def _status_bytes(name: str) -> int:
    line = next(line for line in _STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return 1024 * int(line.split()[1])


def _highest_ever() -> int:
    """Peak resident memory since the process began: bytes on macOS, kilobytes on other Unix systems."""
    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else 1024 * highest
