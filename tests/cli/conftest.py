# SPDX-License-Identifier: Apache-2.0
"""The command line inside this process: fast, as keras is imported once."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lowbit.cli.app import app


@dataclass(frozen=True)
class Answer:
    """How a command ended. `written` are the files that it left in the current folder."""

    code: int
    out: str
    err: str
    written: frozenset[str]

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def refused(self, *words: str) -> None:
        """Exit code 2, one line on stderr with these words, nothing on stdout, nothing written."""
        assert (self.code, self.out) == (2, ""), (self.code, self.out, self.err)
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1 and self.err.splitlines()[-1] == lines[0], self.err
        assert "failed:" not in self.err, self.err
        for word in words:
            assert word in lines[0], (word, lines[0])
        assert not self.written


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.fixture
def lowbit(tmp_path, monkeypatch) -> Callable[..., Answer]:
    """Runs a command in an empty current folder of its own."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "160")

    def run(*words: str | os.PathLike[str]) -> Answer:
        before = _files(folder)
        result = CliRunner().invoke(app, [os.fspath(word) for word in words], prog_name="lowbit")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr, frozenset(_files(folder) - before))

    return run


@pytest.fixture(scope="session")
def digits_keras(digits_model_file, tmp_path_factory) -> Path:
    """The trained small_cnn with its card."""
    import keras

    from lowbit.compare.jobs.opening import keras_card
    from lowbit.data import load_dataset
    from lowbit.zoo import save_model

    path = tmp_path_factory.mktemp("cli") / "digits.keras"
    model = keras.models.load_model(digits_model_file)
    save_model(model, path)
    keras_card(path, model, recipe="keras-float32", data=load_dataset("digits"), made_by={})
    return path


@pytest.fixture(scope="session")
def digits_tflite(digits_keras, tmp_path_factory) -> Path:
    """Its integer file with a card, written by the command line."""
    path = tmp_path_factory.mktemp("cli") / "digits.tflite"
    words = ["quantize", str(digits_keras), "-o", str(path), "--data", "digits"]
    result = CliRunner().invoke(app, words, prog_name="lowbit")
    assert result.exit_code == 0, result.output
    return path
