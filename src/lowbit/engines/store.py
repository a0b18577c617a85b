# SPDX-License-Identifier: Apache-2.0
"""The memory of a run folder: one record for each job, and the hashes of the files it wrote.

- `FOLDER/.jobs/lock`: held while a run works in the folder; the system frees it when the process dies
- `FOLDER/.jobs/records/NAME.json`: key, status, value, seconds and the sha256 of each output
- `FOLDER/.jobs/staging/`: where a job writes before its files are moved into place
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lowbit.engines.job import Job, JobResult
from lowbit.errors import InputError
from lowbit.files import sha256, write_text

RECORD_VERSION = 1


class Store:
    """Records and staging below `FOLDER/.jobs`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / ".jobs"
        self.records = self.home / "records"
        self.staging = self.home / "staging"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; InputError when another run is working in it."""
        self.records.mkdir(parents=True, exist_ok=True)
        with (self.home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(
                    received=f"folder {self.folder}",
                    expected="a folder that no other run is working in",
                    mend="wait for the other run to end, or choose another folder",
                ) from None
            except OSError:
                pass  # some network file systems know no locks; working without one is better than not at all
            shutil.rmtree(self.staging, ignore_errors=True)  # left behind by a killed run
            yield

    def forget(self) -> None:
        """Start over: no record is left, so every job runs again and replaces its files."""
        for record in self.records.glob("*.json"):
            record.unlink()

    def recall(self, job: Job, key: str) -> JobResult | None:
        """The stored result, if it was made under this key and every file it wrote is still what it was."""
        record = self._read(job.name)
        if record is None or record["key"] != key or record["status"] == "failed":
            return None
        if job.essential and record["status"] != "ok":
            return None
        hashes = record["outputs"]
        if record["status"] == "ok" and set(hashes) != set(job.outputs):
            return None
        for path, known in hashes.items():
            place = self.folder / path
            if not place.is_file() or sha256(place) != known:
                return None
        return JobResult(
            name=job.name,
            status=record["status"],
            reason=record["reason"],
            value=record["value"],
            seconds=record["seconds"],
            cached=True,
            outputs=hashes,
        )

    def remember(self, result: JobResult, key: str, traceback: str | None = None) -> None:
        record = {
            "version": RECORD_VERSION,
            "name": result.name,
            "key": key,
            "status": result.status,
            "reason": result.reason,
            "value": result.value,
            "seconds": result.seconds,
            "outputs": dict(result.outputs),
            "traceback": traceback,
        }
        write_text(self._path(result.name), json.dumps(record, indent=1, allow_nan=False))

    def take_in(self, staging: Path, outputs: Sequence[str]) -> dict[str, str]:
        """Move finished files from `staging` into the folder; returns their sha256.

        Raises FileNotFoundError, before anything is moved, when a declared output was not written.
        """
        for path in outputs:
            if not (staging / path).is_file():
                raise FileNotFoundError(f"the job ended without writing its output {path!r}")
        hashes = {path: sha256(staging / path) for path in outputs}
        for path in outputs:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(staging / path, self.folder / path)
        return hashes

    def _path(self, name: str) -> Path:
        return self.records / f"{name}.json"

    def _read(self, name: str) -> dict[str, Any] | None:
        """The record, or None when there is none, it is damaged, or another version wrote it."""
        try:
            record = json.loads(self._path(name).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        fields = {"key", "status", "reason", "value", "seconds", "outputs"}
        if not isinstance(record, dict) or record.get("version") != RECORD_VERSION or not fields <= set(record):
            return None
        return record
