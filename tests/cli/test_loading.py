# SPDX-License-Identifier: Apache-2.0
"""What is loaded, and what is not, seen from a process of its own."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ("tensorflow", "keras", "ray", "matplotlib", "tensorflow_datasets", "jax", "torch")


def loaded(code: str, *, cwd: Path | None = None) -> set[str]:
    """Top-level packages in `sys.modules` after `code` ran in a fresh process, whether or not it ended that process."""
    tell = "atexit.register(lambda: sys.__stderr__.write(json.dumps(sorted(sys.modules))))"
    script = f"import atexit, json, sys\n{tell}\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=cwd, timeout=300)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


def command(*words: str) -> str:
    return f"sys.argv = ['lowbit', *{words!r}]\nfrom lowbit.cli import main\nmain()"


@pytest.mark.parametrize(
    "code",
    ["import lowbit", "import lowbit; lowbit.Spec(); dir(lowbit)", command("--help"), command("compare", "--help")],
)
def test_the_front_door_and_help_load_nothing_heavy(code: str) -> None:
    assert not loaded(code) & {*HEAVY, "ai_edge_litert", "scipy"}


@pytest.mark.parametrize("words", [("evaluate", "--data", "digits"), ("benchmark", "--runs", "5"), ("inspect",)])
def test_a_written_file_is_measured_without_keras(words: tuple[str, ...], digits_tflite: Path) -> None:
    found = loaded(command(words[0], str(digits_tflite), *words[1:]))
    assert "lowbit" in found
    assert not found & set(HEAVY)


def test_listing_recipes_loads_nothing_heavy() -> None:
    assert not loaded(command("recipes")) & set(HEAVY)


@pytest.mark.parametrize("first, second", [("lowbit", "keras"), ("keras", "lowbit")])
def test_plain_keras_loads_a_simulation_after_import_lowbit(
    first: str, second: str, digits_simulation_file: Path
) -> None:
    code = (
        f"import {first}\nimport {second}\nimport keras\n"
        f"model = keras.models.load_model({str(digits_simulation_file)!r})\n"
        "assert type(model).__name__ == 'Simulation', type(model)"
    )
    assert "lowbit" in loaded(code)


def test_names_that_are_rooms_too_stay_functions() -> None:
    code = (
        "import lowbit\nfrom lowbit.compare import Settings\nfrom lowbit.export import ExportResult\n"
        "import lowbit.compare, lowbit.export\n"
        "assert lowbit.compare.__name__ == 'compare' and callable(lowbit.compare)\n"
        "assert lowbit.export.__name__ == 'export' and callable(lowbit.export)"
    )
    loaded(code)


def test_every_name_of_the_front_door_is_there() -> None:
    import lowbit

    assert all(getattr(lowbit, name) is not None for name in dir(lowbit))
    with pytest.raises(AttributeError, match="no attribute 'quantise'.*quantize_model"):
        _ = lowbit.quantise
