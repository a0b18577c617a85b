# SPDX-License-Identifier: Apache-2.0
"""Outputs of a file over a whole data split, on all cores.

`invoke()` releases Python's lock, so each thread runs an interpreter of its own, with one native thread. A small net
is called with several samples at once, as a call costs more than its arithmetic. How many is measured for each file,
and only taken when the outputs are bit-equal to those of one sample at a time.
"""

import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowbit.errors import FileFormatError, InputError
from lowbit.runtime.feeding import Inputs, Samples
from lowbit.runtime.interpreter import MOST_THREADS, Runner, read_content

Outputs = dict[str, NDArray[Any]]

WORTHWHILE_SECONDS = 0.01  # one call of this length hides what a call costs around its arithmetic
FEW, FEW_SECONDS = 8, 0.003  # more in a call only while it is as short as this: trying it keeps the other cores waiting
LARGEST_BATCH = 32
TASK_SECONDS = 0.008  # a task of this length hides what handing it to a thread costs
MOST_CALLS = 8  # calls in one task: threads still finish together
QUEUE_FACTOR = 3  # tasks in flight for each thread: bounds memory, keeps threads busy


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Outputs in the order of the samples.

    `outputs` has shape (samples, ...), or is a dict of such arrays by name where the file has several outputs; codes
    are given as real values. `labels` is None where the data has none. `batch` samples went into one call.
    """

    outputs: NDArray[Any] | dict[str, NDArray[Any]]
    labels: NDArray[Any] | None
    samples: int
    seconds: float
    threads: int
    batch: int

    @property
    def per_second(self) -> float:
        return self.samples / self.seconds


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def predict(
    path: str | os.PathLike[str], batches: Iterable[Any], *, threads: int | None = None, batch: int | None = None
) -> Prediction:
    """Run every sample of `batches` through the file; bit-equal to one sample at a time.

    `batches` yields `(inputs, labels)`, dicts of named inputs, or arrays, of real values (samples on the first axis).
    `threads` defaults to all cores, `batch` (samples in one call) to what is measured to be fastest.
    Raises FileFormatError for an unusable file, InputError for data that does not fit it or is empty.
    """
    start = time.perf_counter()
    stream = Stream(path, batches, threads=threads, batch=batch)
    parts = list(stream)
    outputs = _joined([part.outputs for part in parts])
    labels = [part.labels for part in parts if part.labels is not None]
    return Prediction(
        outputs=outputs if len(outputs) > 1 else next(iter(outputs.values())),
        labels=np.concatenate(labels) if labels else None,
        samples=stream.samples,
        seconds=time.perf_counter() - start,
        threads=stream.threads,
        batch=stream.batch,
    )


@dataclass(frozen=True, kw_only=True)
class Portion:
    """Some samples: what the file answers for them, by output name, and their labels, None where there are none."""

    outputs: Outputs
    labels: NDArray[Any] | None


class Stream:
    """The answers for a data split in portions, in order; memory stays the same however many samples there are.

    Iterate once. `samples` counts those that were answered, `batch` is how many went into one call.
    Arguments and errors as of `predict`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        batches: Iterable[Any],
        *,
        threads: int | None = None,
        batch: int | None = None,
    ) -> None:
        self.threads = cores() if threads is None else threads
        if not 1 <= self.threads <= MOST_THREADS or (batch is not None and batch < 1):
            raise InputError(
                received=f"threads={self.threads}, batch={batch}",
                expected=f"1 or more, threads up to {MOST_THREADS}",
                mend="leave them out to use all cores",
            )
        self._runners = _Runners(read_content(path), path)
        with self._runners.lend(1) as first:
            self._drawn = Samples(batches, first.inputs)
        self.samples = 0
        self.batch = 1 if batch is None else batch
        self._tries = batch is None

    def __iter__(self) -> Iterator[Portion]:
        plan, tried = Plan(self.batch, calls=1), list[Outputs]()
        if self._tries:
            plan = _make_plan(self._runners, self._drawn, tried)
            self.batch = plan.batch
        yield from map(self._answered, tried)
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="lowbit")
        try:
            waiting: deque[Future[Outputs]] = deque()
            for portion in self._drawn.portions(plan.batch * plan.calls):
                waiting.append(pool.submit(_run, self._runners, portion, plan.batch))
                if len(waiting) >= QUEUE_FACTOR * self.threads:
                    yield self._answered(waiting.popleft().result())
            while waiting:
                yield self._answered(waiting.popleft().result())
        finally:
            pool.shutdown(cancel_futures=True)  # also when the reader stops early
        if not self.samples:
            raise InputError(
                received="data without a sample", expected="at least one sample", mend="choose another split"
            )

    def _answered(self, outputs: Outputs) -> Portion:
        count = _length(outputs)
        self.samples += count
        return Portion(outputs=outputs, labels=self._drawn.labels(count))


