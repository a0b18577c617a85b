# SPDX-License-Identifier: Apache-2.0
"""A rule: what it refuses, what it selects, how it is written and read."""

import pytest

import lowbit
from lowbit.errors import InputError
from lowbit.spec import LayerView, Rule

CONV = LayerView(name="Conv1", layer_type="Conv2D", path="Conv1", weight_count=432)
INNER = LayerView(name="block_3_conv", layer_type="Conv2D", path="backbone/block_3_conv", weight_count=2304)
DEPTHWISE = LayerView(name="block_3_dw", layer_type="DepthwiseConv2D", path="backbone/block_3_dw", weight_count=144)
LAYERS = (CONV, INNER, DEPTHWISE)


def test_the_front_door_has_it() -> None:
    assert lowbit.Rule is Rule


@pytest.mark.parametrize(
    "selector, selected",
    [
        ({"match": "*"}, "Conv1 block_3_conv block_3_dw"),
        ({"match": "Conv1"}, "Conv1"),
        ({"match": "conv1"}, ""),  # upper and lower case differ on every system
        ({"match": "Conv"}, ""),  # the whole name, not a part of it
        ({"match": "block_3_*"}, "block_3_conv block_3_dw"),
        ({"match": "backbone/*"}, "block_3_conv block_3_dw"),
        ({"match": "*/block_?_dw"}, "block_3_dw"),
        ({"match": "block_[0-2]_*"}, ""),
        ({"layer_type": "Conv2D"}, "Conv1 block_3_conv"),
        ({"layer_type": ("DepthwiseConv2D", "Dense")}, "block_3_dw"),
        ({"match": "block_*", "layer_type": "Conv2D"}, "block_3_conv"),
        pytest.param({"match": lambda layer: layer.weight_count > 1000}, "block_3_conv", id="function"),
        pytest.param(
            {"match": lambda layer: layer.weight_count < 1000, "layer_type": "Conv2D"}, "Conv1", id="function and type"
        ),
    ],
    ids=str,
)
def test_what_a_rule_selects(selector: dict, selected: str) -> None:
    rule = Rule(**selector, weights=4)
    assert " ".join(layer.name for layer in LAYERS if rule.selects(layer)) == selected


@pytest.mark.parametrize(
    "given, words",
    [
        ({}, r"selects no layers \(empty\); expected match, layer_type or both"),
        ({"weights": 4}, r"selects no layers \(weights=4\).*write match='\*'"),
        ({"match": "*"}, r"sets nothing \(match=\*\).*at least one of weights, activations, per_channel"),
        ({"match": "", "weights": 4}, "received match=''; expected a pattern"),
        ({"match": 3, "weights": 4}, "received match=3; expected a pattern"),
        ({"layer_type": (), "weights": 4}, r"received layer_type=\(\); expected a class name"),
        ({"layer_type": ("Dense", 2), "weights": 4}, r"received layer_type=\('Dense', 2\)"),
        ({"match": "*", "weights": 2}, "received weights=2; expected 4 or 8"),
        ({"match": "*", "weights": "8"}, "received weights='8'; expected 4 or 8"),
        ({"match": "*", "weights": 8.0}, "received weights=8.0; expected 4 or 8"),
        ({"match": "*", "activations": 4}, "received activations=4; expected 8 or 16"),
        ({"match": "*", "activations": True}, "received activations=True; expected 8 or 16"),
        ({"match": "*", "per_channel": 1}, "received per_channel=1; expected true or false"),
        ({"match": "*", "symmetric": "no"}, "received symmetric='no'; expected true or false"),
        ({"match": "*", "keep_float": 0}, "received keep_float=0; expected true or false"),
        ({"match": "*", "keep_float": True, "weights": 4}, "keeps layers float and sets weights"),
        ({"match": "*", "activations": 16, "symmetric": False}, "16-bit activations that are not symmetric"),
    ],
    ids=str,
)
def test_a_rule_that_cannot_be_meant_is_refused(given: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rule(**given)


@pytest.mark.parametrize(
    "data",
    [
        {"match": "Conv1", "weights": 8},
        {"match": "*", "layer_type": "Dense", "weights": 4, "activations": 16, "per_channel": False, "symmetric": True},
        {"layer_type": ["Conv2D", "Dense"], "keep_float": True},
        {"match": "block_*", "keep_float": False},
    ],
    ids=str,
)
def test_round_trip(data: dict) -> None:
    rule = Rule.from_dict(data)
    assert rule.to_dict() == data
    assert Rule.from_dict(rule.to_dict()) == rule
    assert hash(rule) == hash(Rule.from_dict(data))


def test_a_function_cannot_be_written() -> None:
    def large(layer: LayerView) -> bool:
        return bool(layer.weight_count)

    with pytest.raises(InputError, match=r"the function .*large; expected a pattern"):
        Rule(match=large, weights=4).to_dict()


@pytest.mark.parametrize(
    "data, words",
    [
        ({"match": "*", "weigths": 4}, "received key 'weigths'.*did you mean 'weights'?"),
        ({"match": "*", "perchannel": True}, "did you mean 'per_channel'?"),
        ({"match": "*", 8: 8}, "received key 8; expected one of match, layer_type, weights"),
        ({"match": "*", "weights": None}, "received key 'weights' without a value"),
        (["Conv1"], r"received rule \['Conv1'\]; expected keys and values"),
    ],
    ids=str,
)
def test_other_data_is_refused(data: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Rule.from_dict(data)


def test_in_one_line() -> None:
    rule = Rule(match="block_*", layer_type=("Conv2D", "Dense"), weights=4, per_channel=False)
    assert str(rule) == "match=block_* layer_type=Conv2D|Dense weights=4 per_channel=false"
