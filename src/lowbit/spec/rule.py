# SPDX-License-Identifier: Apache-2.0
"""One rule: which layers, and what is other there than the spec says. Frozen, checked when built."""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from reprlib import Repr
from typing import Any

from lowbit.errors import InputError
from lowbit.spec.bits import ACTIVATION_BITS, WEIGHT_BITS

BITS = {"weights": WEIGHT_BITS, "activations": ACTIVATION_BITS}
SWITCHES = ("per_channel", "symmetric", "keep_float")
SETTINGS = (*BITS, *SWITCHES)

_REPR = Repr()
_REPR.maxlevel = 2
short = _REPR.repr
"""A value for an error: never long, however large or deep it is."""


@dataclass(frozen=True, kw_only=True)
class LayerView:
    """What a rule sees of a layer: its name, its class's name, its path in nested models, its number of weights.

    >>> LayerView(name="conv", layer_type="Conv2D", path="backbone/block_1/conv", weight_count=432).path
    'backbone/block_1/conv'
    """

    name: str
    layer_type: str
    path: str
    weight_count: int | None = None

    def composites(self) -> tuple[str, ...]:
        """Names and paths of the layers and models that this one is a part of, the innermost last.

        >>> LayerView(name="conv", layer_type="Conv2D", path="backbone/block_1/conv").composites()
        ('backbone', 'block_1', 'backbone/block_1')
        """
        names = self.path.split("/")[:-1]
        ways = ((name, "/".join(names[: depth + 1])) for depth, name in enumerate(names))
        return tuple(dict.fromkeys(word for both in ways for word in both))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Settings for the layers that it selects; a setting left at None stays as it was.

    Args:
        match: a pattern over layer names and paths (`*`, `?`, `[abc]`; upper and lower case differ), the name or path
            of a layer or model made of others, for all inside it, or a function that takes a LayerView and says
            whether it is meant.
        layer_type: a class name such as "DepthwiseConv2D", or several; with `match`, both must fit.
        weights: bits of weights, 4 or 8.
        activations: bits of the layer's output, 8 or 16.
        per_channel: one scale for each output channel of the weights, or one for all.
        symmetric: zero point 0 for the layer's output, or any.
        keep_float: the layer stays float.

    Raises InputError for a rule without selector or setting, for other values, and for settings that exclude
    each other.

    >>> Rule(match="block_3_*", layer_type="Conv2D", weights=4).to_dict()
    {'match': 'block_3_*', 'layer_type': 'Conv2D', 'weights': 4}
    """

    match: str | Callable[[LayerView], bool] | None = None
    layer_type: str | tuple[str, ...] | None = None
    weights: int | None = None
    activations: int | None = None
    per_channel: bool | None = None
    symmetric: bool | None = None
    keep_float: bool | None = None

    def __post_init__(self) -> None:
        if isinstance(self.layer_type, list):
            object.__setattr__(self, "layer_type", tuple(self.layer_type))
        self._check_selectors()
        for name, allowed in BITS.items():
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value not in allowed):
                raise _wrong(name, value, " or ".join(map(str, allowed)))
        for name in SWITCHES:
            if type(value := getattr(self, name)) not in (bool, type(None)):
                raise _wrong(name, value, "true or false")
        self._check_settings()

    def _check_selectors(self) -> None:
        if self.match is not None and not (callable(self.match) or (isinstance(self.match, str) and self.match)):
            raise _wrong("match", self.match, "a pattern such as 'block_3_*', or a function of a LayerView")
        types = (self.layer_type,) if isinstance(self.layer_type, str) else self.layer_type
        if types is not None and not (isinstance(types, tuple) and types and all(map(_is_word, types))):
            raise _wrong("layer_type", self.layer_type, "a class name such as 'Conv2D', or several")
        if self.match is None and types is None:
            raise InputError(
                received=f"a rule that selects no layers ({self})",
                expected="match, layer_type or both",
                mend="write match='*' to mean every layer",
            )

    def _check_settings(self) -> None:
        if not self.settings:
            raise InputError(
                received=f"a rule that sets nothing ({self})",
                expected=f"at least one of {', '.join(SETTINGS)}",
                mend="add a setting, or leave the rule out",
            )
        numbers = [name for name in self.settings if name != "keep_float"]
        if self.keep_float and numbers:
            raise InputError(
                received=f"a rule that keeps layers float and sets {', '.join(numbers)} ({self})",
                expected="layers that stay float, or settings for their integers",
                mend="leave one of the two out",
            )
        if self.activations == 16 and self.symmetric is False:
            raise InputError(
                received=f"16-bit activations that are not symmetric ({self})",
                expected="zero point 0, the only one that 16-bit activations have",
                mend="leave symmetric out",
            )

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that this rule makes, without those it leaves as they were."""
        return {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}

    def selects(self, layer: LayerView) -> bool:
        """Whether the rule is about this layer."""
        types = (self.layer_type,) if isinstance(self.layer_type, str) else self.layer_type
        if types is not None and layer.layer_type not in types:
            return False
        if isinstance(self.match, str):
            is_inside = self.match in layer.composites()
            return is_inside or fnmatchcase(layer.name, self.match) or fnmatchcase(layer.path, self.match)
        return self.match is None or bool(self.match(layer))

    def to_dict(self) -> dict[str, Any]:
        """What was given, as JSON data; raises InputError when `match` is a function."""
        if callable(self.match):
            raise InputError(
                received=f"a rule whose match is the function {_name(self.match)}",
                expected="a pattern: a function cannot be written to a file",
                mend="name the layers by pattern, or keep the rule in Python",
            )
        types = list(self.layer_type) if isinstance(self.layer_type, tuple) else self.layer_type
        selectors = {"match": self.match, "layer_type": types}
        return {name: value for name, value in selectors.items() if value is not None} | self.settings

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Rule":
        """The rule of `to_dict`'s data; raises InputError naming the closest key for an unknown one."""
        if not isinstance(data, Mapping):
            raise InputError(
                received=f"rule {short(data)}",
                expected="keys and values, such as match: Conv1 and weights: 8",
                mend=f"use the keys {', '.join(_KEYS)}",
            )
        for key, value in data.items():
            if key not in _KEYS:
                close = difflib.get_close_matches(str(key), _KEYS, n=1, cutoff=0.5)
                raise InputError(
                    received=f"key {short(key)}",
                    expected=f"one of {', '.join(_KEYS)}",
                    mend=f"did you mean {close[0]!r}?" if close else "leave it out",
                )
            if value is None:
                raise InputError(
                    received=f"key {key!r} without a value", expected="a value", mend="add one, or leave the key out"
                )
        return cls(**data)

    def __str__(self) -> str:
        """The rule in one line, as tables and errors show it: `match=Conv1 weights=8`."""
        given = {item.name: value for item in fields(self) if (value := getattr(self, item.name)) is not None}
        return " ".join(f"{name}={_shown(value)}" for name, value in given.items()) or "empty"


_KEYS = tuple(item.name for item in fields(Rule))


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", None) or type(function).__name__


def _shown(value: Any) -> str:
    if callable(value):
        return _name(value)
    if isinstance(value, tuple):
        return "|".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong(name: str, value: Any, expected: str) -> InputError:
    return InputError(received=f"{name}={short(value)}", expected=expected, mend=f"correct {name}, or leave it out")
