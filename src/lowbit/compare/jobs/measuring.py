# SPDX-License-Identifier: Apache-2.0
"""Latency and peak memory, in clean processes, when nothing else runs."""

import json
from collections.abc import Mapping
from typing import Any

from lowbit import records
from lowbit.compare.keras_latency import measure_keras_file
from lowbit.engines import JobContext
from lowbit.errors import FileFormatError
from lowbit.runtime import measure_together, profile


def measure_files(
    context: JobContext, *, sources: Mapping[str, str], reference: str, output: str, threads: int
) -> dict[str, Any]:
    """Measure every file that was written, in turns; by recipe what was measured, or {"reason": why it was not}."""
    paths = {recipe: context.input(path) for recipe, path in sources.items() if context.has(path)}
    found = measure_together(paths, threads=threads, reference=reference)
    value = {
        recipe: {"reason": str(one)} if isinstance(one, FileFormatError) else records.encode(one)
        for recipe, one in found.items()
    }
    context.output(output).write_text(json.dumps(value), encoding="utf-8")
    return value


def profile_files(
    context: JobContext, *, files: Mapping[str, str], reference: str, verdict: str, output: str, threads: int
) -> None:
    """Where the time of the reference and of the verdict's files goes, by recipe."""
    chosen = [reference]
    if context.has(verdict):
        chosen += json.loads(context.input(verdict).read_text(encoding="utf-8"))["verdict"]["best"].values()
    value = {
        recipe: records.encode(profile(context.input(files[recipe]), threads=threads))
        for recipe in dict.fromkeys(chosen)
        if recipe in files and context.has(files[recipe])
    }
    context.output(output).write_text(json.dumps(value), encoding="utf-8")


def measure_keras(
    context: JobContext, *, source: str, output: str, threads: int, input_shape: Any, function: str | None
) -> Any:
    """Measure a `.keras` with Keras."""
    measured = measure_keras_file(context.input(source), threads=threads, input_shape=input_shape, function=function)
    value = records.encode(measured)
    context.output(output).write_text(json.dumps(value), encoding="utf-8")
    return value
