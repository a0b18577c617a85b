# SPDX-License-Identifier: Apache-2.0
import hashlib
import json
import re

import numpy as np
import pytest

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.results import (
    MEASURED,
    LatencyRatio,
    LatencyResult,
    Metric,
    ParityResult,
    Results,
    Row,
    TensorParity,
    Verdict,
)
from lowbit.results.details import ClassAccuracy, Curve
from lowbit.results.sizes import SizeParts

LATENCY = LatencyResult(median=0.5, p10=0.4, p90=0.7, runs=50, threads=1)
TENSORS = (
    TensorParity(name="conv", op="CONV_2D", equal=1.0, within_one=1.0, distinct_codes=200, elements=640),
    TensorParity(name="add", op="ADD", equal=0.75, within_one=0.99, distinct_codes=31, elements=64),
    TensorParity(name="mean", op="MEAN", equal=0.8, within_one=0.98, distinct_codes=12, elements=8),
)


def row(recipe="ptq-w8a8", **changes):
    figures = {
        "metrics": {"accuracy": Metric(value=0.975, ci95=(0.96, 0.98), correct=39, total=40)},
        "agreement_with_float": 0.99,
        "mcnemar_p": 1.0,
        "size_bytes": 3000,
        "compressed_bytes": 2000,
        "latency_ms": LATENCY,
        "latency_ratio": LatencyRatio(reference="float32", value=0.8, ci95=(0.7, 0.9), rounds=20),
        "peak_memory_bytes": 10_000,
        "ops": 24,
        "float_ops": 0,
        "delegated_share": 0.96,
        "parity": ParityResult.of(TENSORS, top1_agreement=1.0, output_max_codes=0, missing=["lost"]),
        "trained_epochs": None,
        "notes": {"trained_epochs": "not trained"},
    }
    return Row(**{"recipe": recipe, "label": recipe, "kind": "litert", "status": "ok", **figures, **changes})


def edited(change):
    """What a person may do to a results file by hand."""
    data = json.loads(results().to_json())
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data["rows"][0]["metrics"]["accuracy"].update(value=1.7), "metrics.accuracy: fraction 1.7"),
        (lambda data: data["rows"][0].update(size_bytes=-5), "size_bytes of row 'ptq-w8a8' -5; expected 0 or more"),
        (lambda data: data["rows"][0]["latency_ms"].update(median=-1.0), "latency median -1.0"),
        (lambda data: data["rows"][0]["latency_ms"].update(median=0), "latency median 0"),
        (lambda data: data["rows"][0]["parity"].update(worst_equal=1.2), "parity: worst_equal 1.2; expected 0 to 1"),
        (lambda data: data["rows"][0].update(delegated_share=96.0), "delegated_share of row 'ptq-w8a8' 96.0"),
        (lambda data: data["rows"][0].update(size_bytes=None), "without size_bytes"),
        (lambda data: data["rows"][1].update(recipe="ptq-w8a8"), "rows ptq-w8a8, ptq-w8a8; expected at least one row"),
        (lambda data: data["rows"].clear(), "rows none"),
    ],
)
def test_figures_that_nothing_measures_are_refused(change, told):
    with pytest.raises(FileFormatError, match=re.escape(told)):
        Results.from_json(edited(change))


def test_files_that_are_gone_or_others(tmp_path):
    """The bytes of `a` are "it", of `b` they were; `c` is gone, the failed row never had one."""
    (tmp_path / "a.tflite").write_bytes(b"it")
    (tmp_path / "b.tflite").write_bytes(b"it?")
    known = hashlib.sha256(b"it").hexdigest()
    rows = [row(name, file=f"{name}.tflite", sha256=known) for name in "abc"]
    failed = Row(recipe="x", label="x", kind="litert", status="failed", reason="no memory")
    assert results(*rows, failed).lost_files(tmp_path) == (
        "b.tflite is not the file that row b was measured on",
        "c.tflite of row c is not in the folder",
    )


def results(*rows):
    return Results(
        lowbit="0.1.0",
        created="2026-01-02T03:04:05Z",
        command="lowbit compare",
        seed=0,
        environment={"cpu": "some", "cores": 2},
        dataset={"name": "digits"},
        model={"name": "small_cnn"},
        verdict=Verdict(lines=("Take it.",), best={"size": "ptq-w8a8"}, max_drop=1.0, undecided=("qat-w8a8",)),
        rows=rows or (row(), Row(recipe="x", label="x", kind="keras", status="failed", reason="loss became NaN")),
    )


def test_json_there_and_back():
    first = results()
    assert Results.from_json(first.to_json()) == first


def test_the_same_results_give_the_same_bytes(tmp_path):
    results().save(tmp_path / "a.json")
    Results.load(tmp_path / "a.json").save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_the_json_is_the_contract():
    data = json.loads(results().to_json())
    assert list(data)[:6] == ["schema", "lowbit", "created", "command", "seed", "environment"]
    assert list(data)[6:] == ["dataset", "model", "task", "primary", "shown", "verdict", "rows", "devices"]
    assert data["schema"] == 1
    first = data["rows"][0]
    assert first["accuracy"] == first["metrics"]["accuracy"]["value"] == 0.975
    assert set(first["latency_ms"]) == {"median", "p10", "p90", "runs", "threads"}
    parity = {"tensors", "top1_agreement", "output_max_codes", "worst_equal", "worst_within_one", "worst_tensor"}
    assert set(first["parity"]) >= parity
    assert data["rows"][1]["accuracy"] is None


