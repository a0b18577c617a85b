# SPDX-License-Identifier: Apache-2.0
"""`--rules`: every mistake is told before a model is loaded; good rules reach the simulation and the file."""

import json
import re
from pathlib import Path

import pytest
from ai_edge_litert import schema_py_generated as schema

from lowbit.runtime import flatbuffer
from lowbit.spec import Rule

COMMANDS = {
    "quantize": ("quantize", "m.keras", "-o", "q.tflite", "--data", "digits"),
    "qat": ("qat", "m.keras", "-o", "s.keras", "--data", "digits", "--epochs", "1"),
}
DENSE = "predictions"
GOOD = "- match: stem_conv\n  weights: 4\n- layer_type: Dense\n  keep_float: true\n"
READ = (Rule(match="stem_conv", weights=4), Rule(layer_type="Dense", keep_float=True))


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.yaml"
    path.write_text(GOOD)
    return path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    "text, words",
    [
        ("- match: stem_conv\n  weigths: 4", ("rules.yaml, line 1", "key 'weigths'", "did you mean 'weights'?")),
        ("- match: *\n  weights: 4", ("rules.yaml, line 1", "needs quotes")),
        ("match: stem_conv", ("rules.yaml", "expected a list of rules")),
        ("", ("rules.yaml", "holds nothing")),
    ],
)
def test_a_mistake_in_the_file(lowbit, command: str, text: str, words: tuple[str, ...], rules: Path) -> None:
    rules.write_text(text)
    lowbit(*COMMANDS[command], "--rules", rules).refused(*words)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_is_not_there_or_of_another_kind(lowbit, command: str, tmp_path: Path) -> None:
    lowbit(*COMMANDS[command], "--rules", "missing.yaml").refused("missing.yaml", "check the path")
    (tmp_path / "rules.json").write_text("[]")
    lowbit(*COMMANDS[command], "--rules", tmp_path / "rules.json").refused("rules.json", ".yaml or .yml")


@pytest.mark.parametrize("recipe", ["float32", "float16", "dynamic-w8", "weight-w8"])
def test_recipes_without_a_simulation_take_no_rules(lowbit, recipe: str, rules: Path) -> None:
    words = ("quantize", "m.keras", "-o", "q.tflite", "--recipe", recipe, "--rules", rules)
    lowbit(*words).refused(f"rules for recipe '{recipe}'", "ptq-w8a8")


def test_rules_reach_the_file(lowbit, rules: Path, digits_keras: Path) -> None:
    words = ("quantize", digits_keras, "-o", "q.tflite", "--data", "digits", "--keep-names", "--json")
    plain, ruled = lowbit(*words), lowbit(*words, "--rules", rules)
    assert ruled.code == 0, ruled.err
    assert plain.json["kept_float"] == {} and plain.json["float_ops"] == 0
    assert ruled.json["kept_float"] == {DENSE: "a rule keeps it float"} and ruled.json["float_ops"] > 0
    tensors = flatbuffer.read(Path("q.tflite").read_bytes()).subgraphs[0].tensors
    types = {flatbuffer.text(tensor.name): tensor.type for tensor in tensors}
    assert types["stem_conv/kernel"] == schema.TensorType.INT4
    written = json.loads(Path("q.tflite.json").read_text())["made_by"]["rules"]
    assert [Rule.from_dict(rule) for rule in written] == list(READ)


def test_weights_of_several_widths_are_told_with_their_shares(lowbit, rules: Path, digits_keras: Path) -> None:
    rules.write_text("- match: stem_conv\n  weights: 4\n")
    words = ("quantize", digits_keras, "-o", "q.tflite", "--data", "digits", "--rules", rules)
    told = r"weights int8 \(\d+ %\), int4 \((\d+|under 1) %\)"
    assert re.search(told, lowbit(*words).out) and re.search(told, lowbit("inspect", "q.tflite").out)
    rules.write_text("- match: predictions\n  weights: 8\n")
    assert re.search(r"weights int8\n", lowbit(*words).out)


def test_rules_reach_the_simulation(lowbit, rules: Path, digits_keras: Path) -> None:
    answer = lowbit("qat", digits_keras, "-o", "s.keras", "--data", "digits", "--epochs", "1", "--rules", rules)
    assert answer.code == 0, answer.err
    exported = lowbit("export", "s.keras", "-o", "s.tflite", "--json")
    assert exported.json["kept_float"] == {DENSE: "a rule keeps it float"}
