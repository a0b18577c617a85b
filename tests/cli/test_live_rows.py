# SPDX-License-Identifier: Apache-2.0
"""The table that fills in while a comparison runs."""

import io

import pytest
from rich.console import Console

from lowbit.cli.live_rows import BESIDE, LiveRows
from lowbit.engines import JobEvent, JobResult

ACCURACY = {"test": {"accuracy": {"value": 0.9537, "unit": "fraction"}}}


def shown(rows: LiveRows, width: int = 80, height: int = 24) -> list[list[str]]:
    """What stands in the terminal, as words by line."""
    stream = io.StringIO()
    Console(file=stream, width=width, height=height).print(rows)
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    return [line.split() for line in lines]


def event(job: str, kind: str = "started", **result: object) -> JobEvent:
    ended = JobResult(**{"name": job, "status": "ok", "seconds": 1.25, **result}) if kind == "finished" else None
    return JobEvent(kind=kind, job=job, index=1, total=9, result=ended)


def test_rows_fill_in() -> None:
    rows = LiveRows()
    for job in ("model", "train-float", "measure-files", "verdict"):
        rows.on_job(event(job))
    assert shown(rows) == []  # no job of a recipe
    rows.on_job(event("write-ptq-w8a8"))
    assert shown(rows) == [["recipe", "state", "seconds"], ["ptq-w8a8", "writing", "0.0"]]
    rows.on_job(event("write-ptq-w8a8", "finished", value={}))
    rows.on_job(event("write-qat-w8a8", "finished", status="failed", reason="no memory"))
    rows.on_job(event("evaluate-ptq-w8a8"))
    assert shown(rows)[1][1] == "evaluating"
    rows.on_job(event("evaluate-ptq-w8a8", "finished", value=ACCURACY))
    assert shown(rows) == [
        ["recipe", "state", "accuracy", "seconds"],
        ["ptq-w8a8", "done", "95.4", "%", "2.5"],
        ["qat-w8a8", "failed", "1.2"],
    ]


@pytest.mark.parametrize("height", [8, 10, 200])
def test_no_more_rows_than_the_terminal_holds(height: int) -> None:
    rows = LiveRows()
    for number in range(50):
        rows.on_job(event(f"write-r{number}"))
    found = shown(rows, height=height)[1:]
    assert len(found) == min(50, height - BESIDE)
    assert found[-1][0] == "r49"
