# SPDX-License-Identifier: Apache-2.0
"""The spec and rules together: tables worked out by hand."""

import pytest

from lowbit.errors import InputError
from lowbit.spec import LayerSetting, LayerView, Rule, Spec, resolve

LAYERS = [
    LayerView(name="Conv1", layer_type="Conv2D", path="Conv1", weight_count=432),
    LayerView(name="block_3_expand", layer_type="Conv2D", path="backbone/block_3_expand", weight_count=768),
    LayerView(name="block_3_depthwise", layer_type="DepthwiseConv2D", path="backbone/block_3_depthwise"),
    LayerView(name="predictions", layer_type="Dense", path="predictions", weight_count=5760),
]
PATHS = ["Conv1", "backbone/block_3_expand", "backbone/block_3_depthwise", "predictions"]


def column(setting: str, spec: str, *rules: Rule) -> list:
    """One setting of the four layers, in their order."""
    found = resolve(spec, rules, LAYERS)
    assert list(found) == PATHS
    return [getattr(found[path], setting) for path in PATHS]


@pytest.mark.parametrize(
    "spec, activations, symmetric", [("w8a8", 8, False), ("w4a8", 8, False), ("w8a16", 16, True), ("w4a16", 16, True)]
)
def test_without_rules_the_spec_holds(spec: str, activations: int, symmetric: bool) -> None:
    expected = LayerSetting(
        weights=None, activations=activations, per_channel=True, symmetric=symmetric, keep_float=False
    )
    assert resolve(spec, (), LAYERS) == dict.fromkeys(PATHS, expected)
    assert resolve(Spec.parse(spec), [], LAYERS) == dict.fromkeys(PATHS, expected)


ALL_FOUR = Rule(match="*", weights=4)
FIRST_EIGHT = Rule(match="Conv1", weights=8)


@pytest.mark.parametrize(
    "setting, spec, rules, expected",
    [
        ("weights", "w4a8", [FIRST_EIGHT], [8, None, None, None]),
        ("weights", "w4a8", [ALL_FOUR], [4, 4, 4, 4]),  # said, so also for the depthwise layer
        ("weights", "w8a8", [ALL_FOUR, FIRST_EIGHT], [8, 4, 4, 4]),
        ("weights", "w8a8", [FIRST_EIGHT, ALL_FOUR], [4, 4, 4, 4]),
        ("weights", "w8a8", [ALL_FOUR, Rule(match="Conv1", activations=16)], [4, 4, 4, 4]),
        ("weights", "w8a8", [Rule(match="backbone/*", layer_type="Conv2D", weights=4)], [None, 4, None, None]),
        ("activations", "w8a8", [Rule(match="block_3_*", activations=16)], [8, 16, 16, 8]),
        ("activations", "w8a16", [Rule(layer_type=("Conv2D", "Dense"), activations=8)], [8, 8, 16, 8]),
        ("symmetric", "w8a8", [Rule(match="block_3_*", activations=16)], [False, True, True, False]),
        ("symmetric", "w8a16", [Rule(match="Conv1", activations=8)], [False, True, True, True]),
        ("symmetric", "w8a8", [Rule(match="Conv1", symmetric=True)], [True, False, False, False]),
        ("symmetric", "w8a16", [Rule(match="Conv1", symmetric=True, activations=8)], [True, True, True, True]),
        ("per_channel", "w8a8", [Rule(layer_type="Dense", per_channel=False)], [True, True, True, False]),
        ("keep_float", "w8a8", [Rule(match="predictions", keep_float=True)], [False, False, False, True]),
        ("keep_float", "w8a8", [Rule(match="*", keep_float=True), FIRST_EIGHT], [True, True, True, True]),
        (
            "keep_float",
            "w8a8",
            [Rule(match="*", keep_float=True), Rule(match="Conv1", keep_float=False)],
            [False, True, True, True],
        ),
        (
            "weights",
            "w8a8",
            [Rule(match=lambda layer: (layer.weight_count or 0) > 700, weights=4)],
            [None, 4, None, 4],
        ),
    ],
)
def test_later_rules_win_setting_by_setting(setting: str, spec: str, rules: list[Rule], expected: list) -> None:
    assert column(setting, spec, *rules) == expected


