# SPDX-License-Identifier: Apache-2.0
"""What all benchmarks share: interleaved rounds, medians, and one way to print them."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any


def seconds(function: Callable[[], Any]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def interleaved(measures: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    """Each measure once in each round, so that a busy minute of the machine meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def median_ratio(numerators: list[float], denominators: list[float]) -> float:
    """Median over rounds of the ratio within a round."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def show(title: str, rows: Mapping[str, list[float]], unit: str) -> None:
    """One line for each measure: median, smallest, largest."""
    print(f"\n{title} ({unit})")
    for name, values in rows.items():
        spread = f"{min(values):.3f} to {max(values):.3f}"
        print(f"  {name:<52} {statistics.median(values):>10.3f}   {spread}, {len(values)} runs")


def machine() -> str:
    """Where this was measured."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = f", load {os.getloadavg()[0]:.1f} when it ended" if hasattr(os, "getloadavg") else ""
    return f"{platform.system()} {platform.machine()}, {cores} cores, Python {platform.python_version()}{load}"
