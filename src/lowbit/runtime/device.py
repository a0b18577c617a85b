# SPDX-License-Identifier: Apache-2.0
"""Files measured on this machine, with what a reader elsewhere must know of it."""

import hashlib
import importlib.metadata
import os
import platform
from collections.abc import Sequence
from pathlib import Path

from lowbit.errors import FileFormatError
from lowbit.results import Device, DeviceReport, FileLatency
from lowbit.runtime.interpreter import not_readable, read_content
from lowbit.runtime.predict import cores
from lowbit.runtime.together import Measured, measure_together


def measure_here(
    paths: Sequence[str | os.PathLike[str]],
    *,
    threads: Sequence[int] = (1,),
    reference: str | os.PathLike[str] | None = None,
    runs: int | None = None,
    name: str | None = None,
) -> DeviceReport:
    """Measure the files in turns, once for each number of threads; the others' ratios are to `reference`, the first
    file where none is named.

    Raises FileFormatError for a file that cannot be run, InputError for numbers below 1.
    """
    named = {os.fspath(path): path for path in paths}
    base = os.fspath(paths[0] if reference is None else reference)
    contents = {path: _hash(path) for path in named}
    rows = []
    for count in threads:
        found = measure_together(named, threads=count, reference=base, runs=runs)
        rows += [_row(path, found[path], contents[path]) for path in named]
    for path, content in contents.items():
        if _hash(path) != content:
            raise not_readable(path, "it was changed while it was measured")
    return DeviceReport(device=device(name), files=tuple(rows))


def _hash(path: str) -> str:
    return hashlib.sha256(read_content(path)).hexdigest()


def _row(path: str, found: Measured | FileFormatError, content: str) -> FileLatency:
    if isinstance(found, FileFormatError):
        raise found
    return FileLatency(
        file=path,
        sha256=content,
        size_bytes=Path(path).stat().st_size,
        latency_ms=found.latency,
        latency_ratio=found.ratio,
        peak_memory_bytes=found.peak_memory_bytes,
    )


def device(name: str | None = None) -> Device:
    """This machine."""
    cpu = processor()
    return Device(
        name=cpu if name is None else name,
        cpu=cpu,
        cores=cores(),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        litert=importlib.metadata.version("ai-edge-litert"),
    )


def processor() -> str:
    """The processor's name as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
