# SPDX-License-Identifier: Apache-2.0
"""docs/rules.md: its YAML is read, says the same as the Python beside it, and its tables name every key."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from lowbit.spec import Rule
from lowbit.spec.rules_file import rules_from_yaml

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
PAIRS = re.findall(r"```yaml\n(.*?)```\s+```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_its_examples() -> None:
    assert len(PAIRS) == PAGE.count("```yaml") == 3


@pytest.mark.parametrize("in_yaml, in_python", PAIRS)
def test_yaml_and_python_say_the_same(in_yaml: str, in_python: str, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(in_yaml)
    names = {"Rule": Rule}
    exec(compile(in_python, "rules.md", "exec"), names)
    assert rules_from_yaml(tmp_path / "rules.yaml") == tuple(names["rules"])


def test_the_tables_name_every_key() -> None:
    assert re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE) == [item.name for item in fields(Rule)]
