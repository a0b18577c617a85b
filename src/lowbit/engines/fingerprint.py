# SPDX-License-Identifier: Apache-2.0
"""What a stored result depends on beside its inputs: the code that ran, and the libraries it ran on."""

import functools
import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEFT_OUT = ("report", "cli")  # rooms that only draw what was measured: changing them changes no result


@functools.cache
def source_sha256(package: Path, left_out: Sequence[str] = LEFT_OUT) -> str:
    """One hash over every Python file of a package: relative path and content, in a fixed order."""
    total = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package)
        if name.parts[0] not in left_out:
            total.update(f"{name.as_posix()}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def library_versions(names: Sequence[str]) -> dict[str, str | None]:
    """Installed version of each distribution, None where it is missing; imports none of them."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def digest(value: Any) -> str:
    """sha256 of a JSON-able value, the same for equal values whatever the order of their keys.

    >>> digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    True
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"received an argument of type {type(value).__name__}; expected JSON types only")
