# SPDX-License-Identifier: Apache-2.0
"""Files in a process of their own (`python -m lowbit.runtime.worker FILE...`), measured in portions asked for.

Lines of JSON: it says of each file when it is warm. On stdin `NUMBER COUNT` is answered by the milliseconds of `COUNT`
runs of the file with that number, from 0; an empty line by the peak of the process's memory. `--check` runs the first
file once and answers `{}`. A file that LiteRT refuses is answered as `{"refused": why}`.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from lowbit.errors import LowbitError
from lowbit.runtime.interpreter import Endpoint, Runner
from lowbit.runtime.memory import MemoryWatch

BLOCK = (5, 0.02)  # runs and seconds of warm-up that are looked at together; both are reached
STEADY = 0.02  # largest change of the median from a block to the next that counts as warm
MOST_BLOCKS = 50


def main() -> None:
    """Serve or check one file; refusals are an answer, a native crash is the parent's to notice."""
    parser = argparse.ArgumentParser(prog="python -m lowbit.runtime.worker", description=__doc__)
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warmup", type=int)
    asked = parser.parse_args()
    try:
        if asked.check:
            _check(asked.files[0])
        else:
            _serve(asked.files, asked.threads, asked.warmup)
    except LowbitError as error:
        _say({"refused": getattr(error, "received", str(error))})


def _say(answer: Any) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _check(path: str) -> None:
    runner = Runner.open(path)
    runner.feed(random_inputs(runner.inputs, np.random.default_rng(0)))
    runner.invoke()
    _say({})


def _serve(paths: Sequence[str], threads: int, warmup: int | None) -> None:
    _pin(threads)
    generator = np.random.default_rng(0)  # before the watch: NumPy loads its random module when first asked
    watch = MemoryWatch()
    runners = []
    for path in paths:
        start = time.perf_counter()
        runner = Runner.open(path, threads=threads)
        opened = time.perf_counter()
        runner.feed(random_inputs(runner.inputs, generator))
        runners.append(runner)
        _say({"run_ms": _warm(runner, warmup), "open_ms": 1e3 * (opened - start)})
    for line in sys.stdin:
        if line.strip():
            number, count = map(int, line.split())
            _times(runners[number], 1)  # what ran in between took the caches
            _say(_times(runners[number], count))
        else:
            _say({"peak_memory_bytes": watch.peak_above()})


def _pin(threads: int) -> None:
    """Stay on as many cores as there are threads, the last ones: the first has the system's work to do."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


def random_inputs(inputs: tuple[Endpoint, ...], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Values from 0 to 1, as codes where the file takes codes; zeros where it takes integers without a scale."""
    return {
        end.name: generator.random(end.shape, np.float32)
        if end.scale is not None or np.issubdtype(np.dtype(end.dtype), np.floating)
        else np.zeros(end.shape, end.dtype)
        for end in inputs
    }


def _warm(runner: Runner, count: int | None) -> float:
    """Run `count` times, or until blocks of runs take the same time; returns the milliseconds of a run."""
    if count is not None:
        return float(np.median(_times(runner, count)))
    before = _block(runner)
    for _ in range(MOST_BLOCKS):
        now = _block(runner)
        if abs(now - before) <= STEADY * before:
            break
        before = now
    return now


def _block(runner: Runner) -> float:
    least, seconds = BLOCK
    times = _times(runner, least)
    while sum(times) < 1e3 * seconds:
        times += _times(runner, 1)
    return float(np.median(times))


def _times(runner: Runner, count: int) -> list[float]:
    """Milliseconds of each of `count` invocations."""
    times = []
    for _ in range(count):
        start = time.perf_counter_ns()
        runner.interpreter.invoke()
        times.append(1e-6 * (time.perf_counter_ns() - start))
    return times


if __name__ == "__main__":
    main()
