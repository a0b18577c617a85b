# SPDX-License-Identifier: Apache-2.0
"""A whole small run: the table, the folder, and what runs again after each kind of damage."""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowbit.card import read_card
from lowbit.compare import Comparison
from lowbit.compare.jobs import finishing, writing
from lowbit.errors import ExportError, InputError, MissingExtraError
from lowbit.files import sha256
from lowbit.results import MEASURED, Details, Results

Again = Callable[..., tuple[Comparison, list[str]]]
DRAWN = {"tables", "tradeoff", "details", "report"}  # drawn again when a row's seconds changed


def models(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in (folder / "models").iterdir() if path.suffix != ".json"}


def test_every_row_is_ok_and_each_figure_is_there_or_explained(options: dict[str, Any], finished: Comparison) -> None:
    assert finished.ok and finished.problems == {}
    assert [row.recipe for row in finished.rows] == options["recipes"].split(",")
    for row in finished.rows:
        assert row.status == "ok" and row.latency_ms is not None and row.latency_ms.median > 0
        metric = row.metrics["accuracy"]
        assert metric.total == 899 and metric.ci95 is not None and metric.ci95[0] < metric.value < metric.ci95[1]
        assert metric.value > 0.5 and row.metrics["validation_accuracy"].total == 179
        assert all(getattr(row, name) is not None or row.notes[name] for name in MEASURED)
        assert row.file is not None and sha256(finished.folder / row.file) == row.sha256


def test_rows_of_files(finished: Comparison) -> None:
    rows = {row.recipe: row for row in finished.rows}
    assert rows["float32"].agreement_with_float is None and rows["keras-float32"].agreement_with_float == 1.0
    assert rows["float32"].float_ops == rows["float32"].ops and rows["ptq-w8a8"].float_ops == 0
    assert rows["ptq-w8a8"].size_bytes < rows["float32"].size_bytes / 2  # type: ignore[operator]
    for recipe in ("ptq-w8a8", "qat-w8a8"):
        parity = rows[recipe].parity
        assert parity is not None and parity.worst_equal == 1.0 and parity.missing == () and parity.tensors > 5
    assert rows["qat-w8a8"].accuracy == rows["keras-qat-w8a8"].accuracy
    assert rows["qat-w8a8"].sha256 != rows["ptq-w8a8"].sha256
    assert {"train", "write", "evaluate", "measure"} == set(rows["qat-w8a8"].seconds)


def test_the_verdict_names_files_of_the_run_and_auto_rows_are_those_files(finished: Comparison) -> None:
    rows = {row.recipe: row for row in finished.rows}
    for criterion in ("size", "latency"):
        chosen, automatic = rows[finished.best(criterion)], rows[f"auto-{criterion}"]
        assert automatic.sha256 == chosen.sha256 and automatic.latency_ms == chosen.latency_ms
        assert chosen.recipe in automatic.label and chosen.recipe in automatic.notes["chosen"]
        card = read_card(finished.folder / str(automatic.file))
        assert card is not None and card.recipe == automatic.recipe and card.made_by["chosen"] == chosen.recipe
    with pytest.raises(InputError, match="criterion 'beauty'; expected one of size, latency"):
        finished.best("beauty")


def test_the_folder_holds_everything(finished: Comparison) -> None:
    folder = finished.folder
    drawn = ("table.md", "results.csv", "samples.png", "tradeoff.png", "models.zip", "summary.txt", "report.html")
    for name in ("results.json", *drawn):
        assert (folder / name).stat().st_size > 0
    for name in models(folder):
        card = read_card(folder / "models" / name)
        assert card is not None and card.class_names is not None and card.preprocessing["preprocess"] == "0..1"
    with zipfile.ZipFile(folder / "models.zip") as archive:
        assert set(archive.namelist()) == {path.name for path in (folder / "models").iterdir()}
    assert {"keras-float32.h5", "keras-qat-w8a8.h5", "auto-size.tflite"} <= set(models(folder))
    summary = (folder / "summary.txt").read_text()
    assert "models/keras-qat-w8a8.keras" in summary and "quantized" in summary.lower()
    assert Results.load(folder / "results.json") == finished.results


def test_what_lies_behind_the_figures(finished: Comparison) -> None:
    found = Details.load(finished.folder / "details.json")
    row = finished.results.row("ptq-w8a8")
    assert set(found.training) == {"keras-float32", "keras-qat-w8a8"}
    assert len(found.training["keras-float32"].logs["val_accuracy"]) == 3
    assert found.classes is not None and sum(found.classes.total) == 899
    assert sum(found.classes.correct["ptq-w8a8"]) == row.metrics["accuracy"].correct
    changes = found.changes["ptq-w8a8"]
    assert changes.lost + changes.gained + changes.other == round(899 * (1 - (row.agreement_with_float or 0)))
    base = finished.results.row("float32").metrics["accuracy"].correct or 0
    assert changes.gained - changes.lost == (row.metrics["accuracy"].correct or 0) - base
    assert set(found.pictures) == {str(one.position) for change in found.changes.values() for one in change.samples}
    parts = found.sizes["ptq-w8a8"]
    assert parts.constants + parts.scales + parts.zero_points + parts.names + parts.structure == row.size_bytes
    assert set(found.profiles) >= {"float32"} and found.profiles["float32"].whole_ms > 0
    assert "auto-size" not in found.sizes and "CC BY 4.0" in (found.attribution or "")


