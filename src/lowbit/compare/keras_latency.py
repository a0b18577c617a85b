# SPDX-License-Identifier: Apache-2.0
"""Latency and peak memory of a Keras model, in a process of its own: `python -m lowbit.compare.keras_latency FILE`.

Timed is `predict_on_batch` with one sample, what a Keras user calls: its overhead in Python is part of the figure.
"""

import argparse
import gc
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.functions import resolve
from lowbit.results import LatencyResult
from lowbit.runtime import Measured
from lowbit.runtime.memory import MemoryWatch

WARMUP = (5, 0.10)  # runs and seconds: both are reached
TIMED = (50, 0.25)
THREAD_SETTINGS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS")


def measure_keras_file(
    path: str | os.PathLike[str],
    *,
    threads: int = 1,
    runs: int | None = None,
    warmup: int | None = None,
    input_shape: Mapping[str, Sequence[int]] | None = None,
    function: str | None = None,
) -> Measured:
    """Measure a saved model in a fresh process; the module of `function` is imported there first, for custom layers.

    `input_shape` gives the sizes of inputs, by name, whose own are free.

    Raises FileFormatError when that process cannot run the model, InputError for numbers below 1.
    """
    wanted = {"threads": threads, "runs": runs, "warmup": warmup}
    given = {name: value for name, value in wanted.items() if value is not None}
    if min(given.values()) < 1:
        raise InputError(received=given, expected="numbers of 1 or more", mend="leave them out for the defaults")
    command = [sys.executable, "-m", "lowbit.compare.keras_latency", os.fspath(path)]
    command += [text for name, value in given.items() for text in (f"--{name}", str(value))]
    command += [] if input_shape is None else ["--input-shape", json.dumps(input_shape)]
    command += [] if function is None else ["--function", function]
    root = str(Path(__file__).resolve().parents[2])
    known = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        **dict.fromkeys(THREAD_SETTINGS, str(threads)),
        "PYTHONPATH": os.pathsep.join([root, known] if known else [root]),
    }
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment)
    try:
        answer = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError) as error:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise FileFormatError(
            received=f"{path}: {lines[-1]}", expected="a model that Keras can load and run", mend="save it again"
        ) from error
    return records.decode(Measured, answer, str(path))


def main() -> None:
    """Measure one file and print one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m lowbit.compare.keras_latency", description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--warmup", type=int)
    parser.add_argument("--input-shape", type=json.loads, default={})
    parser.add_argument("--function")
    asked = parser.parse_args()
    gc.disable()  # an import leaves no garbage, and looking for it takes a quarter of the time
    import keras  # here, not above: the process that starts this one need not load a backend

    importlib.import_module("lowbit.simulation")  # registers the layers of saved simulations
    if asked.function:
        resolve(asked.function)
    gc.enable()
    generator = np.random.default_rng(0)
    keras.ops.convert_to_numpy(keras.ops.zeros(()))  # the backend counts as imported once it has computed something
    watch = MemoryWatch()
    begin = time.perf_counter()
    model = keras.saving.load_model(asked.file, compile=False)
    opened = time.perf_counter()
    shapes = {tensor.name: asked.input_shape.get(tensor.name, tensor.shape[1:]) for tensor in model.inputs}
    inputs = {name: generator.random((1, *shape), np.float32) for name, shape in shapes.items()}
    sample = inputs if len(inputs) > 1 else next(iter(inputs.values()))
    _times(model, sample, asked.warmup, WARMUP)
    times_ms = _times(model, sample, asked.runs, TIMED)
    median, p10, p90 = (float(figure) for figure in np.percentile(times_ms, (50, 10, 90)))
    measured = Measured(
        latency=LatencyResult(median=median, p10=p10, p90=p90, runs=len(times_ms), threads=asked.threads),
        peak_memory_bytes=watch.peak_above(),
        open_ms=1e3 * (opened - begin),
    )
    sys.stdout.write(json.dumps(records.encode(measured)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without a second or two of taking modules apart


def _times(model: Any, sample: Any, count: int | None, enough: tuple[int, float]) -> list[float]:
    """Milliseconds of `count` calls, or of as many as reach `enough` calls and seconds."""
    times: list[float] = []
    least, seconds = enough
    begin = time.perf_counter()
    while len(times) < (count or least) or (count is None and time.perf_counter() - begin < seconds):
        started = time.perf_counter_ns()
        model.predict_on_batch(sample)
        times.append(1e-6 * (time.perf_counter_ns() - started))
    return times


if __name__ == "__main__":
    main()
