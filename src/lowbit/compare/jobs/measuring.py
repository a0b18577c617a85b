# SPDX-License-Identifier: Apache-2.0
"""Latency and peak memory, each in a clean process of its own, when nothing else runs."""

import json
from typing import Any

from lowbit import records
from lowbit.compare.keras_latency import measure_keras_file
from lowbit.engines import JobContext
from lowbit.runtime import Measured, measure


def measure_file(context: JobContext, *, source: str, output: str, threads: int) -> Any:
    """Measure a `.tflite` with LiteRT."""
    return _keep(context, output, measure(context.input(source), threads=threads))


def measure_keras(
    context: JobContext, *, source: str, output: str, threads: int, input_shape: Any, function: str | None
) -> Any:
    """Measure a `.keras` with Keras."""
    measured = measure_keras_file(context.input(source), threads=threads, input_shape=input_shape, function=function)
    return _keep(context, output, measured)


def _keep(context: JobContext, output: str, measured: Measured) -> Any:
    value = records.encode(measured)
    context.output(output).write_text(json.dumps(value), encoding="utf-8")
    return value
