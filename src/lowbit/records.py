# SPDX-License-Identifier: Apache-2.0
"""Frozen dataclasses as JSON and back, by their type annotations.

Understood: numbers, strings, booleans, `X | None`, `tuple[X, ...]`, `Mapping[str, X]`, dataclasses, `Any`.
A dataclass may name computed properties in `DERIVED`: they are written for readers of the JSON, and not read back.
"""

import dataclasses
import json
import math
import os
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from lowbit.errors import FileFormatError, InputError

T = TypeVar("T")


def encode(value: Any) -> Any:
    """Plain JSON data: dicts, lists, numbers, strings, None. NumPy scalars become Python's.

    >>> from lowbit.results import LatencyResult
    >>> encode(LatencyResult(median=0.5, p10=0.4, p90=0.7, runs=50, threads=1))
    {'median': 0.5, 'p10': 0.4, 'p90': 0.7, 'runs': 50, 'threads': 1}
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [item.name for item in dataclasses.fields(value)] + list(getattr(value, "DERIVED", ()))
        return {name: encode(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    if hasattr(value, "item") and getattr(value, "shape", None) == ():
        return value.item()
    return value


def decode(cls: type[T], data: Any, source: str) -> T:
    """The dataclass `cls` from what `encode` gave. Keys that are no fields are left out: newer writers may add some.

    Raises FileFormatError naming `source` and the place inside it for a missing field or a wrong type.
    """
    try:
        return typing.cast(T, _fit(cls, data, cls.__name__))
    except (TypeError, ValueError, InputError) as error:
        raise FileFormatError(
            received=f"{source}: {error}",
            expected=f"a {cls.__name__} as lowbit writes it",
            mend="write the file again with this version of lowbit",
        ) from error


def parse(text: str) -> Any:
    """The JSON in a text that another may have edited; ValueError for what is none, or no writer of ours would write:
    numbers beyond 64 bits, halves of characters, nesting without end.

    >>> parse("[1, 2.5]")
    [1, 2.5]
    """
    try:
        data = json.loads(text, parse_int=_whole)
        json.dumps(data, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    return data


def _whole(digits: str) -> int:
    if len(digits) > 19:
        raise ValueError(f"{digits[:20]}..., a number beyond 64 bits")
    return int(digits)


def load(cls: type[T], path: str | os.PathLike[str], *, schema: int, expected: str, mend: str) -> T:
    """The dataclass `cls` from the JSON file of `encode`, whose `schema` must be this one.

    Raises FileFormatError, in these words, for a missing or damaged file, another schema or a wrong field.
    """
    source = os.fspath(path)
    try:
        data = parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FileFormatError(received=f"{source}: {error}", expected=expected, mend=mend) from error
    found = data.get("schema") if isinstance(data, dict) else None
    if found != schema:
        raise FileFormatError(received=f"{source}: schema {found!r}", expected=expected, mend=mend)
    return decode(cls, data, source)


def _fit(hint: Any, data: Any, where: str) -> Any:
    """`data` as a value of the annotation `hint`; `where` is its place, for errors."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return _finite(data, where)
    if origin is types.UnionType:
        inner = next(part for part in parts if part is not types.NoneType)
        return None if data is None else _fit(inner, data, where)
    if origin is tuple:
        items = _expect(list, data, where)
        hints = parts[:1] * len(items) if parts[-1] is Ellipsis else parts
        return tuple(_fit(part, item, f"{where}[{i}]") for i, (part, item) in enumerate(zip(hints, items, strict=True)))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _fit(parts[1], item, f"{where}.{key}") for key, item in _expect(dict, data, where).items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints_of = typing.get_type_hints(hint)
        names = [item.name for item in dataclasses.fields(hint) if item.name in _expect(dict, data, where)]
        values = {name: _fit(hints_of[name], data[name], f"{where}.{name}") for name in names}
        try:
            return hint(**values)
        except InputError as error:
            raise ValueError(f"{where}: {error.received}; expected {error.expected}") from error
    if hint is float and type(data) is int:
        data = float(data)
    return _expect(hint, data, where)


def _finite(data: Any, where: str) -> Any:
    for number in _numbers(data):
        _expect(float, number, where)
    return data


def _numbers(data: Any) -> Iterator[float]:
    """Every float inside plain JSON data."""
    if isinstance(data, float):
        yield data
    elif isinstance(data, dict | list):
        for item in data.values() if isinstance(data, dict) else data:
            yield from _numbers(item)


def _expect(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise TypeError(f"{where} is {str(data)[:40]!r}, not of type {kind.__name__}")
    if isinstance(data, float) and not math.isfinite(data):
        raise ValueError(f"{where} is {data}, not a finite number")
    return data