@dataclass(frozen=True)
class Plan:
    """Samples in one call, and calls in one task of a thread."""

    batch: int
    calls: int


class _Runners:
    """Interpreters by batch size, lent to one thread at a time and made when none is free."""

    def __init__(self, content: bytes, source: str | os.PathLike[str]) -> None:
        self._content, self._source = content, source
        self._free: defaultdict[int, list[Runner]] = defaultdict(list)

    @contextmanager
    def lend(self, batch: int) -> Iterator[Runner]:
        try:
            runner = self._free[batch].pop()
        except IndexError:
            runner = Runner(self._content, batch=batch, source=self._source)
        yield runner
        self._free[batch].append(runner)


def _run(runners: _Runners, inputs: Inputs, batch: int) -> Outputs:
    """All samples of a task, `batch` in each call; those left over one by one."""
    count = _length(inputs)
    whole = count - count % batch
    return _joined([*_calls(runners, inputs, 0, whole, batch), *_calls(runners, inputs, whole, count, 1)])


def _calls(runners: _Runners, inputs: Inputs, start: int, stop: int, batch: int) -> list[Outputs]:
    if start == stop:
        return []
    with runners.lend(batch) as runner:
        return [
            runner({name: values[i : i + batch] for name, values in inputs.items()}) for i in range(start, stop, batch)
        ]


def _make_plan(runners: _Runners, samples: Samples, done: list[Outputs]) -> Plan:
    """Try on the first samples how many to put into one call; their outputs go into `done`.

    More than one only if the file can be resized, gives the same bits, and takes no longer.
    """
    single_seconds = math.inf
    for _ in range(2):  # the first call is slower: it warms up
        if first := samples.take(1):
            single_seconds = min(single_seconds, _timed_run(runners, first, 1, done))
    batch = 1
    while batch < LARGEST_BATCH and batch * single_seconds < (WORTHWHILE_SECONDS if batch < FEW else FEW_SECONDS):
        batch *= 2
    trial = samples.take(batch) if batch > 1 else {}
    if trial:
        single_seconds = min(single_seconds, _timed_run(runners, trial, 1, done) / _length(trial))
    one_by_one = Plan(1, _calls_of(single_seconds))
    if not trial or _length(trial) < batch:
        return one_by_one
    together: list[Outputs] = []
    try:
        seconds = min(_timed_run(runners, trial, batch, together) for _ in range(2))
    except (FileFormatError, InputError):  # the file's shapes are fixed: it takes one sample at a time
        return one_by_one
    same = all(np.array_equal(values, together[0][name], equal_nan=True) for name, values in done[-1].items())
    return Plan(batch, _calls_of(seconds)) if same and seconds <= batch * single_seconds else one_by_one


def _timed_run(runners: _Runners, inputs: Inputs, batch: int, done: list[Outputs]) -> float:
    """Seconds of `_run`; its outputs are appended to `done`."""
    start = time.perf_counter()
    done.append(_run(runners, inputs, batch))
    return time.perf_counter() - start


def _calls_of(seconds: float) -> int:
    """How many calls of this length make a task."""
    return max(1, min(MOST_CALLS, round(TASK_SECONDS / seconds)))


def _length(inputs: Inputs) -> int:
    return len(next(iter(inputs.values())))


def _joined(parts: list[Outputs]) -> Outputs:
    return parts[0] if len(parts) == 1 else {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
