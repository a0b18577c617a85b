# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys

import keras
import numpy as np
import pytest

from lowbit.errors import ExportError, InputError
from lowbit.export import export, export_variant, integers
from lowbit.runtime import Runner, flatbuffer
from lowbit.simulation import quantize_model

FRESH = """
import sys, keras, lowbit.simulation
from lowbit.export import export
export(keras.models.load_model(sys.argv[1]), sys.argv[2])
"""


def test_the_float_file_computes_the_model(every_layer, images, tmp_path):
    result = export(every_layer, tmp_path / "float.tflite")
    runner = Runner.open(result.path)
    outputs = np.concatenate([next(iter(runner({"image": image[None]}).values())) for image in images])
    assert np.abs(outputs - every_layer.predict(images, verbose=0)).max() < 1e-5
    assert result.quantized_tensors == 0


@pytest.mark.parametrize(("kind", "tolerance"), [("float16", 0.01), ("dynamic-w8", 0.1), ("weight-w8", 0.1)])
def test_variants_run_and_are_smaller(digits, digits_model, tmp_path, kind, tolerance):
    full = export_variant(digits_model, tmp_path / "float32.tflite", "float32")
    result = export_variant(digits_model, tmp_path / f"{kind}.tflite", kind)
    assert result.size_bytes < 0.65 * full.size_bytes
    inputs, _ = next(iter(digits.test.batches(32)))
    runner = Runner.open(result.path)
    outputs = np.concatenate([next(iter(runner({"image": x[None]}).values())) for x in inputs["image"]])
    assert np.abs(outputs - digits_model.predict(inputs["image"], verbose=0)).max() < tolerance


def test_only_built_in_operations_static_shapes_and_our_names(digits_simulation, tmp_path):
    export(digits_simulation, tmp_path / "model.tflite", keep_names=True)
    model = flatbuffer.read((tmp_path / "model.tflite").read_bytes())
    graph = model.subgraphs[0]
    names = {flatbuffer.op_name(model, operator) for operator in graph.operators}
    integer = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED", "SOFTMAX"}
    assert names == {"QUANTIZE", "DEQUANTIZE"} | integer
    assert all(-1 not in list(tensor.shape) for tensor in graph.tensors if tensor.shape is not None)
    tensors = {flatbuffer.text(tensor.name) for tensor in graph.tensors}
    assert tensors >= {"image", "stem_conv", "stem_conv/kernel", "stem_conv/bias", "block_add"}
    assert [flatbuffer.text(entry.name) for entry in model.signatureDefs[0].inputs] == ["image"]


def test_weight_codes_scales_and_biases_in_the_file(digits_simulation, tmp_path):
    export(digits_simulation, tmp_path / "model.tflite", keep_names=True)
    model = flatbuffer.read((tmp_path / "model.tflite").read_bytes())
    tensors = {flatbuffer.text(tensor.name): tensor for tensor in model.subgraphs[0].tensors}
    codes, scale, bias = (np.asarray(v) for v in digits_simulation.get_layer("down_conv").integer_weights())
    kernel = tensors["down_conv/kernel"]
    stored = flatbuffer.constant(model, kernel, "int8").reshape(48, 3, 3, 24)  # output channels first
    assert np.array_equal(stored, np.moveaxis(codes, -1, 0))
    assert np.array_equal(np.asarray(kernel.quantization.scale, "float32"), scale)
    assert np.array_equal(flatbuffer.constant(model, tensors["down_conv/bias"], "int32"), bias)
    assert np.abs(stored).max() == 127


def test_int8_inputs_and_outputs_are_codes(digits_simulation, tmp_path):
    export(digits_simulation, tmp_path / "model.tflite", io="int8")
    runner = Runner.open(tmp_path / "model.tflite")
    assert [end.dtype for end in (*runner.inputs, *runner.outputs)] == ["int8", "int8"]
    assert (runner.outputs[0].scale, runner.outputs[0].zero_point) == (1 / 256, -128)


@pytest.mark.slow
def test_a_fresh_process_writes_the_same_bytes(digits_simulation, digits_simulation_file, tmp_path):
    first = export(digits_simulation, tmp_path / "here.tflite")
    again = export(digits_simulation, tmp_path / "again.tflite")
    assert first.sha256 == again.sha256
    arguments = [str(digits_simulation_file), str(tmp_path / "there.tflite")]
    subprocess.run([sys.executable, "-c", FRESH, *arguments], check=True, capture_output=True)
    assert (tmp_path / "there.tflite").read_bytes() == (tmp_path / "here.tflite").read_bytes()


def test_a_float_model_with_a_spec(digits_model, digits_calibration, digits_simulation, tmp_path):
    direct = export(digits_model, tmp_path / "direct.tflite", spec="w8a8", calibration=digits_calibration)
    assert direct.sha256 == export(digits_simulation, tmp_path / "via.tflite").sha256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"path": "model.bin"}, "expected a name ending in .tflite"),
        ({"io": "uint8"}, "expected 'float32' or 'int8'"),
        ({"spec": "w8a8"}, "expected a spec for a float model only"),
    ],
)
def test_bad_requests(digits_simulation, tmp_path, arguments, message):
    path = tmp_path / arguments.pop("path", "model.tflite")
    with pytest.raises(InputError, match=message):
        export(digits_simulation, path, **arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_without_ranges_is_not_exported(digits_model, tmp_path):
    with pytest.raises(InputError, match="expected a calibrated simulation"):
        export(quantize_model(digits_model), tmp_path / "model.tflite")


def test_a_free_input_size_is_refused(tmp_path):
    import keras

    inputs = keras.Input((None, None, 3), name="image")
    outputs = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(2, 3)(inputs))
    with pytest.raises(InputError, match="free shape .*--input-shape"):
        export(keras.Model(inputs, outputs), tmp_path / "model.tflite")


def test_an_export_draws_no_progress_bar(tmp_path, capfd):
    inputs = keras.Input((4,))
    x = inputs
    for _ in range(40):  # the bar shows from 100 tensors on
        x = keras.layers.Dense(4)(x)
    data = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    capfd.readouterr()
    export(keras.Model(inputs, x), tmp_path / "deep.tflite", spec="w8a8", calibration=[data])
    said = capfd.readouterr()
    assert "it/s" not in said.out + said.err and "Transformations" not in said.out + said.err


def test_a_tensor_that_no_quantizer_stands_for_is_an_error(tmp_path, monkeypatch):
    def with_another_name(*arguments):
        model = flatbuffer.read(quantize(*arguments))
        next(one for one in model.subgraphs[0].tensors if flatbuffer.text(one.name) == "inner").name = "stranger"
        return flatbuffer.write(model)

    quantize = integers.quantize
    monkeypatch.setattr(integers, "quantize", with_another_name)
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Dense(3, name="inner")(inputs)))
    data = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
    with pytest.raises(ExportError, match="no quantizer of the simulation stands for: .*stranger"):
        export(model, tmp_path / "m.tflite", spec="w8a8", calibration=[data])
    assert list(tmp_path.iterdir()) == []
