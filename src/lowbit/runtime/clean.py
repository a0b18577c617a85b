# SPDX-License-Identifier: Apache-2.0
"""Work done in a process of its own: measurements nothing else disturbs, and files that may be damaged."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lowbit import records
from lowbit.errors import InputError
from lowbit.results import LatencyResult
from lowbit.runtime.interpreter import MOST_THREADS, not_readable, read_content

CHECK_LIMIT_SECONDS = 600
LONGEST_LINE = 200


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`peak_memory_bytes` is resident memory above what the process held after its imports."""

    latency: LatencyResult
    peak_memory_bytes: int
    open_ms: float


def measure(
    path: str | os.PathLike[str], *, threads: int = 1, runs: int | None = None, warmup: int | None = None
) -> Measured:
    """Latency of one sample and peak memory, in a fresh process that imports NumPy and LiteRT only.

    `runs` and `warmup` default to enough of them for a quarter and a tenth of a second, at least 50 and 5.
    Raises FileFormatError for an unusable file, InputError for numbers below 1.
    """
    wanted = {"threads": threads, "runs": runs, "warmup": warmup}
    given = {name: value for name, value in wanted.items() if value is not None}
    if min(given.values()) < 1:
        raise InputError(received=given, expected="numbers of 1 or more", mend="leave them out for the defaults")
    if threads > MOST_THREADS:
        raise InputError(
            received=f"threads={threads}", expected=f"1 to {MOST_THREADS}", mend="pass the number of cores"
        )
    read_content(path)
    arguments = [text for name, value in given.items() for text in (f"--{name}", str(value))]
    return records.decode(Measured, _run(path, arguments, limit_seconds=None), str(path))


def benchmark(
    path: str | os.PathLike[str], *, threads: int = 1, runs: int | None = None, warmup: int | None = None
) -> LatencyResult:
    """The latency of `measure`."""
    return measure(path, threads=threads, runs=runs, warmup=warmup).latency


def check_file(path: str | os.PathLike[str]) -> None:
    """Open, prepare and run the file once in a process of its own, so that this one survives a damaged file.

    Raises FileFormatError for what LiteRT refuses, what crashes it, and what does not end.
    """
    read_content(path)
    _run(path, ["--check"], limit_seconds=CHECK_LIMIT_SECONDS)


def _run(path: str | os.PathLike[str], arguments: list[str], limit_seconds: float | None) -> Any:
    """What `lowbit.runtime.measure` answers; its failures as FileFormatError."""
    command = [sys.executable, "-m", "lowbit.runtime.measure", os.fspath(path), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=_environment(), timeout=limit_seconds
        )
    except subprocess.TimeoutExpired as error:
        raise not_readable(path, f"one run did not end within {limit_seconds:.0f} s") from error
    if done.returncode < 0:
        raise not_readable(path, f"LiteRT crashed on it ({signal.Signals(-done.returncode).name})")
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise not_readable(path, _printable(lines[-1])) from error
    if "refused" in answer:
        raise not_readable(path, answer["refused"])
    return answer


def _printable(line: str) -> str:
    """The beginning of a line without what may be bytes of the file."""
    return "".join(letter for letter in line.partition("b'")[0] if letter.isprintable())[:LONGEST_LINE]


def _environment() -> dict[str, str]:
    """This environment, with the folder that lowbit was imported from first on the path."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, known] if known else [root])}