def test_a_finished_run_repeats_in_seconds_without_keras(options: dict[str, Any], copied: Path) -> None:
    before = (copied / "results.json").read_bytes()
    program = (
        "import json, sys; from lowbit.compare import compare;"
        "ran = []; compare(out=sys.argv[1], on_event=lambda e: e.kind == 'started' and ran.append(e.job),"
        " **json.loads(sys.argv[2])); heavy = ('keras', 'tensorflow', 'matplotlib');"
        "print(json.dumps([ran, [name for name in heavy if name in sys.modules]]))"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program, str(copied), json.dumps(options)], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - began < 10
    assert json.loads(done.stdout) == [[], []]
    assert (copied / "results.json").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "job"), [("ptq-w8a8.tflite", "write-ptq-w8a8"), ("float32.tflite.json", "write-float32")]
)
def test_a_deleted_file_is_made_again_the_same_by_its_job_alone(
    copied: Path, again: Again, name: str, job: str
) -> None:
    before = models(copied)
    (copied / "models" / name).unlink()
    _, ran = again(copied)
    assert set(ran) - DRAWN == {job}
    assert models(copied) == before


def test_a_flipped_byte_is_noticed_and_mended(copied: Path, again: Again) -> None:
    before = models(copied)
    path = copied / "models" / "keras-qat-w8a8.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    _, ran = again(copied)
    assert set(ran) - DRAWN == {"train-qat-w8a8"}
    assert models(copied) == before


def test_another_limit_runs_only_the_verdict_again(copied: Path, again: Again) -> None:
    comparison, ran = again(copied, max_drop=30.0)
    assert "verdict" in ran and not [name for name in ran if name.startswith(("train", "evaluate", "measure"))]
    assert comparison.results.verdict is not None and comparison.results.verdict.max_drop == 30.0


@pytest.mark.slow
def test_fresh_starts_over_and_writes_the_same_bytes(copied: Path, again: Again) -> None:
    before = models(copied)
    _, ran = again(copied, fresh=True, recipes="float32,ptq-w8a8")
    assert {"model", "train-float", "write-float32", "write-ptq-w8a8", "measure-files"} <= set(ran)
    assert models(copied) == before


def test_kill_9_in_training_then_a_resumed_run_writes_the_same_bytes(
    options: dict[str, Any], finished: Comparison, again: Again, tmp_path: Path
) -> None:
    program = (
        "import json, os, signal, sys; from lowbit.compare import compare;"
        "compare(out=sys.argv[1], on_event=lambda e: (e.job, e.kind) == ('train-float', 'progress')"
        " and os.kill(os.getpid(), signal.SIGKILL), **json.loads(sys.argv[2]))"
    )
    asked = {**options, "recipes": "float32,ptq-w8a8"}
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "run"), json.dumps(asked)], check=False)
    assert done.returncode == -9 and not (tmp_path / "run" / "models").exists()
    _, ran = again(tmp_path / "run", recipes="float32,ptq-w8a8")
    assert "model" not in ran and "train-float" in ran
    whole = models(finished.folder)
    assert all(whole[name] == digest for name, digest in models(tmp_path / "run").items())


def test_a_recipe_that_fails_is_a_row_with_its_reason(
    copied: Path, again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = writing.write_file

    def failing(context: Any, *, recipe: str, **more: Any) -> Any:
        if recipe == "ptq-w8a8":
            raise ExportError("the converter gave up")
        return write(context, recipe=recipe, **more)

    monkeypatch.setattr(writing, "write_file", failing)
    (copied / "models" / "ptq-w8a8.tflite").unlink()
    comparison, _ = again(copied)
    rows = {row.recipe: row for row in comparison.rows}
    assert rows["ptq-w8a8"].status == "failed" and rows["ptq-w8a8"].reason == "the converter gave up"
    assert rows["ptq-w8a8"].accuracy is None and not comparison.ok
    assert rows["qat-w8a8"].status == "ok" and comparison.best("size") != "ptq-w8a8"
    monkeypatch.undo()
    assert again(copied)[0].ok


def test_a_plot_that_cannot_be_drawn_is_a_problem_not_a_failure(
    copied: Path, again: Again, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(context: Any, **more: Any) -> None:
        raise MissingExtraError("matplotlib", "plots")

    monkeypatch.setattr(finishing, "draw_tradeoff", draw)
    (copied / "tradeoff.png").unlink()
    comparison, _ = again(copied)
    assert comparison.ok and "pip install 'lowbit[plots]'" in comparison.problems["tradeoff"]


def test_the_command_would_do_the_same(
    options: dict[str, Any], finished: Comparison, copied: Path, again: Again
) -> None:
    assert finished.results.command == (
        f"lowbit compare --epochs 3 --calibration-samples 64 --recipes {options['recipes']}"
    )
    again(copied, max_drop=2.0)
    assert Results.load(copied / "results.json").command.startswith(
        "lowbit compare --epochs 3 --calibration-samples 64 --max-drop 2.0"
    )
    assert os.fspath(copied) not in (copied / "results.json").read_text()
