# SPDX-License-Identifier: Apache-2.0
import csv
import dataclasses
import io
import json

import pytest
from rich.console import Console

from lowbit.report import csv_text, markdown, terminal_table


def printed(results, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    console.print(terminal_table(results))
    return console.file.getvalue()


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
def test_the_table_fits_the_terminal(results, width):
    text = printed(results, width)
    lines = text.splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in text
    for row in results.rows:
        assert any(line.startswith(row.recipe + " ") for line in lines)


def test_at_80_columns_what_matters_is_there(results):
    head = " ".join(printed(results, 80).splitlines()[:2])
    for word in ("recipe", "accuracy", "change", "size", "latency", "weights/", "parity"):
        assert word in head


def test_what_was_left_out_is_said(results):
    text = " ".join(printed(results, 80).split())
    assert "not shown at this width: " in text
    assert "guide's name" in text.split("not shown at this width: ")[1]
    assert "not shown" not in printed(results, 300)


def test_figures_in_the_terminal(results):
    lines = {line.split(" ")[0]: line.split() for line in printed(results, 300).splitlines() if line}
    assert lines["ptq-w8a8"][1:6] == ["97.5", "90.0", "to", "99.0", "−0.5"]
    assert lines["qat-w8a8"][1:3] == ["98.5", "★"]
    assert "<0.001" in lines["qat-w8a8"]
    assert "99.9³" in lines["qat-w8a8"]  # parity is rounded down: 100 means all
    assert "100" in lines["ptq-w8a8"]
    assert "24.1" in lines["keras-float32"]
    assert "0.0123" in lines["float32"]
    assert lines["float32"][lines["float32"].index("0.0123") + 1] == "★"


def test_missing_figures_say_why_and_failed_rows_what_happened(results):
    text = printed(results, 300)
    assert "¹ runs in Keras, not from a file" in text
    assert "² made without a simulation" in text
    assert "n/a¹" in text
    assert text.count("runs in Keras, not from a file") == 1
    assert "ptq-w8a16: failed, file did not load" in text
    failed = next(line for line in text.splitlines() if line.startswith("ptq-w8a16 "))
    assert failed.split()[1] == "failed"
    assert "0.0" not in failed


def test_unequal_codes_name_the_worst_tensor(results):
    assert "³ worst tensor: conv\n" in printed(results, 300)
    near = dataclasses.replace(results.rows[3], activations="int16")
    text = markdown(dataclasses.replace(results, rows=(near,)))
    assert "¹ worst tensor: conv; 16-bit activations are simulated in float arithmetic, which is near" in text


def test_the_verdict_in_words(results):
    assert printed(results, 100).rstrip().endswith("For size take ptq-w8a8.")


def test_markdown(results):
    text = markdown(results)
    lines = text.splitlines()
    assert lines[0] == "# small_cnn on digits"
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 2 + len(results.rows)
    assert len({line.replace("\\|", "").count("|") for line in table}) == 1
    assert "**98.5**" in text
    assert r"a\|b" in text
    assert "- ptq-w8a16: failed, file did not load" in lines
    assert "- qat-w8a8: best epoch 3 of 4" in lines
    assert "- For size take ptq-w8a8." in lines
    assert "- dataset: name digits, counts (train 719, test 200)" in lines


def test_csv_has_every_figure_in_stored_units(results):
    rows = list(csv.DictReader(io.StringIO(csv_text(results))))
    assert [row["recipe"] for row in rows] == [row.recipe for row in results.rows]
    first = rows[0]
    assert float(first["accuracy"]) == 0.98
    assert float(first["latency_ms.median"]) == 24.1234
    assert json.loads(first["metrics.accuracy.ci95"]) == [0.9, 0.99]
    assert first["float_ops"] == ""
    assert first["notes.parity"] == "runs in Keras, not from a file"
    assert rows[2]["parity.worst_tensor"] == "conv"
    assert rows[-1]["reason"] == "file did not load"
    assert rows[-1]["size_bytes"] == ""
    assert not {"parity", "latency_ms", "metrics.accuracy"} & set(first)