@pytest.mark.parametrize(
    "selector, words",
    [
        ({"match": "conv1"}, r"matches no layer \(match=conv1 weights=4\); expected a layer such as Conv1;"),
        ({"match": "PREDICTIONS"}, "expected a layer such as predictions;"),
        ({"match": "blok_3_*"}, "expected a layer such as block_3_expand, block_3_depthwise;"),
        ({"match": "backbon/block_3_expand"}, "expected a layer such as backbone/block_3_expand"),
        ({"match": "zzz"}, "expected a layer such as Conv1, block_3_expand, block_3_depthwise;"),
        ({"layer_type": "DepthwiseConv"}, "expected a class among DepthwiseConv2D;"),
        ({"layer_type": "LSTM"}, "expected a class among Conv2D, Dense, DepthwiseConv2D;"),
        ({"match": "Conv1", "layer_type": "Dense"}, "expected a Dense layer such as predictions;"),
        pytest.param(
            {"match": lambda layer: False},
            "expected a function that is true for at least one of 4 layers",
            id="function",
        ),
    ],
    ids=str,
)
def test_a_rule_that_matches_nothing_names_what_is_near(selector: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve("w8a8", [ALL_FOUR, Rule(**selector, weights=4)], LAYERS)


def test_a_model_without_layers() -> None:
    assert resolve("w8a8", [], []) == {}
    with pytest.raises(InputError, match="expected a model with layers"):
        resolve("w8a8", [ALL_FOUR], [])


@pytest.mark.parametrize(
    "rules, words",
    [
        (ALL_FOUR, r"of type Rule as rules; expected a list of lowbit.Rule"),
        ("rules.yaml", "received 'rules.yaml' of type str as rules"),
        ({"match": "*"}, "of type dict as rules"),
        (None, "received None of type NoneType as rules"),
        ([ALL_FOUR, {"match": "*"}], "of type dict as a rule"),
        ([None], "received None of type NoneType as a rule"),
    ],
    ids=str,
)
def test_what_is_no_rule_is_refused(rules: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve("w8a8", rules, LAYERS)


@pytest.mark.parametrize("spec, rules", [("w8a16", []), ("w8a8", [Rule(match="predictions", activations=16)])])
def test_asymmetric_16_bit_activations_are_refused(spec: str, rules: list[Rule]) -> None:
    with pytest.raises(InputError, match="symmetric=false for layer 'predictions', whose activations have 16 bits"):
        resolve(spec, [Rule(match="predictions", symmetric=False), *rules], LAYERS)


ATTENTION = [
    LayerView(name=part, layer_type="EinsumDense", path=f"{heads}/{part}")
    for heads in ("encoder/mha", "encoder/mha_1")
    for part in ("query", "key")
]


@pytest.mark.parametrize(
    "match, selected",
    [
        ("mha", ["encoder/mha/query", "encoder/mha/key"]),
        ("encoder/mha", ["encoder/mha/query", "encoder/mha/key"]),
        ("mha_1", ["encoder/mha_1/query", "encoder/mha_1/key"]),
        ("encoder", [layer.path for layer in ATTENTION]),
        ("*/mha/*", ["encoder/mha/query", "encoder/mha/key"]),
        ("query", ["encoder/mha/query", "encoder/mha_1/query"]),
    ],
)
def test_the_name_of_what_layers_are_part_of_selects_them_all(match: str, selected: list[str]) -> None:
    found = resolve("w8a8", [Rule(match=match, keep_float=True)], ATTENTION)
    assert [path for path, setting in found.items() if setting.keep_float] == selected


@pytest.mark.parametrize(
    "match, words",
    [
        ("MHA", "expected a layer such as mha, mha_1"),
        ("querry", "expected a layer such as encoder/mha/query;"),
        ("zzz", "expected a layer such as encoder/mha/query, encoder/mha/key;"),
    ],
)
def test_what_is_near_tells_names_that_repeat_by_their_path(match: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        resolve("w8a8", [Rule(match=match, weights=4)], ATTENTION)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Spec(weights=8.0, activations=8),
        lambda: Spec(weights=8, activations=16.0),
        lambda: Spec.parse("w08a8"),
        lambda: Spec.parse("w8a08"),
        lambda: Spec.parse("w\uff18a8"),
        lambda: Spec.parse("w8a8\n"),
    ],
)
def test_bits_are_written_in_one_way(make) -> None:
    with pytest.raises(InputError, match="choose w8a8, w4a8, w8a16 or w4a16"):
        make()
