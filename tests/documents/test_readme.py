# SPDX-License-Identifier: Apache-2.0
"""The README's Python runs, and every `lowbit` command line in the documents names commands and options that exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from lowbit.cli.app import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *ROOT.glob("src/lowbit/studies/*.md"),
    *ROOT.glob("docs/**/*.md"),
]


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    said = dict(line.split(": ") for line in capsys.readouterr().out.splitlines())
    assert said["equal codes at the worst tensor"] == "1.0" and float(said["test accuracy"]) > 0.9


def lines() -> list[tuple[str, list[str]]]:
    """Every `lowbit …` that stands in code: (document, words)."""
    found = []
    for document in DOCUMENTS:
        text = document.read_text()
        code = re.findall(r"`(lowbit [^`]+)`", text) + re.findall(r"^ {4}(lowbit .+)$", text, re.MULTILINE)
        found += [(document.name, shlex.split(line, comments=True)[1:]) for line in code]
    return found


@pytest.mark.parametrize(
    "document, words", lines(), ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_a_command_in_the_documents_exists(document: str, words: list[str]) -> None:
    commands = get_command(app).commands
    options = {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)}
    if words[0].startswith("-"):  # `lowbit --help`
        return
    known = {name for parameter in commands[words[0]].params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert options <= known | {"--help"}, f"{document}: {sorted(options - known)}"
