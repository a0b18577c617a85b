# SPDX-License-Identifier: Apache-2.0
"""Integer files hold no long names and no vector twice, compute the same bits, and are still read by layer names."""

import shutil

import keras
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import lowbit
from lowbit.card import read_card, tensor_names
from lowbit.errors import InputError
from lowbit.export import ExportResult, export, export_variant, parity
from lowbit.export.slim import slim
from lowbit.runtime import flatbuffer, predict, size_parts, tensors


@pytest.fixture(scope="module")
def written(digits_simulation_file, tmp_path_factory) -> dict[str, ExportResult]:
    folder, simulation = tmp_path_factory.mktemp("slim"), keras.models.load_model(digits_simulation_file)
    return {
        "slim": export(simulation, folder / "slim.tflite"),
        "named": export(simulation, folder / "named.tflite", keep_names=True),
    }


@pytest.fixture(scope="module")
def hundred(digits) -> np.ndarray:
    return next(iter(digits.test.batches(100)))[0]["image"]


def names_in(path) -> list[str]:
    return [flatbuffer.text(tensor.name) for tensor in flatbuffer.read(path.read_bytes()).subgraphs[0].tensors]


def test_the_same_bits_for_a_hundred_inputs(written, hundred):
    outputs = {kind: predict(one.path, [hundred]).outputs for kind, one in written.items()}
    assert len(outputs["slim"]) == 100 and np.array_equal(outputs["slim"], outputs["named"])


def test_names_are_numbers_but_for_inputs_and_outputs_and_the_card_has_them(written):
    long, short = names_in(written["named"].path), names_in(written["slim"].path)
    assert "stem_conv" in long and "stem_conv" not in short and "image" in short
    assert sum(map(len, short)) < 0.2 * sum(map(len, long))
    assert tensor_names(written["slim"].path) == written["slim"].tensor_names == tuple(long)
    assert tensor_names(written["named"].path) is None is written["named"].tensor_names
    assert written["slim"].size_bytes < written["named"].size_bytes


def test_parity_and_tensors_speak_of_layers(digits_simulation, written, hundred):
    found = parity(digits_simulation, written["slim"].path, [hundred[:8]])
    assert found.worst_equal == 1.0 and not found.missing
    assert "stem_conv" in {tensor.name for tensor in found.per_tensor}
    assert tensors(written["slim"].path, hundred[:1])["stem_conv"].op == "CONV_2D"


def test_without_its_card_the_file_is_told_from_its_simulation_no_more(digits_simulation, written, hundred, tmp_path):
    alone = shutil.copy(written["slim"].path, tmp_path / "alone.tflite")
    with pytest.raises(InputError, match=r"alone\.tflite.*alone\.tflite\.json.*keep_names"):
        parity(digits_simulation, alone, [hundred[:8]])


def test_equal_vectors_stand_once_and_constants_can_be_read_by_any_kernel(written):
    content = written["slim"].path.read_bytes()
    model = schema.Model.GetRootAs(content, 0)
    graph = model.Subgraphs(0)
    parameters = [graph.Tensors(number).Quantization() for number in range(graph.TensorsLength())]
    zeros = [one.ZeroPointAsNumpy() for one in parameters if one is not None and one.ZeroPointLength() > 1]
    places = {one.__array_interface__["data"][0] for one in zeros}
    assert len(zeros) > len(places) == len({len(one) for one in zeros})  # all are zeros: one vector for each length
    start = np.frombuffer(content, "uint8").__array_interface__["data"][0]
    stored = [model.Buffers(number).DataAsNumpy() for number in range(model.BuffersLength())]
    offsets = [one.__array_interface__["data"][0] - start for one in stored if isinstance(one, np.ndarray)]
    assert len(offsets) > 5 and not any(offset % 16 for offset in offsets)


@pytest.mark.parametrize("kind", ["dynamic-w8", "weight-w8"])
def test_other_files_of_integers_too_and_float_ones_as_they_are(digits_model, tmp_path, kind):
    result = export_variant(digits_model, tmp_path / "slim.tflite", kind)
    assert read_card(result.path).tensors == result.tensor_names and "stem_conv" in result.tensor_names
    full = export_variant(digits_model, tmp_path / "float.tflite", "float32")
    assert full.tensor_names is None and "stem_conv" in names_in(full.path)


def test_an_input_that_is_named_like_a_number_stays_the_only_one(tmp_path):
    inputs = keras.Input((4,), name="2")
    model = keras.Model(inputs, keras.layers.Dense(3, name="dense")(inputs))
    x = np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    result = lowbit.export(model, tmp_path / "model.tflite", spec="w8a8", calibration=[x], parity=[x])
    short = names_in(result.path)
    assert len(set(short)) == len(short) and "2" in short and result.parity.worst_equal == 1.0


def test_the_digits_file_is_near_its_floor(written):
    before, after = (size_parts(written[kind].path.read_bytes(), "file") for kind in ("named", "slim"))
    assert after.constants == before.constants and after.scales == before.scales
    assert after.names < before.names and after.above_floor < before.above_floor
    assert slim(written["named"].path.read_bytes())[0] == written["slim"].path.read_bytes()
