# SPDX-License-Identifier: Apache-2.0
"""Several seeds: every run has its folder, the rows have all values, the verdict says what luck is."""

from pathlib import Path

import pytest

from lowbit.compare import compare
from lowbit.compare.seeds import in_words
from lowbit.errors import InputError
from lowbit.report import markdown
from lowbit.results import Metric, Results, Row, Verdict


def test_two_seeds_are_two_runs_and_one_table(tmp_path: Path) -> None:
    found = compare("digits", "small_cnn", recipes="float32,ptq-w8a8", epochs=1, seeds=2, out=tmp_path / "run")
    other = Results.load(tmp_path / "run" / "seeds" / "1" / "results.json")
    for row, second in zip(found.rows, other.rows, strict=True):
        assert row.over_seeds["accuracy"] == (row.accuracy, second.accuracy)
        assert second.over_seeds == {} and (row.seed, second.seed) == (0, 1)
    assert found.rows[0].accuracy != other.rows[0].accuracy
    assert "--seeds 2" in found.results.command and "±" in markdown(found.results)
    assert any(line.startswith("Over 2 seeds ptq-w8a8 is") for line in found.results.verdict.lines)
    ran: list[str] = []
    again = compare(
        "digits", "small_cnn", recipes="float32,ptq-w8a8", epochs=1, seeds=2, out=tmp_path / "run",
        on_event=lambda event: ran.append(event.job) if event.kind == "started" else None,
    )  # fmt: skip
    assert again.results == found.results and ran == []


def row(recipe: str, *values: float, metric: str = "accuracy", unit: str = "fraction") -> Row:
    words = {"recipe": recipe, "label": recipe, "kind": "litert", "status": "failed", "reason": "made up"}
    metrics = {metric: Metric(value=values[0], unit=unit)}
    return Row(**words, metrics=metrics, over_seeds={metric: values})


def test_the_words_by_hand() -> None:
    rows = (row("float32", 0.90, 0.92), row("qat-w8a8", 0.91, 0.90), row("ptq-finetuned-w8a8", 0.90, 0.91))
    verdict = in_words(Verdict(lines=("First.",), best={"size": "qat-w8a8"}), rows, "accuracy")
    assert verdict is not None and verdict.lines == (
        "First.",
        "Over 2 seeds qat-w8a8 is +0.0 points from ptq-finetuned-w8a8 on the test split, between −1.0 and +1.0.",
        "Over 2 seeds qat-w8a8 is −0.5 points from float32 on the test split, between −2.0 and +1.0.",
    )
    assert in_words(None, rows, "accuracy") is None


def test_the_words_of_an_error_by_hand() -> None:
    rows = (row("float32", 2.0, 4.0, metric="mae", unit=""), row("ptq-w8a8", 2.1, 4.0, metric="mae", unit=""))
    verdict = in_words(Verdict(lines=(), best={"size": "ptq-w8a8"}), rows, "mae")
    assert verdict is not None and verdict.lines == (
        "Over 2 seeds ptq-w8a8 is +2.5 % from float32 in mae on the test split, between +0.0 and +5.0.",
    )


@pytest.mark.parametrize("seeds", [0, 101, 1.5])
def test_numbers_that_cannot_be_meant(seeds, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"seeds={seeds}"):
        compare(seeds=seeds, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
