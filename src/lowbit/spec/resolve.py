# SPDX-License-Identifier: Apache-2.0
"""The spec and all rules together -> the settings of each layer."""

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lowbit.errors import InputError
from lowbit.spec.bits import Spec
from lowbit.spec.rule import LayerView, Rule, short

NAMES_SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class LayerSetting:
    """What holds for one layer.

    `weights` is None where no rule gave bits: the spec's hold then, but for layers that keep 8 bits unless a rule
    says otherwise. `activations` are the bits of the layer's output; `symmetric` tells that its zero point is 0.
    """

    weights: int | None
    activations: int
    per_channel: bool = True
    symmetric: bool = False
    keep_float: bool = False
    said_by: Mapping[str, int] = field(default_factory=dict, compare=False)
    """For each setting that a rule made, which rule."""


def resolve(spec: Spec | str, rules: Iterable[Rule], layers: Sequence[LayerView]) -> dict[str, LayerSetting]:
    """The settings of every layer, by path. For each setting the last rule that makes it wins.

    Raises InputError for something that is no Rule, for a rule that selects none of `layers`, and for 16-bit
    activations that a rule wants asymmetric.

    >>> conv = LayerView(name="Conv1", layer_type="Conv2D", path="Conv1")
    >>> resolve("w8a8", [Rule(match="*", weights=4), Rule(match="Conv1", weights=8)], [conv])["Conv1"].weights
    8
    """
    spec, rules = Spec.parse(spec), check_rules(rules)
    said: dict[str, dict[str, Any]] = {layer.path: {} for layer in layers}
    said_by: dict[str, dict[str, int]] = {layer.path: {} for layer in layers}
    for number, rule in enumerate(rules):
        selected = [layer for layer in layers if rule.selects(layer)]
        if not selected:
            raise _selects_nothing(rule, layers)
        for layer in selected:
            said[layer.path].update(rule.settings)
            said_by[layer.path].update(dict.fromkeys(rule.settings, number))
    return {path: _setting(spec, path, settings, said_by[path]) for path, settings in said.items()}


def output_setting(settings: Sequence[LayerSetting]) -> tuple[int, bool]:
    """Bits of the output of layers that are one op of the file, and whether its zero point is 0: the latest rule wins.

    >>> rules = [Rule(match="conv", activations=16), Rule(match="relu", activations=8)]
    >>> layers = [LayerView(name=name, layer_type="Layer", path=name) for name in ("conv", "relu")]
    >>> output_setting(list(resolve("w8a8", rules, layers).values()))
    (8, False)
    """
    activations = max(settings, key=lambda one: one.said_by.get("activations", -1)).activations
    latest = max(settings, key=lambda one: one.said_by.get("symmetric", -1))
    return activations, activations == 16 or ("symmetric" in latest.said_by and latest.symmetric)


def check_rules(rules: Iterable[Rule]) -> tuple[Rule, ...]:
    """The rules as a tuple; raises InputError for anything but several Rules in a list or the like."""
    if not isinstance(rules, Iterable) or isinstance(rules, str | bytes | Mapping):
        raise _no_rule(rules, "rules")
    given = tuple(rules)
    for item in given:
        if not isinstance(item, Rule):
            raise _no_rule(item, "a rule")
    return given


def _no_rule(value: object, wanted_as: str) -> InputError:
    return InputError(
        received=f"{short(value)} of type {type(value).__name__} as {wanted_as}",
        expected="a list of lowbit.Rule",
        mend="write rules=[lowbit.Rule(match='Conv1', weights=8)]",
    )


def _setting(spec: Spec, path: str, said: dict[str, Any], said_by: Mapping[str, int]) -> LayerSetting:
    activations = said.get("activations", spec.activations)
    settings = {"weights": None, "activations": activations, "symmetric": activations == 16} | said
    if activations == 16 and not settings["symmetric"]:
        raise InputError(
            received=f"symmetric=false for layer {path!r}, whose activations have 16 bits",
            expected="zero point 0, the only one that 16-bit activations have",
            mend="give the layer 8-bit activations, or add a last rule with symmetric=true",
        )
    return LayerSetting(**settings, said_by=said_by)


def _selects_nothing(rule: Rule, layers: Sequence[LayerView]) -> InputError:
    """What is nearest to what the rule asked for: class names if none fits, else layer names."""
    types = sorted({layer.layer_type for layer in layers})
    wanted = (rule.layer_type,) if isinstance(rule.layer_type, str) else rule.layer_type or ()
    of_type = [layer for layer in layers if not wanted or layer.layer_type in wanted]
    if not layers:
        expected = "a model with layers"
    elif not of_type:
        expected = f"a class among {', '.join(_nearest(wanted, types) or types)}"
    elif isinstance(rule.match, str):
        names = _words_for(of_type, by_path="/" in rule.match)
        inside = dict.fromkeys(word for layer in of_type for word in layer.composites())
        near = _nearest([rule.match], [*names, *inside])[:NAMES_SHOWN]
        near = list(dict.fromkeys(names.get(word, word) for word in near))
        shown = list(dict.fromkeys(names.values()))[:NAMES_SHOWN]
        kind = f"{' or '.join(wanted)} layer" if wanted else "layer"
        expected = f"a {kind} such as {', '.join(near or shown)}"
    else:
        expected = f"a function that is true for at least one of {len(of_type)} layers"
    return InputError(
        received=f"a rule that matches no layer ({rule})", expected=expected, mend="correct the rule, or leave it out"
    )


def _words_for(layers: Sequence[LayerView], *, by_path: bool) -> dict[str, str]:
    """By the word that a rule is compared with, a layer's path or its name, what to write for it.

    A name that several layers have says less than the path of the first of them.
    """
    times = Counter(layer.name for layer in layers)
    words: dict[str, str] = {}
    for layer in layers:
        word = layer.path if by_path else layer.name
        words.setdefault(word, word if by_path or times[layer.name] == 1 else layer.path)
    return words


def _nearest(wanted: Iterable[str], names: Sequence[str]) -> list[str]:
    """The names most alike, upper and lower case and the signs of patterns aside."""
    plain: dict[str, str] = {}
    for name in names:
        plain.setdefault(name.lower(), name)
    found = []
    for word in wanted:
        core = re.sub(r"[*?\[\]]", "", word).lower()
        found += difflib.get_close_matches(core, plain, n=NAMES_SHOWN, cutoff=0.5)
    return [plain[name] for name in dict.fromkeys(found)]
