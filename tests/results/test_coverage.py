# SPDX-License-Identifier: Apache-2.0
import json

import pytest

from lowbit import records
from lowbit.errors import FileFormatError, InputError
from lowbit.results import Coverage, LayerCoverage, Workload


def coverage(**changes) -> Coverage:
    layers = (
        LayerCoverage(name="conv", kind="Conv2D", fate="quantized", operation="conv", macs=300, weights=30),
        LayerCoverage(name="relu", kind="ReLU", fate="quantized", operation="conv"),
        LayerCoverage(
            name="odd", kind="Odd", fate="kept float", reason="no form", operation="odd", macs=100, weights=10
        ),
    )
    total = Workload(macs=400, integer_macs=300, weights=40, integer_weights=30)
    return Coverage(**{"model": "net", "spec": "w8a8", "total": total, "layers": layers, **changes})


def test_counts_of_fates_give_the_number_of_layers() -> None:
    found = coverage()
    assert (found.quantized, found.kept_float, found.failed) == (2, 1, 0)
    assert found.quantized + found.kept_float + found.failed == len(found.layers)


def test_shares() -> None:
    assert (coverage().macs_integer_share, coverage().weights_integer_share) == (0.75, 0.75)
    nothing = coverage(total=Workload.total([]))
    assert nothing.macs_integer_share is None and nothing.weights_integer_share is None


def test_the_sum_over_parts() -> None:
    parts = [Workload.of(72, 9, integer=True), Workload.of(8, 1, integer=False)]
    assert Workload.total(parts) == Workload(macs=80, integer_macs=72, weights=10, integer_weights=9)


def test_json_there_and_back() -> None:
    text = json.dumps(records.encode(coverage()))
    assert records.decode(Coverage, json.loads(text), "coverage.json") == coverage()
    data = json.loads(text)
    assert (data["quantized"], data["kept_float"], data["failed"], data["macs_integer_share"]) == (2, 1, 0, 0.75)
    assert data["layers"][2]["reason"] == "no form" and data["total"]["macs_integer_share"] == 0.75


def test_damaged_json_names_the_place() -> None:
    data = records.encode(coverage())
    data["layers"][0]["macs"] = "many"
    with pytest.raises(FileFormatError, match=r"coverage.json.*layers\[0\].macs is 'many'"):
        records.decode(Coverage, data, "coverage.json")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fate": "lost"}, "fate='lost'.*quantized, kept float, failed"),
        ({"fate": "kept float"}, "'a', kept float without a reason"),
        ({"fate": "failed"}, "'a', failed without a reason"),
    ],
)
def test_a_fate_is_known_and_has_a_reason(changes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        LayerCoverage(**{"name": "a", "kind": "A", "operation": "a", **changes})


@pytest.mark.parametrize("part", ["integer_macs", "integer_weights"])
def test_a_part_is_no_more_than_the_whole(part: str) -> None:
    counts = {"macs": 1, "integer_macs": 0, "weights": 1, "integer_weights": 0}
    with pytest.raises(InputError, match=f"{part}=2 of"):
        Workload(**{**counts, part: 2})
    with pytest.raises(InputError, match=f"{part}=-1 of"):
        Workload(**{**counts, part: -1})


def test_a_layer_by_name() -> None:
    assert coverage().layer("odd").macs == 100
    with pytest.raises(InputError, match="'even'.*conv, relu, odd"):
        coverage().layer("even")
