# SPDX-License-Identifier: Apache-2.0
"""Latencies measured on some machine, perhaps another one than the run's: written there, joined to the run here."""

import json
import os
from dataclasses import dataclass
from typing import Self

from lowbit import records
from lowbit.results.figures import LatencyRatio, LatencyResult

SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class FileLatency:
    """One file with one number of threads. `sha256` is that of the file's bytes, by which a run knows it."""

    file: str
    sha256: str
    size_bytes: int
    latency_ms: LatencyResult
    latency_ratio: LatencyRatio | None = None
    peak_memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Device:
    """A machine: `name` as its owner calls it, the processor where none was given; versions of what ran the files."""

    name: str
    cpu: str
    cores: int
    system: str
    litert: str


@dataclass(frozen=True, kw_only=True)
class DeviceReport:
    """What `lowbit benchmark --json` and `python -m lowbit.runtime` print."""

    schema: int = SCHEMA
    device: Device
    files: tuple[FileLatency, ...]

    def of(self, sha256: str | None) -> tuple[FileLatency, ...]:
        """What was measured on the file of that hash, one for each number of threads."""
        return tuple(one for one in self.files if one.sha256 == sha256)

    def to_json(self) -> str:
        return json.dumps(records.encode(self), indent=1, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Raises FileFormatError for a missing, damaged or unknown file."""
        return records.load(
            cls,
            path,
            schema=SCHEMA,
            expected=f"latencies as lowbit writes them, schema {SCHEMA}",
            mend="write it on the device: lowbit benchmark FILE... --json > device.json",
        )
