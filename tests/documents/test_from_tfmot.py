# SPDX-License-Identifier: Apache-2.0
"""docs/from_tfmot.md: its lowbit lines run in order, do what the page says of them, and every TFMOT name has a row."""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import lowbit
from lowbit.runtime import inspect
from lowbit.simulation.fates import fates

PAGE = (Path(__file__).parents[2] / "docs" / "from_tfmot.md").read_text()
BLOCKS = re.findall(r"```python lowbit\n(.*?)```", PAGE, re.DOTALL)
TFMOT = [
    "quantize_model", "quantize_annotate_layer", "quantize_annotate_model", "quantize_apply", "quantize_scope",
    "QuantizeConfig", "Default8BitQuantizeConfig", "Default8BitQuantizeScheme", "DefaultNBitQuantizeScheme",
    "LastValueQuantizer", "MovingAverageQuantizer", "AllValuesQuantizer", "FixedQuantizer", "graph_transformations",
    "fix_input_output_range", "remove_input_range", "collab_opts", "strip_clustering_cqat",
    "TFLiteConverter.from_keras_model", "representative_dataset", "inference_input_type", "Optimize.DEFAULT",
    "evaluate_model", "inference_time", "summary",
]  # fmt: skip


@pytest.fixture(scope="module")
def ran(digits, tmp_path_factory) -> dict[str, Any]:
    """The page's names after all its blocks ran, with the folder they ran in as `folder`."""
    keras.utils.set_random_seed(0)
    x, y = next(iter(digits.train.batches(len(digits.train))))
    x = next(iter(x.values())) if isinstance(x, dict) else x
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            keras.layers.Conv2D(8, 3, activation="relu", name="conv"),
            keras.layers.Flatten(),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.Dense(10, activation="softmax", name="predictions"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=15, verbose=0)
    folder = tmp_path_factory.mktemp("page")
    names = {"model": model, "x": x, "y": y, "digits": digits, "batches": [x[:64], x[64:128]], "folder": folder}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for block in BLOCKS:
            exec(compile(block, "from_tfmot.md", "exec"), names)
    return names


def kept(simulation: keras.Model) -> set[str]:
    return {fate.layer for fate in fates(simulation) if fate.fate == "kept float"}


def test_every_tfmot_name_has_a_row() -> None:
    rows = "\n".join(re.findall(r"^\| (.*?) \|", PAGE, re.MULTILINE))
    assert [name for name in TFMOT if not re.search(rf"\b{re.escape(name)}\b", rows)] == []


def test_every_lowbit_name_in_the_table_exists() -> None:
    for name in re.findall(r"`lowbit\.(\w+)\(", PAGE):
        assert name in lowbit.__all__


def test_every_python_block_says_whose_it_is() -> None:
    assert set(re.findall(r"^```(\w.*)$", PAGE, re.MULTILINE)) == {"python lowbit", "python tfmot"}
    assert len(BLOCKS) == 12


def test_the_rules_do_what_their_headings_say(ran) -> None:
    assert kept(ran["dense_only"]) >= {"conv"} and not kept(ran["dense_only"]) & {"hidden", "predictions"}
    assert kept(ran["all_but_last"]) == {"predictions"}
    bits = {fate.layer: fate.weight_bits for fate in fates(ran["four_bits"])}
    assert (bits["conv"], bits["hidden"], bits["predictions"]) == (8, 4, 4)


def test_the_file_is_exact_accurate_and_timed(ran) -> None:
    assert ran["written"].parity.worst_equal == 1.0 and not ran["written"].parity.missing
    assert ran["accuracy"] > 0.9 and ran["milliseconds"] > 0
    assert lowbit.evaluate(ran["sim"], ran["digits"]).accuracy == pytest.approx(ran["accuracy"], abs=0.003)


def test_codes_go_in_and_come_out(ran) -> None:
    summary = inspect(ran["folder"] / "codes.tflite")
    assert {np.dtype(end.dtype).name for end in (*summary.inputs, *summary.outputs)} == {"int8"}
    assert summary.float_ops == 0


def test_the_stripped_model_is_float_and_trained(ran) -> None:
    assert type(ran["trained"]) is type(ran["model"]) and ran["found"].macs_integer_share == 1.0
    before, after = ran["model"].get_weights(), ran["trained"].get_weights()
    assert [array.shape for array in before] == [array.shape for array in after]
    assert any(not np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_the_table_is_complete(ran) -> None:
    assert [row.status for row in ran["comparison"].rows] == ["ok"] * 2
