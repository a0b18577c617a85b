# SPDX-License-Identifier: Apache-2.0
"""Runs in a process of its own (`python -m lowbit.runtime.measure FILE`): one JSON document on stdout.

`--check` runs the file once and answers `{}`. A file that LiteRT refuses is answered as `{"refused": why}`.
"""

import argparse
import json
import sys
import time
from typing import Any

import numpy as np

from lowbit import records
from lowbit.errors import LowbitError
from lowbit.results import LatencyResult
from lowbit.runtime.clean import Measured
from lowbit.runtime.interpreter import Endpoint, Runner
from lowbit.runtime.memory import MemoryWatch

WARMUP = (5, 0.10)  # runs and seconds: both are reached, unless --warmup says how many
TIMED = (50, 0.25)
MOST_RUNS = 5000


def main() -> None:
    """Measure or check one file; refusals are an answer, a native crash is the parent's to notice."""
    parser = argparse.ArgumentParser(prog="python -m lowbit.runtime.measure", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--warmup", type=int)
    asked = parser.parse_args()
    try:
        answer = _check(asked.file) if asked.check else _measure(asked.file, asked.threads, asked.runs, asked.warmup)
    except LowbitError as error:
        answer = {"refused": getattr(error, "received", str(error)).removeprefix(f"{asked.file}: ")}
    sys.stdout.write(json.dumps(answer))


def _check(path: str) -> dict[str, Any]:
    runner = Runner.open(path)
    runner.feed(random_inputs(runner.inputs, np.random.default_rng(0)))
    runner.invoke()
    return {}


def _measure(path: str, threads: int, runs: int | None, warmup: int | None) -> Any:
    generator = np.random.default_rng(0)  # before the watch: NumPy loads its random module when first asked
    watch = MemoryWatch()
    start = time.perf_counter()
    runner = Runner.open(path, threads=threads)
    opened = time.perf_counter()
    runner.feed(random_inputs(runner.inputs, generator))
    _times(runner, warmup, WARMUP)
    times_ms = _times(runner, runs, TIMED)
    peak_memory_bytes = watch.peak_above()
    median, p10, p90 = (float(figure) for figure in np.percentile(times_ms, (50, 10, 90)))
    return records.encode(
        Measured(
            latency=LatencyResult(median=median, p10=p10, p90=p90, runs=len(times_ms), threads=threads),
            peak_memory_bytes=peak_memory_bytes,
            open_ms=1e3 * (opened - start),
        )
    )


def random_inputs(inputs: tuple[Endpoint, ...], generator: np.random.Generator) -> dict[str, np.ndarray]:
    """Values from 0 to 1, as codes where the file takes codes; zeros where it takes integers without a scale."""
    return {
        end.name: generator.random(end.shape, np.float32)
        if end.scale is not None or np.issubdtype(np.dtype(end.dtype), np.floating)
        else np.zeros(end.shape, end.dtype)
        for end in inputs
    }


def _times(runner: Runner, count: int | None, enough: tuple[int, float]) -> list[float]:
    """Milliseconds of `count` invocations, or of as many as reach `enough` runs and seconds."""
    times: list[float] = []
    least, seconds = enough
    begin = time.perf_counter()
    while len(times) < (count or least) or (count is None and time.perf_counter() - begin < seconds):
        start = time.perf_counter_ns()
        runner.interpreter.invoke()
        times.append(1e-6 * (time.perf_counter_ns() - start))
        if len(times) >= max(count or 0, MOST_RUNS):
            break
    return times


if __name__ == "__main__":
    main()
