# SPDX-License-Identifier: Apache-2.0
"""The file computes the simulation's integers: every code of every tensor, run by the real interpreter."""

import keras
import numpy as np
import pytest

from lowbit.card import card_path
from lowbit.export import export, parity
from lowbit.runtime import flatbuffer
from lowbit.simulation import calibrate, quantize_model


@pytest.mark.parametrize("io", ["float32", "int8"])
@pytest.mark.parametrize("spec", ["w8a8", "w4a8"])
def test_every_code_is_equal(every_layer, images, tmp_path, spec, io):
    simulation = quantize_model(every_layer, spec, calibration=[images])
    result = export(simulation, tmp_path / "model.tflite", io=io, parity=[images]).parity
    unequal = [(tensor.name, tensor.op, tensor.equal) for tensor in result.per_tensor if tensor.equal < 1]
    assert unequal == []
    assert result.missing == ()
    assert (result.top1_agreement, result.output_max_codes) == (1.0, 0)
    assert result.tensors == 22  # the padded one is inside a convolution
    assert {tensor.op for tensor in result.per_tensor} >= {
        *("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "ADD", "MUL", "MEAN", "MAX_POOL_2D"),
        *("AVERAGE_POOL_2D", "LOGISTIC", "TANH", "SOFTMAX", "RESHAPE"),
    }


@pytest.mark.parametrize("io", ["float32", "int8"])
def test_inputs_next_to_a_half_get_the_files_codes(tmp_path, io):
    inputs = keras.Input((2048,), name="x")
    simulation = quantize_model(keras.Model(inputs, keras.layers.Dense(1, name="dense")(inputs)))
    generator = np.random.default_rng(0)
    calibrate(simulation, [generator.uniform(-0.95, 1.1, (4, 2048)).astype("float32")])
    scale = float(simulation.quantizers()["x_quantized"].parameters()[0])
    halves = (generator.integers(-280, 280, (8, 2048)) / 2 * scale).astype("float32")
    nudged = np.nextafter(halves, generator.choice([-9, 9], halves.shape).astype("float32"))
    result = export(simulation, tmp_path / "model.tflite", io=io, parity=[halves, nudged]).parity
    assert result.worst_equal == 1.0
    compiled = simulation.predict(nudged, verbose=0)
    assert np.array_equal(compiled, np.asarray(simulation(nudged, training=False)))


def test_sixteen_bit_activations_are_close(every_layer, images, tmp_path):
    simulation = quantize_model(every_layer, "w8a16", calibration=[images])
    result = export(simulation, tmp_path / "model.tflite", parity=[images]).parity
    assert result.missing == ()
    assert result.top1_agreement >= 0.98
    assert result.output_max_codes < 2**15 * 0.01


def test_a_trained_model_on_digits(digits, digits_simulation, tmp_path):
    result = export(digits_simulation, tmp_path / "digits.tflite", parity=digits.test.batches(64)).parity
    assert (result.worst_equal, result.missing) == (1.0, ())
    assert result.tensors == 10
    assert min(tensor.distinct_codes for tensor in result.per_tensor) > 10


def test_real_weights_on_real_images(test_data, tmp_path):
    from lowbit.data import load_dataset
    from lowbit.zoo import load_model

    data = load_dataset(str(test_data / "deepweeds-128"), image_size=128, preprocess="-1..1")
    weights = str(test_data / "weights" / "mobilenet_v2_0.35_224_no_top.h5")
    arguments = {"alpha": "0.35", "weights": weights}
    model = load_model("mobilenet_v2", inputs=data.inputs, classes=9, model_args=arguments).model
    simulation = quantize_model(model, calibration=data.calibration(64).batches(32))
    result = export(simulation, tmp_path / "weeds.tflite", parity=data.test.batches(32, limit=32)).parity
    assert (result.worst_equal, result.missing, result.top1_agreement) == (1.0, (), 1.0)
    assert result.tensors >= 66


def test_a_changed_code_is_noticed(digits, digits_simulation, tmp_path):
    path = tmp_path / "digits.tflite"
    export(digits_simulation, path, keep_names=True)
    model = flatbuffer.read(path.read_bytes())
    (kernel,) = (t for t in model.subgraphs[0].tensors if flatbuffer.text(t.name) == "down_conv/kernel")
    codes = flatbuffer.constant(model, kernel, "int8").copy()
    flatbuffer.set_constant(model, kernel, np.where(codes == codes.max(), codes - 40, codes).astype("int8"))
    path.write_bytes(flatbuffer.write(model))
    card_path(path).unlink()
    result = parity(digits_simulation, path, digits.test.batches(64))
    assert result.worst_equal < 1
    assert {tensor.name for tensor in result.per_tensor if tensor.equal == 1} >= {"image_quantized", "stem_conv"}


def test_a_float_layer_is_bridged(images, tmp_path):
    inputs = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, name="before")(inputs)
    x = keras.layers.ELU(name="elu")(x)
    x = keras.layers.Conv2D(4, 3, name="after")(x)
    outputs = keras.layers.Flatten(name="flat")(x)
    simulation = quantize_model(keras.Model(inputs, outputs), calibration=[images / 255])
    result = export(simulation, tmp_path / "model.tflite", parity=[images / 255]).parity
    by_name = {tensor.name: tensor for tensor in result.per_tensor}
    assert by_name["before"].equal == 1.0
    assert by_name["elu_quantized"].within_one == 1.0
    operators = flatbuffer.read((tmp_path / "model.tflite").read_bytes())
    assert "ELU" in {flatbuffer.op_name(operators, op) for op in operators.subgraphs[0].operators}


def test_a_tensor_times_itself_is_a_square_of_its_own_rounding(tmp_path):
    inputs = keras.Input((40, 40, 8), name="x")
    y = keras.layers.Conv2D(8, 1, name="conv")(inputs)
    square = keras.layers.Multiply(name="square")([y, y])
    z = keras.layers.Conv2D(8, 1, name="conv_2")(inputs)
    dropped = keras.layers.Multiply(name="dropped")([z, keras.layers.Dropout(0.5, name="dropout")(z)])
    product = keras.layers.Multiply(name="product")([inputs, y])
    simulation = quantize_model(keras.Model(inputs, [square, dropped, product]), "w8a8")
    samples = np.random.default_rng(0).normal(size=(4, 40, 40, 8)).astype("float32")
    calibrate(simulation, [samples])
    simulation.save(tmp_path / "simulation.keras")
    simulation = keras.models.load_model(tmp_path / "simulation.keras")
    twice = {layer.name: layer.takes_one_tensor_twice() for layer, _, _ in simulation.graph()}
    assert [twice[name] for name in ("square", "dropped", "product")] == [True, True, False]
    result = export(simulation, tmp_path / "model.tflite", parity=[samples]).parity
    assert (result.worst_equal, result.missing) == (1.0, ())


@pytest.mark.parametrize(
    ("size", "strides", "padding", "channels"),
    [(2, 3, "same", 4), (1, 2, "same", 21), ((1, 3), 2, "same", 8), (2, 4, "valid", 12), (3, 2, "same", 12)],
    ids=str,
)
def test_transposed_convolutions_with_strides_beyond_the_kernel(size, strides, padding, channels, tmp_path):
    """The first three run in LiteRT's built-in kernel, eight channels at a time, the others in XNNPACK."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="image")
    layer = keras.layers.Conv2DTranspose(channels, size, strides=strides, padding=padding, bias_initializer="normal")
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    simulation = quantize_model(keras.Model(inputs, layer(inputs)), calibration=[images])
    assert export(simulation, tmp_path / "model.tflite", parity=[images]).parity.worst_equal == 1.0
