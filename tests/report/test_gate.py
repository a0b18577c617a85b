# SPDX-License-Identifier: Apache-2.0
"""Conditions on a run: by hand, on the made-up figures of `conftest`."""

import dataclasses

import pytest

from lowbit.errors import InputError
from lowbit.report import check, regressions
from lowbit.results import Metric


@pytest.mark.parametrize(
    ("condition", "failed", "found"),
    [
        ("accuracy_drop(ptq-w8a8) > 0.4", True, "0.5 > 0.4"),  # 196 and 195 of 200 right: half a point
        ("accuracy_drop(ptq-w8a8) > 0.6", False, "0.5 > 0.6"),
        ("accuracy_drop(qat-w8a8, ptq-w8a8) >= 0", False, "-1 >= 0"),
        ("accuracy(ptq-w8a8)<0.975", False, "0.975 < 0.975"),
        ("size(ptq-w8a8) > 31k", True, "31100 > 31000"),
        ("size(ptq-w8a8) >= 0.5 * size(float32)", False, "31100 >= 41750"),
        ("2*zipped(ptq-w8a8) <= 0.0311M", True, "31100 <= 31100"),
        ("latency(ptq-w8a8) > 0.018", True, "0.019 > 0.018"),
        ("latency_ratio(ptq-w8a8) > 1", False, "0.95 > 1"),
        ("parity(qat-w8a8) < 1", True, "0.99999 < 1"),
        ("float_ops(ptq-w8a8) > 0", False, "0 > 0"),
        ("memory(ptq-w8a8) > 5M", False, "5e+06 > 5e+06"),
        ("agreement(ptq-w8a8) < 0.99", True, "0.985 < 0.99"),
        ("size(ptq-w8a16) > 1", True, "ptq-w8a16 failed: file did not load"),  # what failed fails its gate
    ],
)
def test_by_hand(results, condition, failed, found) -> None:
    outcome = check(condition, results)
    assert (outcome.failed, outcome.found) == (failed, found)
    assert str(outcome) == f"{'failed' if failed else 'passed'}: {condition} ({found})"


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("accuracy_drop(ptq-w8a8)", r"NUMBER|number \(500k, 1.5M\)"),
        ("acuracy(ptq-w8a8) > 1", "acuracy .*expected one of accuracy, accuracy_drop"),
        ("accuracy(ptq-w8) > 1", "recipe 'ptq-w8'.*ptq-w8a8"),
        ("accuracy(ptq-w8a8) > one", "'one' in .*for example"),
        ("accuracy(ptq-w8a8) = 1", "for example: size"),
        ("accuracy(ptq-w8a8, float32) > 1", "for example"),
        ("__import__('os').system('true') > 1", "for example"),
        ("1 < accuracy(ptq-w8a8) < 2", "for example"),
        ("size(old.ptq-w8a8) > 1", "--against OLD_RUN"),
        ("parity(float32) < 1", "has not: made without a simulation"),
        ("1k*2k*size(float32) > 1", "for example"),
        ("", "for example"),
    ],
)
def test_what_is_no_condition_is_told_the_grammar(results, condition, told) -> None:
    with pytest.raises(InputError, match=told):
        check(condition, results)


def test_against_an_older_run(results) -> None:
    def changed(recipe, correct):
        metric = Metric(value=correct / 200, correct=correct, total=200)
        rows = [
            dataclasses.replace(row, metrics={"accuracy": metric}) if row.recipe == recipe else row
            for row in results.rows
        ]
        return dataclasses.replace(results, rows=tuple(rows))

    newer = changed("ptq-w8a8", 190)  # from 195
    assert check("accuracy_drop(ptq-w8a8, old.ptq-w8a8) > 2", newer, results).found == "2.5 > 2"
    assert check("size(ptq-w8a8) > size(old.ptq-w8a8)", newer, results).failed is False
    failed = [outcome.condition for outcome in regressions(newer, results, 1.0) if outcome.failed]
    assert failed == ["accuracy_drop(ptq-w8a8, old.ptq-w8a8) > 1"]
    assert not any(outcome.failed for outcome in regressions(results, results, 1.0))
    assert len(regressions(results, results, 1.0)) == 8  # five accuracies, three parities


def test_a_run_without_a_float_row(results) -> None:
    rows = tuple(row for row in results.rows if "float32" not in row.recipe)
    with pytest.raises(InputError, match="without a float row"):
        check("accuracy_drop(ptq-w8a8) > 1", dataclasses.replace(results, rows=rows))
