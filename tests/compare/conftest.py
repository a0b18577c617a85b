# SPDX-License-Identifier: Apache-2.0
"""One small finished run, made once, and copies of it for tests that change it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from alone import alone
from lowbit.compare import Comparison, compare

RECIPES = "keras-float32,keras-qat-w8a8,float32,weight-w8,ptq-w8a8,qat-w8a8,auto-size,auto-latency"
OPTIONS: dict[str, Any] = {"recipes": RECIPES, "epochs": 3, "calibration_samples": 64}


@pytest.fixture(scope="session")
def options() -> dict[str, Any]:
    """What the finished run was asked for."""
    return OPTIONS


@pytest.fixture(scope="session")
def finished(shared_folder: Path) -> Comparison:
    with alone(shared_folder):
        return compare(out=shared_folder / "compare", **OPTIONS)


@pytest.fixture
def copied(finished: Comparison, tmp_path: Path) -> Path:
    """The finished run's folder, free to be damaged."""
    return Path(shutil.copytree(finished.folder, tmp_path / "run"))


@pytest.fixture
def again() -> Callable[..., tuple[Comparison, list[str]]]:
    """Run in a folder; returns the comparison and the names of the jobs that really ran."""

    def run(folder: Path, **options: Any) -> tuple[Comparison, list[str]]:
        ran: list[str] = []
        comparison = compare(
            out=folder, on_event=lambda event: ran.append(event.job) if event.kind == "started" else None,
            **{**OPTIONS, **options},
        )  # fmt: skip
        return comparison, ran

    return run
