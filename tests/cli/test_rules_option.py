# SPDX-License-Identifier: Apache-2.0
"""`--rules`: every mistake is told before a model is loaded; good rules reach the simulation."""

from pathlib import Path
from typing import Any

import pytest

from lowbit.errors import InputError
from lowbit.spec import Rule

COMMANDS = {
    "quantize": ("quantize", "m.keras", "-o", "q.tflite", "--data", "digits"),
    "qat": ("qat", "m.keras", "-o", "s.keras", "--data", "digits", "--epochs", "1"),
}
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


@pytest.mark.parametrize("command, module", [("quantize", "lowbit.recipes.making"), ("qat", "lowbit.recipes.training")])
def test_rules_reach_the_simulation(
    lowbit, command: str, module: str, rules: Path, digits_keras: Path, monkeypatch
) -> None:
    def quantize_model(model: Any, spec: str, *, calibration: Any, rules: Any) -> None:
        raise InputError(received=f"{rules == READ}, {spec}", expected="to be called", mend="well")

    monkeypatch.setattr(f"{module}.quantize_model", quantize_model)
    name, _, *options = COMMANDS[command]
    lowbit(name, digits_keras, *options, "--rules", rules).refused("received True, w8a8; expected to be called")
