# SPDX-License-Identifier: Apache-2.0
"""Lets plain `keras.models.load_model` read a saved simulation once lowbit was imported, before or after keras.

Keras finds classes it does not own only if they were registered. Registering them needs keras, which `import lowbit`
must not load. So the simulation's layers are registered at once when keras is there already, else right after keras's
own import, through the import system's finder protocol (PEP 451).
"""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def register_with_keras() -> None:
    """Register the simulation's layers now if keras is loaded, else as soon as it is."""
    if "keras" in sys.modules:
        _import_simulation()
    else:
        sys.meta_path.insert(0, _AfterKeras())


def _import_simulation() -> None:
    """Import the simulation, unless a room of ours is just being imported: its own imports come first."""
    if not any(_is_importing(module) for name, module in list(sys.modules.items()) if name.startswith("lowbit.")):
        importlib.import_module("lowbit.simulation")


def _is_importing(module: ModuleType | None) -> bool:
    return bool(getattr(getattr(module, "__spec__", None), "_initializing", False))


class _AfterKeras:
    """Finds nothing itself; adds one step to the end of keras's own import."""

    def __init__(self) -> None:
        self._asked = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "keras" or self._asked:
            return None
        self._asked = True
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            self._asked = False
            return None
        run = spec.loader.exec_module

        def run_and_register(module: ModuleType) -> None:
            run(module)
            _import_simulation()

        setattr(spec.loader, "exec_module", run_and_register)  # noqa: B010 - mypy forbids assigning to a method
        return spec
