# SPDX-License-Identifier: Apache-2.0
"""Processes that hold one file: what measures it is disturbed by nothing, and a damaged file ends no other process."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from lowbit.runtime.interpreter import not_readable, read_content

CHECK_LIMIT_SECONDS = 600
LONGEST_LINE = 200


def check_file(path: str | os.PathLike[str]) -> None:
    """Open, prepare and run the file once in a process of its own, so that this one survives a damaged file.

    Raises FileFormatError for what LiteRT refuses, what crashes it, and what does not end.
    """
    read_content(path)
    try:
        done = subprocess.run(
            worker_command(path, "--check"),
            capture_output=True,
            text=True,
            errors="replace",
            env=worker_environment(),
            timeout=CHECK_LIMIT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise not_readable(path, f"one run did not end within {CHECK_LIMIT_SECONDS:.0f} s") from error
    worker_answer(path, done.stdout, done.returncode, done.stderr)


def worker_command(*arguments: str | os.PathLike[str]) -> list[str]:
    """What starts `lowbit.runtime.worker` for files, with its options."""
    return [sys.executable, "-m", "lowbit.runtime.worker", *(os.fspath(one) for one in arguments)]


def worker_environment() -> dict[str, str]:
    """This environment, with the folder that lowbit was imported from first on the path."""
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([root, known] if known else [root])}


def worker_answer(path: str | os.PathLike[str], line: str, returncode: int | None, errors: str) -> Any:
    """What a worker said in `line`; what is no answer, and a refusal, as FileFormatError.

    `returncode` is None while the process runs; `errors` is its stderr.
    """
    if returncode is not None and returncode < 0:
        known = {one.value: one.name for one in signal.Signals}
        raise not_readable(path, f"LiteRT crashed on it ({known.get(-returncode, f'signal {-returncode}')})")
    try:
        answer = json.loads(line)
    except ValueError as error:
        lines = errors.strip().splitlines() or [f"exit code {returncode}"]
        raise not_readable(path, _printable(lines[-1])) from error
    if isinstance(answer, dict) and "refused" in answer:
        raise not_readable(path, answer["refused"].removeprefix(f"{os.fspath(path)}: "))
    return answer


def _printable(line: str) -> str:
    """The beginning of a line without what may be bytes of the file."""
    return "".join(letter for letter in line.partition("b'")[0] if letter.isprintable())[:LONGEST_LINE]
