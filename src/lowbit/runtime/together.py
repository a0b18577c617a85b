# SPDX-License-Identifier: Apache-2.0
"""Latency of files, measured in turns.

A machine drifts: other work comes and goes, clocks rise and fall. Files that are measured one after the other get
different weather; in rounds, each file for a moment and then all again, they share it, and the ratio of two files
within a round holds when neither's milliseconds do.
"""

import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, TypeVar, cast

import numpy as np

from lowbit.errors import FileFormatError, InputError
from lowbit.results import LatencyRatio, LatencyResult
from lowbit.runtime.clean import worker_answer, worker_command, worker_environment
from lowbit.runtime.interpreter import MOST_THREADS, read_content

T = TypeVar("T")

PROCESSES, ROUNDS_OF_EACH = 4, 5  # of a file, one after another, and rounds with each
ROUNDS = PROCESSES * ROUNDS_OF_EACH
LEAST_RUNS, LEAST_MS = 3, 12.0  # of one file in a round; both are reached
LEAST_PART_MS, PART_WARMUP = 4.0, 10  # of one of many parts in a round, and its runs before the first
MOST_RUNS = 250  # in a round
RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`peak_memory_bytes` is resident memory above what the process held after its imports.

    `ratio` compares the latency with that of a file that was measured in turns with this one.
    """

    latency: LatencyResult
    peak_memory_bytes: int
    open_ms: float
    ratio: LatencyRatio | None = None


def measure(
    path: str | os.PathLike[str], *, threads: int = 1, runs: int | None = None, warmup: int | None = None
) -> Measured:
    """`measure_together` for one file; raises FileFormatError where it cannot be run."""
    found = measure_together({"it": path}, threads=threads, runs=runs, warmup=warmup)["it"]
    if isinstance(found, FileFormatError):
        raise found
    return found


def measure_together(
    paths: Mapping[str, str | os.PathLike[str]],
    *,
    threads: int = 1,
    reference: str | None = None,
    runs: int | None = None,
    warmup: int | None = None,
) -> dict[str, Measured | FileFormatError]:
    """Latency of one sample and peak memory of each file by name, or why it could not be measured.

    A process holds one file, imports NumPy and LiteRT only and is pinned to as many cores as `threads`; one at a time
    is at work. Each file has several, one after another, as its latency differs between processes (decision 0016).

    Args:
        reference: the name of the file that the others' ratios are to; None for no ratios.
        runs: of each file, shared among the rounds; enough of them for a steady median when None.
        warmup: runs before the first that counts; as many as it takes to become steady when None.

    Raises InputError for numbers below 1.
    """
    _check_numbers(threads=threads, runs=runs, warmup=warmup)
    figures = {name: _Figures() for name in paths}
    failed: dict[str, FileFormatError] = {}
    for first in range(0, ROUNDS if runs is None else min(runs, ROUNDS), ROUNDS_OF_EACH):
        left = {name: path for name, path in paths.items() if name not in failed}
        failed |= _in_turns(left, figures, range(first, first + ROUNDS_OF_EACH), threads, runs, warmup)
    base = None if reference is None or reference in failed else figures.get(reference)
    found: dict[str, Measured | FileFormatError] = {}
    for name, one in figures.items():
        if name in failed:
            found[name] = failed[name]
        elif base is None or base is one:
            found[name] = one.measured(threads)
        else:
            found[name] = one.measured(threads, _ratio(one.rounds, base.rounds, str(reference)))
    return found


def _in_turns(
    paths: Mapping[str, str | os.PathLike[str]],
    figures: Mapping[str, "_Figures"],
    rounds: range,
    threads: int,
    runs: int | None,
    warmup: int | None,
) -> dict[str, FileFormatError]:
    """Rounds with one process of each file, added to its figures; returns why a file could not be run, by name."""
    running: dict[str, _File] = {}
    failed: dict[str, FileFormatError] = {}
    try:
        for name, path in paths.items():
            try:
                read_content(path)
                running[name] = _Worker([path], threads, warmup).files[0]
            except FileFormatError as error:
                failed[name] = error
        for number in rounds:
            for name in _order(list(running), number):
                try:
                    running[name].run(_portion(running[name].run_ms, runs, number))
                except FileFormatError as error:
                    failed[name] = error
                    running.pop(name).worker.close()
        for name, one in running.items():
            figures[name].add(one)
    finally:
        for one in running.values():
            one.worker.close()
    return failed


def measure_parts(
    whole: str | os.PathLike[str], parts: Sequence[str | os.PathLike[str]], *, threads: int = 1
) -> tuple[float, tuple[float, ...]]:
    """Milliseconds of a file, and of each part cut out of it as a share of the file's; all in one process, in turns.

    There are many parts, and what a process of its own gives (clean memory, a crash that ends no other) they need not.

    Raises FileFormatError for a file that cannot be run, InputError for threads below 1.
    """
    _check_numbers(threads=threads)
    worker = _Worker([whole, *parts], threads, PART_WARMUP)
    try:
        for number in range(ROUNDS):
            for one in _order(worker.files, number):
                one.run(_portion(one.run_ms, None, number, LEAST_PART_MS))
    finally:
        worker.close()
    base = worker.files[0].rounds
    shares = tuple(_ratio(one.rounds, base, "").value for one in worker.files[1:])
    return float(np.median([value for one in base for value in one])), shares


def paired_ratio(times: Sequence[float], reference: Sequence[float]) -> tuple[float, tuple[float, float]]:
    """Median of the ratios of pairs, and its 95 % bootstrap interval; the same pairs give the same figures.

    >>> paired_ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    (2.0, (2.0, 2.0))
    """
    ratios = np.asarray(times) / np.asarray(reference)
    drawn = np.random.default_rng(0).choice(ratios, (RESAMPLES, len(ratios)))
    low, high = np.percentile(np.median(drawn, axis=1), (2.5, 97.5))
    return float(np.median(ratios)), (float(low), float(high))


def _check_numbers(**wanted: int | None) -> None:
    given = {name: value for name, value in wanted.items() if value is not None}
    if min(given.values()) < 1:
        raise InputError(received=given, expected="numbers of 1 or more", mend="leave them out for the defaults")
    if given["threads"] > MOST_THREADS:
        raise InputError(
            received=f"threads={given['threads']}", expected=f"1 to {MOST_THREADS}", mend="pass the number of cores"
        )


def _order(names: list[T], number: int) -> list[T]:
    """Another file is first in each round, and every second round goes backwards: none always follows the same one."""
    start = number % max(len(names), 1)
    turned = names[start:] + names[:start]
    return turned[::-1] if number % 2 else turned


def _portion(run_ms: float, runs: int | None, number: int, least_ms: float = LEAST_MS) -> int:
    """Runs of one file in a round."""
    if runs is None:
        return min(MOST_RUNS, max(LEAST_RUNS, int(np.ceil(least_ms / run_ms))))
    return runs // ROUNDS + (number < runs % ROUNDS)


def _ratio(times: list[list[float]], reference: list[list[float]], name: str) -> LatencyRatio:
    """Of rounds in which both ran: with few runs that are told, not each has one."""
    pairs = [(np.median(one), np.median(other)) for one, other in zip(times, reference, strict=True) if one and other]
    value, interval = paired_ratio(*map(list, zip(*pairs, strict=True)))
    return LatencyRatio(reference=name, value=value, ci95=interval, rounds=len(pairs))


class _File:
    """A file that a worker holds; `rounds` has the milliseconds of each run. Raises as its worker does."""

    def __init__(self, worker: "_Worker", number: int, *, run_ms: float, open_ms: float) -> None:
        self.worker, self.run_ms, self.open_ms = worker, run_ms, open_ms
        self.rounds: list[list[float]] = []
        self._number = number

    def run(self, count: int) -> None:
        """One round of `count` runs."""
        self.rounds.append(self.worker.ask(self._number, f"{self._number} {count}") if count else [])

    def peak_memory_bytes(self) -> int:
        """Of its worker."""
        return int(self.worker.ask(self._number, "")["peak_memory_bytes"])


@dataclass
class _Figures:
    """Of one file, over its processes."""

    rounds: list[list[float]] = field(default_factory=list)
    open_ms: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def add(self, file: _File) -> None:
        self.rounds += file.rounds
        self.open_ms.append(file.open_ms)
        self.peaks.append(file.peak_memory_bytes())

    def measured(self, threads: int, ratio: LatencyRatio | None = None) -> Measured:
        every = [value for one in self.rounds for value in one]
        median, p10, p90 = (float(figure) for figure in np.percentile(every, (50, 10, 90)))
        return Measured(
            latency=LatencyResult(median=median, p10=p10, p90=p90, runs=len(every), threads=threads),
            peak_memory_bytes=max(self.peaks),
            open_ms=float(np.median(self.open_ms)),
            ratio=ratio,
        )


class _Worker:
    """A process that holds files, warm when it is made.

    Every method raises FileFormatError where the process refuses a file or ends.
    """

    def __init__(self, paths: Sequence[str | os.PathLike[str]], threads: int, warmup: int | None) -> None:
        self._paths = paths
        options = ["--threads", str(threads)] + ([] if warmup is None else ["--warmup", str(warmup)])
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  closed by close()
        self._process = subprocess.Popen(
            worker_command(*paths, *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=worker_environment(),
        )
        self._input, self._output = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        try:
            told = [self._answer(number) for number in range(len(paths))]
        except FileFormatError:
            self.close()
            raise
        self.files = [_File(self, number, **figures) for number, figures in enumerate(told)]

    def ask(self, number: int, line: str) -> Any:
        """The answer to a line that is about the file with this number."""
        with suppress(BrokenPipeError):  # it ended: the answer tells how
            self._input.write(line + "\n")
            self._input.flush()
        return self._answer(number)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self, number: int) -> Any:
        line = self._output.readline()
        if not line:
            self._process.wait()
        self._errors.seek(0)
        return worker_answer(self._paths[number], line, self._process.poll(), self._errors.read())
