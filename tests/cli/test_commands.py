# SPDX-License-Identifier: Apache-2.0
"""Each command does its work, and says it in words and in JSON."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from lowbit.cli.app import app
from lowbit.compare import Settings
from lowbit.files import sha256
from lowbit.results import DeviceReport

COMMANDS = (
    "compare", "report", "quantize", "qat", "export", "coverage",
    "evaluate", "benchmark", "inspect", "parity", "recipes",
)  # fmt: skip


def test_help_names_every_command_and_how_to_begin(lowbit) -> None:
    answer = lowbit("--help")
    assert answer.code == 0 and all(name in answer.out for name in COMMANDS)
    assert "lowbit compare" in answer.out


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_shows_an_example_and_the_common_options(lowbit, name: str) -> None:
    answer = lowbit(name, "--help")
    assert answer.code == 0 and f"Example:  lowbit {name}" in answer.out
    assert all(option in answer.out for option in ("--json", "--verbose", "--quiet", "--debug"))


def test_compare_has_the_defaults_of_its_settings() -> None:
    from typer.main import get_command

    defaults = {parameter.name: parameter.default for parameter in get_command(app).commands["compare"].params}
    settings = vars(Settings())
    shared = {name for name in settings if name not in ("model_args", "metrics")}
    assert shared <= set(defaults)
    assert {name: defaults[name] for name in shared} == {name: settings[name] for name in shared}


def test_version(lowbit) -> None:
    import lowbit as package

    assert lowbit("--version").out == f"lowbit {package.__version__}\n"


def test_recipes_lists_every_recipe(lowbit) -> None:
    from lowbit import recipes

    answer = lowbit("recipes", "--json")
    assert [entry["recipe"] for entry in answer.json["recipes"]] == list(recipes.names())
    assert len(answer.json["sets"]["default"]) == 17 and len(answer.json["sets"]["guide"]) == 9
    assert "ptq-w8a8" in lowbit("recipes").out


@pytest.mark.parametrize("io, dtype", [("float32", "float32"), ("int8", "int8")])
def test_quantize_writes_a_file_equal_to_its_simulation(lowbit, digits_keras, io: str, dtype: str) -> None:
    answer = lowbit("quantize", digits_keras, "-o", "q.tflite", "--data", "digits", "--io", io, "--json")
    assert answer.code == 0, answer.err
    assert answer.written == {"q.tflite", "q.tflite.json"}
    assert answer.json["parity"]["worst_equal"] == 1.0 and answer.json["float_ops"] == 0
    card = json.loads(Path("q.tflite.json").read_text())
    assert card["recipe"] == "ptq-w8a8" and card["preprocessing"]["preprocess"] == "0..1"
    assert card["inputs"][0]["dtype"] == dtype and (card["inputs"][0]["scale"] is None) == (io == "float32")
    assert len(card["class_names"]) == 10 and card["sha256"] == answer.json["sha256"]
    evaluated = lowbit("evaluate", "q.tflite", "--data", "digits", "--json").json
    assert evaluated["total"] == 899 and evaluated["accuracy"] > 0.9


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic-w8", "weight-w8"])
def test_quantize_without_data(lowbit, digits_keras, recipe: str) -> None:
    answer = lowbit("quantize", digits_keras, "-o", "q.tflite", "--recipe", recipe, "-q")
    assert answer.code == 0 and "wrote q.tflite" in answer.out and answer.err == ""
    assert json.loads(Path("q.tflite.json").read_text())["preprocessing"]["preprocess"] == "0..1"


def test_qat_export_parity(lowbit, digits_keras) -> None:
    trained = lowbit("qat", digits_keras, "--data", "digits", "-o", "s.keras", "--epochs", "1", "--json")
    assert trained.code == 0, trained.err
    assert trained.written == {"s.keras", "s.keras.json"}
    assert trained.json["trained_epochs"] == 1 and "digits: 719 train, 179 validation, 899 test" in trained.err
    exported = lowbit("export", "s.keras", "-o", "s.tflite", "--data", "digits", "--json")
    assert exported.code == 0, exported.err
    assert exported.json["parity"]["worst_equal"] == 1.0 and exported.json["recipe"] == "qat-w8a8"
    same = lowbit("parity", "s.keras", "s.tflite", "--data", "digits", "--samples", "8", "--json")
    assert (same.code, same.json["missing"], same.json["top1_agreement"]) == (0, [], 1.0)


def test_parity_that_does_not_hold_exits_with_1(lowbit, digits_keras, digits_tflite) -> None:
    options = ("--epochs", "1", "--ranges", "learned", "--teacher-share", "0.5")
    assert lowbit("qat", digits_keras, "--data", "digits", "-o", "s.keras", *options).code == 0
    made = json.loads(Path("s.keras.json").read_text())["made_by"]
    assert (made["ranges"], made["teacher_share"]) == ("learned", 0.5)
    other = lowbit("parity", "s.keras", digits_tflite, "--data", "digits", "--samples", "8")
    assert other.code == 1 and "codes" in other.out
    assert lowbit("parity", "s.keras", digits_tflite, "--data", "digits", "--least-equal", "0").code == 0


def test_benchmark_of_several_files(lowbit, digits_tflite, digits_keras) -> None:
    answer = lowbit("benchmark", digits_tflite, digits_keras, "--runs", "5", "--json")
    first, second = answer.json["files"]
    assert first["latency_ms"]["runs"] == second["latency_ms"]["runs"] == 5
    assert 0 < first["latency_ms"]["p10"] <= first["latency_ms"]["median"] <= first["latency_ms"]["p90"]


def test_latencies_are_shown_in_three_digits_that_count(lowbit, digits_tflite, monkeypatch) -> None:
    from lowbit.cli import timing
    from lowbit.results import FileLatency, LatencyRatio, LatencyResult

    def row(file: str, ratio: LatencyRatio | None) -> FileLatency:
        latency = LatencyResult(median=0.00643, p10=0.00512, p90=24.123, runs=50, threads=1)
        return FileLatency(
            file=file, sha256="", size_bytes=4_000, latency_ms=latency, latency_ratio=ratio, peak_memory_bytes=4_000_000
        )

    ratio = LatencyRatio(reference="a", value=0.654, ci95=(0.641, 0.668), rounds=20)
    monkeypatch.setattr(timing, "_files_in_turns", lambda *given: [row(str(digits_tflite), ratio)])
    shown = lowbit("benchmark", digits_tflite).out.splitlines()[-1].split()
    assert shown[1:4] == ["0.00643", "0.00512", "24.1"]
    assert shown[5:8] == ["0.65", "(0.64", "to"]


def test_files_in_turns_for_several_numbers_of_threads(lowbit, digits_tflite, tmp_path) -> None:
    again = shutil.copy(digits_tflite, tmp_path / "again.tflite")
    words = ("benchmark", digits_tflite, again, "--threads", "2,1", "--runs", "20", "--device", "mine", "--json")
    answer = lowbit(*words).json
    assert answer["device"]["name"] == "mine" and answer["schema"] == 1
    assert [(Path(row["file"]).name, row["latency_ms"]["threads"]) for row in answer["files"]] == [
        (digits_tflite.name, 2), (digits_tflite.name, 1), ("again.tflite", 2), ("again.tflite", 1),
    ]  # fmt: skip
    assert {row["sha256"] for row in answer["files"]} == {sha256(digits_tflite)}
    assert answer["files"][0]["latency_ratio"] is None
    assert answer["files"][2]["latency_ratio"]["reference"] == str(digits_tflite)


@pytest.mark.parametrize(
    ("words", "told"),
    [(("--threads", "two"), "--threads two"), (("--threads", "1,0"), "0"), (("--reference", "other.tflite"), "other")],
)
def test_what_cannot_be_measured_is_refused(lowbit, digits_tflite, words, told) -> None:
    lowbit("benchmark", digits_tflite, *words).refused(told)


def test_a_device_needs_numpy_and_litert_alone(digits_tflite, tmp_path) -> None:
    words = [sys.executable, "-X", "importtime", "-m", "lowbit.runtime", str(digits_tflite), "--runs", "5"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (tmp_path / "device.json").write_text(done.stdout)
    (row,) = DeviceReport.load(tmp_path / "device.json").files
    assert row.sha256 == sha256(digits_tflite) and row.latency_ms.runs == 5
    loaded = {line.rpartition("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "numpy" in loaded and not loaded & {"keras", "tensorflow", "typer", "rich", "scipy", "PIL", "matplotlib"}


def test_inspect(lowbit, digits_tflite) -> None:
    assert {op["op"] for op in lowbit("inspect", digits_tflite, "--json").json["ops"]} >= {"CONV_2D", "SOFTMAX"}
    assert "DEPTHWISE_CONV_2D" in lowbit("inspect", digits_tflite).out


def test_compare_and_report(lowbit) -> None:
    words = ("compare", "--recipes", "float32,ptq-w8a8", "--epochs", "1", "--out", "run")
    answer = lowbit(*words, "--json")
    assert answer.code == 0, answer.err
    assert [row["recipe"] for row in answer.json["rows"]] == ["float32", "ptq-w8a8"]
    assert answer.json == json.loads(Path("run/results.json").read_text())
    assert "719 train" in lowbit(*words).out
    report = lowbit("report", "run", "--markdown", "t.md", "--csv", "t.csv", "--plots", "plots")
    assert report.code == 0 and "ptq-w8a8" in report.out
    assert all(row["latency_ratio"]["rounds"] == 20 for row in answer.json["rows"] if row["recipe"] == "ptq-w8a8")
    measured = lowbit("benchmark", "run/models/ptq-w8a8.tflite", "--runs", "5", "--device", "my board", "--json")
    Path("board.json").write_text(json.dumps(measured.json))
    assert lowbit("report", "run", "--add", "board.json", "--markdown", "t.md").code == 0
    assert all("ms on my board" in Path("run", name).read_text() for name in ("table.md", "report.html"))
    assert "not measured there" in Path("t.md").read_text()
    assert "devices.my board.1.median" in Path("run/results.csv").read_text()
    assert lowbit(*words).code == 0  # a finished run that is shown again keeps it
    assert "ms on my board" in Path("t.md").read_text() and "ms on my board" in Path("run/table.md").read_text()
    passed = lowbit("report", "run", "--fail-if", "size(ptq-w8a8) > size(float32)", "--against", "run")
    assert passed.code == 0 and "passed: size(ptq-w8a8) > size(float32)" in passed.out
    failed = lowbit("report", "run", "--fail-if", "size(ptq-w8a8) > 1k", "--fail-if", "parity(ptq-w8a8) < 1", "--json")
    assert failed.code == 1 and [gate["failed"] for gate in failed.json["gates"]] == [True, False]
    lowbit("report", "run", "--fail-if", "size(ptq-w8a8) is large").refused("is large", "number * NAME(RECIPE)")
    refused = ("report", "run", "--fail-if", "siez(ptq-w8a8) > 1", "--html", "new.html", "--plots", "new")
    lowbit(*refused).refused("siez")  # and nothing was written before
    for word in ("run/results.json", "run/details.json", "run/models/float32.tflite"):
        lowbit("report", "run", "--csv", word).refused(word, "belongs to the run")
    lowbit("report", "run", "--csv", "same.x", "--markdown", "same.x").refused("same.x", "a file for each")
    lowbit("report", "run", "--html", "").refused("empty")
    assert lowbit("report", "run", "--against", "run").code == 0
    older = json.loads(Path("run/results.json").read_text())
    older["dataset"]["manifest"] = "of other images"
    Path("older.json").write_text(json.dumps(older))
    assert "older.json was measured on other data" in lowbit("report", "run", "--against", "older.json").err
    Path("run/models/ptq-w8a8.tflite").unlink()
    assert "models/ptq-w8a8.tflite of row ptq-w8a8 is not in the folder" in lowbit("report", "run").err
    assert report.written == {"t.md", "t.csv", "plots", "plots/tradeoff.png", "plots/tradeoff.svg"}


@pytest.mark.slow
def test_json_on_stdout_of_a_real_process_and_progress_on_stderr(digits_keras, tmp_path) -> None:
    """Native libraries write to the descriptors themselves, so this needs a process."""
    words = ["qat", str(digits_keras), "--data", "digits", "-o", "s.keras", "--epochs", "1", "--json"]
    done = subprocess.run([sys.executable, "-m", "lowbit.cli", *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["spec"] == "w8a8"
    lines = done.stderr.splitlines()
    assert lines[0].startswith("digits: 719 train") and all(line.startswith("training:") for line in lines[1:]), lines
