# SPDX-License-Identifier: Apache-2.0
"""Latencies of another machine join the run whose files they are of."""

import dataclasses
import json

import pytest

from lowbit.errors import FileFormatError, InputError
from lowbit.results import Device, DeviceReport, FileLatency, LatencyResult, Results, Row


def report(name: str = "board", sha256: str = "abc", median: float = 7.0) -> DeviceReport:
    latency = LatencyResult(median=median, p10=6.0, p90=9.0, runs=60, threads=1)
    files = (FileLatency(file="a.tflite", sha256=sha256, size_bytes=10, latency_ms=latency),)
    return DeviceReport(device=Device(name=name, cpu="some", cores=4, system="Linux", litert="2.3.0"), files=files)


@pytest.fixture
def run() -> Results:
    row = Row(recipe="a", label="a", kind="litert", status="failed", reason="no data", sha256="abc")
    return Results(
        lowbit="0.1.0", created="", command="", seed=0, environment={}, dataset={}, model={}, rows=(row,)
    )  # fmt: skip


def test_it_is_kept_in_the_run_and_a_newer_one_takes_its_place(run, tmp_path):
    joined = run.with_device(report()).with_device(report("other")).with_device(report(median=5.0))
    joined.save(tmp_path / "results.json")
    again = Results.load(tmp_path / "results.json")
    assert again == joined and [one.device.name for one in again.devices] == ["other", "board"]
    assert again.devices[1].of("abc")[0].latency_ms.median == 5.0 and again.devices[1].of("xyz") == ()


def test_files_measured_one_by_one_are_all_kept(run):
    second = dataclasses.replace(run.rows[0], recipe="b", sha256="def")
    two = dataclasses.replace(run, rows=(*run.rows, second))
    joined = two.with_device(report()).with_device(report(sha256="def")).with_device(report(median=5.0))
    assert [one.device.name for one in joined.devices] == ["board"]
    assert joined.devices[0].of("abc")[0].latency_ms.median == 5.0
    assert len(joined.devices[0].of("def")) == 1


def test_files_of_another_run_are_refused(run):
    with pytest.raises(InputError, match=r"1 files on 'board', none of them this run's.*models"):
        run.with_device(report(sha256="other"))


@pytest.mark.parametrize("change", [lambda data: "no json", lambda data: "[]", lambda data: data | {"schema": 9}])
def test_another_document_is_refused(tmp_path, change):
    changed = change(json.loads(report().to_json()))
    (tmp_path / "device.json").write_text(changed if isinstance(changed, str) else json.dumps(changed))
    with pytest.raises(FileFormatError, match=r"device\.json.*lowbit benchmark FILE"):
        DeviceReport.load(tmp_path / "device.json")


def test_it_is_read_as_it_was_written(tmp_path):
    (tmp_path / "device.json").write_text(report().to_json())
    assert DeviceReport.load(tmp_path / "device.json") == report()
    assert dataclasses.asdict(report())["schema"] == 1
