# SPDX-License-Identifier: Apache-2.0
"""The same function over many items on all cores; Pillow and hashlib release the GIL, so threads are enough."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Value = TypeVar("Value")

_AT_ONCE = 1024  # items handed to the threads: each waits in an object larger than what is known of an image


def cores() -> int:
    """CPU cores this process may use: its affinity where the system has one, else all of them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_threads(function: Callable[[Item], Value], items: Sequence[Item]) -> list[Value]:
    """`[function(item) for item in items]`, in order, on all cores.

    The error raised is that of the earliest failing item, whichever thread failed first; items not yet begun are
    then dropped.
    """
    workers = min(cores(), len(items))
    if workers <= 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(workers, thread_name_prefix="lowbit-data") as pool:
        starts = range(0, len(items), _AT_ONCE)
        return [value for start in starts for value in pool.map(function, items[start : start + _AT_ONCE])]
