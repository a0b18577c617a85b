# SPDX-License-Identifier: Apache-2.0
"""The classes and functions of the user's that a saved simulation needs: those of layers kept float."""

import importlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras

from lowbit.errors import InputError
from lowbit.simulation import Simulation

_KNOWN = ("builtins", "keras", "lowbit")
"""Packages whose classes every process finds."""

_PROGRAM = "__main__"

Place = tuple[str, str, str]
"""Module, name, and the name that it is registered by with Keras."""


def needed(simulation: Simulation) -> list[Place]:
    """Every class and function of other packages in the simulation's configuration."""
    return sorted(set(_found(simulation.get_config())))


def _found(config: Any) -> Iterator[Place]:
    if isinstance(config, (list, tuple)):
        for value in config:
            yield from _found(value)
    if not isinstance(config, dict):
        return
    registered = config.get("registered_name")
    module = config.get("module") or _PROGRAM  # Keras leaves it out for what the program itself defines
    if registered and module.partition(".")[0] not in _KNOWN:
        is_function = config.get("class_name") == "function"
        yield module, str(config["config"] if is_function else config["class_name"]).rpartition(">")[2], registered
    for value in config.values():
        yield from _found(value)


def import_all(places: Iterable[Place]) -> None:
    """Import their modules, which registers them; raises InputError for one that is not found or not registered."""
    for module, name, registered in places:
        reason = "the module does not register it when it is imported"
        try:
            importlib.import_module(module)
        except ImportError as error:
            reason = str(error)
        if keras.saving.get_registered_object(registered) is None and not _is_registered(name):
            raise InputError(
                received=f"{name!r} of the module {module!r}, which the process that makes the file cannot import: "
                f"{reason}",
                expected="classes of kept layers in a module that this program imports, registered there with "
                "keras.saving.register_keras_serializable",
                mend=f"move {name} to a file of its own and import it, or leave its layer out of the model",
            )


def _is_registered(name: str) -> bool:
    return any(known.rpartition(">")[2] == name for known in keras.saving.get_custom_objects())
