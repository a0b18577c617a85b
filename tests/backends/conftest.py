# SPDX-License-Identifier: Apache-2.0
"""A process on another backend: Keras takes its backend from the environment, once."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def on_backend() -> Callable[..., str]:
    """Runs `python ARGUMENTS` on a backend, in a folder; its stdout. Skips where the backend is not installed."""

    def run(backend: str, *arguments: str, folder: Path = ROOT) -> str:
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed; run: pip install 'lowbit[{backend}]', or make test-backends")
        paths = os.pathsep.join([str(ROOT / "src"), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "KERAS_BACKEND": backend, "PYTHONPATH": paths, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, errors="replace"
        )
        assert done.returncode == 0, f"{done.stdout[-5000:]}\n{done.stderr[-5000:]}"
        return done.stdout

    return run
