# SPDX-License-Identifier: Apache-2.0
"""Rules from a YAML file: a list, each item a mapping with the keys of `Rule`. docs/rules.md shows examples."""

import os
from pathlib import Path
from typing import Any

import yaml

from lowbit.errors import FileFormatError, InputError
from lowbit.spec.rule import Rule, short

EXAMPLE = '- {match: "block_3_*", weights: 4}'


def rules_from_yaml(path: str | os.PathLike[str]) -> tuple[Rule, ...]:
    """The rules of a YAML file, in its order.

    Raises InputError for a file that cannot be read, is no YAML (with the line), is no list, or holds something that is
    no rule (with the line where that begins, and the closest key for an unknown one).
    """
    text = _text(Path(path))
    node, data = _parsed(Path(path), text)
    if not isinstance(data, list):
        given = "nothing" if data is None else f"one {type(data).__name__}: {short(data)}"
        raise InputError(
            received=f"{path}, which holds {given}",
            expected="a list of rules",
            mend=f"begin each rule with '- ', as in {EXAMPLE}",
        )
    return tuple(_rule(path, *item) for item in zip(node.value, data, strict=True))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileFormatError(
            received=f"{path}, which is not UTF-8 at byte {error.start}", expected="YAML text", mend="save it as UTF-8"
        ) from error
    except OSError as error:
        raise InputError(
            received=f"{path}: {error.strerror}", expected="a YAML file of rules", mend="check the path"
        ) from error


def _parsed(path: Path, text: str) -> tuple[Any, Any]:
    """The document as nodes, which know their lines, and as Python values."""
    try:
        return yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        words = getattr(error, "problem", None) or str(error)
        raise FileFormatError(
            received=f"{path}{where}: {words}",
            expected="YAML",
            mend="correct that line; a pattern that begins with * needs quotes",
        ) from error
    # What PyYAML lets through: dates that do not exist, tags that do not fit, thousands of nested brackets.
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise FileFormatError(
            received=f"{path}: {type(error).__name__}: {error}",
            expected="patterns, numbers, true and false",
            mend=f"write rules such as {EXAMPLE}",
        ) from error


def _rule(path: str | os.PathLike[str], node: Any, data: Any) -> Rule:
    where = f"{path}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        double = next((key for key in keys if keys.count(key) > 1), None)
        if double is not None:
            raise InputError(
                received=f"{where}: key {double!r} twice in one rule",
                expected="each key once",
                mend="leave one out, or write two rules",
            )
    try:
        return Rule.from_dict(data)
    except InputError as error:
        raise InputError(received=f"{where}: {error.received}", expected=error.expected, mend=error.mend) from error