def test_numpy_numbers_are_stored_as_numbers():
    stored = records.encode(Metric(value=np.float64(0.5), correct=np.int64(4)))
    assert stored["value"] == 0.5
    assert type(stored["correct"]) is int


def test_the_worst_tensor():
    parity = row().parity
    assert (parity.tensors, parity.worst_tensor, parity.worst_equal, parity.worst_within_one) == (3, "add", 0.75, 0.98)
    assert ParityResult.of([], top1_agreement=None, output_max_codes=None).worst_tensor is None


@pytest.mark.parametrize("name", MEASURED)
def test_an_ok_row_explains_every_missing_figure(name):
    empty = {} if name == "metrics" else None
    with pytest.raises(InputError, match=rf"row 'ptq-w8a8' without {name}"):
        row(**{name: empty, "notes": {}, **({} if name == "trained_epochs" else {"trained_epochs": 3})})
    assert row(**{name: empty, "notes": {name: "why", "trained_epochs": "why"}}).why_missing(name) == "why"


def test_a_row_that_is_not_ok_gives_its_reason():
    failed = Row(recipe="x", label="x", kind="litert", status="failed", reason="no memory")
    assert failed.why_missing("size_bytes") == "no memory"
    with pytest.raises(InputError, match="failed without a reason"):
        Row(recipe="x", label="x", kind="litert", status="failed")


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"status": "fine"}, "status='fine'"), ({"kind": "onnx"}, "kind='onnx'.*keras, litert")],
)
def test_words_outside_the_contract(changes, words):
    with pytest.raises(InputError, match=words):
        row(**changes)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_is_a_number(value):
    with pytest.raises(InputError, match="finite"):
        Metric(value=value)


def test_row_by_recipe():
    assert results().row("x").status == "failed"
    with pytest.raises(InputError, match="recipe 'y'.*ptq-w8a8, x"):
        results().row("y")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text[:200], "no readable JSON"),
        (lambda text: text.replace('"schema": 1', '"schema": 2'), "schema 2"),
        (lambda text: "[]", "schema None"),
        (lambda text: text.replace('"seed": 0', '"seed": "zero"', 1), r"Results.seed is 'zero'"),
        (lambda text: text.replace('"median": 0.5', '"median": null'), r"rows\[0\].latency_ms.median is 'None'"),
        (lambda text: text.replace('"median": 0.5', '"median": NaN'), "not a finite number"),
        (lambda text: text.replace('"status": "ok"', '"status": "fine"'), "status='fine'"),
        (lambda text: text.replace('"command": "lowbit compare",', ""), "command"),
        (lambda text: text.replace('"ops": 24', '"ops": true'), "ops is 'True'"),
        (lambda text: text.replace('"ops": 24', f'"ops": 1{"0" * 400}'), "beyond 64 bits"),
        (lambda text: text.replace('"ops": 24', f'"ops": {"[" * 100_000}'), "nested too deeply"),
        (lambda text: text.replace('"lowbit compare"', '"\\ud800"'), "surrogates not allowed"),
        (lambda text: text.replace('"recipe": "ptq-w8a8"', '"recipe": "\\u001b[2J"'), "letters that can be printed"),
        (lambda text: re.sub('"environment": {', '"environment": {"ram": NaN, ', text), "environment.ram is nan"),
        (lambda text: re.sub('"dataset": {', '"dataset": {"counts": {"test": "many"}, ', text), "number of samples"),
    ],
)
def test_damaged_results_name_the_file_and_the_place(tmp_path, change, words):
    path = tmp_path / "results.json"
    path.write_text(change(results().to_json()))
    with pytest.raises(FileFormatError, match=words) as caught:
        Results.load(path)
    assert str(path) in str(caught.value)


def test_missing_results(tmp_path):
    with pytest.raises(FileFormatError, match=r"none\.json: .*No such file"):
        Results.load(tmp_path / "none.json")


def test_a_newer_writer_may_add_keys():
    text = results().to_json().replace('"seed": 0', '"mood": "good",\n "seed": 0', 1)
    assert Results.from_json(text) == results()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ClassAccuracy(names=(), total=(), correct={}), "one class at least"),
        (lambda: ClassAccuracy(names=("a", "b"), total=(5, 5), correct={"x": (5,)}), "1 figures of x for 2 classes"),
        (lambda: ClassAccuracy(names=("a",), total=(5,), correct={"x": (6,)}), "right answers of x 6"),
        (lambda: ClassAccuracy(names=("a",), total=(5,), correct={"x": (-1,)}), "right answers of x -1"),
        (lambda: Curve(logs={}, best_epoch=-3), "best epoch -3"),
        (lambda: SizeParts(constants=-7, scales=0, zero_points=0, names=0, structure=0, floor=0), "constants -7"),
        (lambda: LatencyRatio(reference="a", value=0.0, ci95=(0.0, 0.0), rounds=3), "latency ratio 0.0"),
    ],
)
def test_figures_that_nothing_can_measure_are_refused(make, words):
    with pytest.raises(InputError, match=words):
        make()
