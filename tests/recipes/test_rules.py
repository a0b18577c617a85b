# SPDX-License-Identifier: Apache-2.0
"""Which recipes and stages take rules for single layers."""

import re
from pathlib import Path
from typing import Any

import pytest

from lowbit import recipes
from lowbit.errors import InputError
from lowbit.recipes import STAGES, Request
from lowbit.recipes.training import Batches, Training, train
from lowbit.spec import Rule

RULES = (Rule(match="*", weights=4),)
TAKING = {"ptq-w8a8", "ptq-w8a16", "ptq-w4a8", "ptq-w4a16", "ptq-finetuned-w8a8"}
MEND = {"float16": "choose ptq-w8a8", "qat-w8a8": "give them to quantize_model or lowbit qat"}


def test_recipes_that_make_a_simulation_take_rules() -> None:
    assert {name for name in recipes.names() if recipes.get(name).takes_rules} == TAKING


@pytest.mark.parametrize("name", [name for name in recipes.names() if recipes.get(name).maker])
def test_other_recipes_refuse_them_before_anything_is_written(name: str, tmp_path: Path) -> None:
    recipe, path = recipes.get(name), tmp_path / "x.tflite"
    recipe.check(has_data=True, io="float32", rules=())
    if name in TAKING:
        recipe.check(has_data=True, io="float32", rules=RULES)
        return
    with pytest.raises(InputError, match=f"rules for recipe '{re.escape(name)}'.*{MEND.get(name, '')}"):
        recipe.make(Request(model=None, path=path, calibration=[], rules=RULES))
    assert not path.exists()


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not stage.startswith("qat-")])
def test_a_stage_without_quantizers_refuses_rules(stage: str, digits_model: Any) -> None:
    nothing = Batches(train=[], validation=[])
    with pytest.raises(InputError, match=f"rules for stage '{stage}'"):
        train(stage, digits_model, nothing, Training(epochs=1, learning_rate=1e-3), rules=RULES)
