# SPDX-License-Identifier: Apache-2.0
"""Outputs of a file over a whole data split, on all cores.

`invoke()` releases Python's lock, so each thread runs an interpreter of its own, with one native thread. A small net
is called with several samples at once, as a call costs more than its arithmetic. How many is measured for each file,
and only taken when the outputs are bit-equal to those of one sample at a time.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowbit.errors import FileFormatError, InputError
from lowbit.runtime.feeding import Inputs, Samples
from lowbit.runtime.interpreter import Runner, read_content

WORTHWHILE_SECONDS = 0.002  # one call of this length hides what a call costs around its arithmetic
LARGEST_BATCH = 32
QUEUE_FACTOR = 4  # portions in flight for each thread: bounds memory, keeps threads busy


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
    threads = cores() if threads is None else threads
    if threads < 1 or (batch is not None and batch < 1):
        raise InputError(
            received=f"threads={threads}, batch={batch}", expected="1 or more", mend="leave them out to use all cores"
        )
    content = read_content(path)
    start = time.perf_counter()
    workers = _Workers(content, path)
    samples = Samples(batches, workers.runner(1).inputs)
    done: list[dict[str, NDArray[Any]]] = []
    if batch is None:
        batch = _choose_batch(workers, samples, done)
    with ThreadPoolExecutor(threads, thread_name_prefix="lowbit") as pool:
        waiting: deque[Future[dict[str, NDArray[Any]]]] = deque()
        for portion in samples.portions(batch):
            waiting.append(pool.submit(workers.run, portion, batch))
            if len(waiting) >= QUEUE_FACTOR * threads:
                done.append(waiting.popleft().result())
        done.extend(future.result() for future in waiting)
    if not done:
        raise InputError(received="data without a sample", expected="at least one sample", mend="choose another split")
    outputs = {name: np.concatenate([part[name] for part in done]) for name in done[0]}
    return Prediction(
        outputs=outputs if len(outputs) > 1 else next(iter(outputs.values())),
        labels=samples.labels,
        samples=samples.taken,
        seconds=time.perf_counter() - start,
        threads=threads,
        batch=batch,
    )


class _Workers:
    """Interpreters, one for each thread and batch size, made when first needed."""

    def __init__(self, content: bytes, source: str | os.PathLike[str]) -> None:
        self._content, self._source = content, source
        self._own = threading.local()

    def runner(self, batch: int) -> Runner:
        runners: dict[int, Runner] = self._own.__dict__.setdefault("runners", {})
        if batch not in runners:
            runners[batch] = Runner(self._content, batch=batch, source=self._source)
        return runners[batch]

    def run(self, inputs: Inputs, batch: int) -> dict[str, NDArray[Any]]:
        """A whole portion in one call; a smaller last one sample by sample."""
        count = len(next(iter(inputs.values())))
        if count == batch:
            return self.runner(batch)(inputs)
        parts = [self.runner(1)({name: values[i : i + 1] for name, values in inputs.items()}) for i in range(count)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _choose_batch(workers: _Workers, samples: Samples, done: list[dict[str, NDArray[Any]]]) -> int:
    """Try on the first samples how many to put into one call; their outputs go into `done`.

    More than one only if the file can be resized, gives the same bits, and takes no longer.
    """
    first = samples.take(1)
    if not first:
        return 1
    done.append(workers.run(first, 1))
    single_seconds = min(_seconds(workers, first, 1) for _ in range(2))
    batch = 1
    while batch < LARGEST_BATCH and batch * single_seconds < WORTHWHILE_SECONDS:
        batch *= 2
    trial = samples.take(batch) if batch > 1 else {}
    if not trial:
        return 1
    count = len(next(iter(trial.values())))
    one_by_one = workers.run(trial, count + 1)
    done.append(one_by_one)
    if count < batch:
        return 1
    try:
        together = workers.run(trial, batch)
        seconds = min(_seconds(workers, trial, batch) for _ in range(2))
    except (FileFormatError, InputError):  # the file's shapes are fixed: it takes one sample at a time
        return 1
    same = all(np.array_equal(one_by_one[name], together[name], equal_nan=True) for name in one_by_one)
    return batch if same and seconds <= batch * single_seconds else 1


def _seconds(workers: _Workers, inputs: Inputs, batch: int) -> float:
    start = time.perf_counter()
    workers.run(inputs, batch)
    return time.perf_counter() - start
