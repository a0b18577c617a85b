# SPDX-License-Identifier: Apache-2.0
"""Rules in YAML: what is read, and what each mistake is told."""

from pathlib import Path

import pytest

from lowbit.errors import InputError
from lowbit.spec import Rule
from lowbit.spec.rules_file import rules_from_yaml

GOOD = """\
# 4 bits inside, 8 at both ends
- match: "*"
  weights: 4
- match: Conv1
  weights: 8
- layer_type: [DepthwiseConv2D, Dense]
  activations: 16
  per_channel: false
- {match: head/*, layer_type: Dense, keep_float: true}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rules.yaml"


def test_rules_come_in_their_order(file: Path) -> None:
    file.write_text(GOOD)
    expected = (
        Rule(match="*", weights=4),
        Rule(match="Conv1", weights=8),
        Rule(layer_type=("DepthwiseConv2D", "Dense"), activations=16, per_channel=False),
        Rule(match="head/*", layer_type="Dense", keep_float=True),
    )
    assert rules_from_yaml(file) == rules_from_yaml(str(file)) == expected


def test_no_rules(file: Path) -> None:
    file.write_text("[]")
    assert rules_from_yaml(file) == ()


@pytest.mark.parametrize(
    "text, words",
    [
        ("- match: Conv1\n  weigths: 4", "line 1: key 'weigths'; .*did you mean 'weights'?"),
        (GOOD + "- match: Conv1\n  keepfloat: yes", "line 10: key 'keepfloat'; .*did you mean 'keep_float'?"),
        ("- match: Conv1\n  weights: 4\n  weights: 8", "line 1: key 'weights' twice"),
        ("- match: Conv1\n  weights: 3", "line 1: weights=3; expected 4 or 8"),
        ("- match: Conv1\n  weights: '8'", "weights='8'; expected 4 or 8"),
        ("- match: Conv1\n  weights:", "key 'weights' without a value"),
        ("- match: 3\n  weights: 8", "match=3; expected a pattern"),
        ("- match: Conv1\n  keep_float: maybe", "keep_float='maybe'; expected true or false"),
        ("- match: Conv1", "a rule that sets nothing"),
        ("- weights: 4", "a rule that selects no layers"),
        ("- Conv1", "line 1: rule 'Conv1'; expected keys and values"),
        ("- [Conv1, 8]", "expected keys and values"),
        ("match: Conv1\nweights: 8", "one dict: .*expected a list of rules; begin each rule with '- '"),
        ("Conv1", "one str: 'Conv1'; expected a list of rules"),
        ("", "which holds nothing; expected a list"),
        ("# nothing yet", "which holds nothing"),
        ("- match: *\n  weights: 8", r"line 1: .*a pattern that begins with \* needs quotes"),
        ("- match: Conv1\n weights: 8", "line 2: .*expected YAML"),
        ("- match: 'Conv1\n", "line 2: .*expected YAML"),
        ("- match: a\n  weights: 8\n---\n- match: b", "line 3: .*expected YAML"),
        ("- match: a\x00", "expected YAML"),
        ("- !!python/object/apply:os.getcwd []", "line 1: could not determine a constructor"),
        ("- match: 2026-99-99\n  weights: 8", "ValueError: month must be"),
        ("- match: !!bool x\n  weights: 8", "KeyError"),
        ("[" * 5000, "RecursionError"),
    ],
)
def test_a_mistake_is_told_with_its_line(text: str, words: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        rules_from_yaml(file)
    assert "rules.yaml" in str(caught.value)


def test_files_that_cannot_be_read(file: Path) -> None:
    with pytest.raises(InputError, match=r"rules.yaml: No such file or directory; .*check the path"):
        rules_from_yaml(file)
    with pytest.raises(InputError, match="Is a directory"):
        rules_from_yaml(file.parent)
    file.write_bytes(b"- match: \xff")
    with pytest.raises(InputError, match="not UTF-8 at byte 9"):
        rules_from_yaml(file)


def growing(levels: int) -> str:
    """A list whose items each name the one before nine times: at nine levels 387 million words."""
    items = ["&a0 [" + ", ".join(["x"] * 9) + "]"]
    items += [f"&a{level} [" + ", ".join([f"*a{level - 1}"] * 9) + "]" for level in range(1, levels)]
    return f"[{', '.join(items)}]"


@pytest.mark.parametrize("text", ["rules: {}", "- {}", "- match: x\n  weights: {}", "- match: x\n  layer_type: {}"])
def test_an_error_stays_short(text: str, file: Path) -> None:
    file.write_text(text.format(growing(9)))
    with pytest.raises(InputError, match="expected") as caught:
        rules_from_yaml(file)
    assert len(str(caught.value)) < 600
