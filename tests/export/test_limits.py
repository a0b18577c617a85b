# SPDX-License-Identifier: Apache-2.0
"""Numbers that LiteRT cannot take are refused before the file is opened, by the name of the layer."""

import keras
import numpy as np
import pytest

from lowbit.errors import ExportError, FileFormatError
from lowbit.export import export, integers, limits
from lowbit.export.template import template
from lowbit.runtime import check_file, flatbuffer
from lowbit.simulation import calibrate, quantize_model

LAYERS = {
    "conv": lambda x: keras.layers.Conv2D(3, 1, name="wanted")(x),
    "relu6": lambda x: keras.layers.ReLU(6, name="relu")(keras.layers.Conv2D(3, 1, name="wanted")(x)),
    "depthwise": lambda x: keras.layers.DepthwiseConv2D(3, name="wanted")(x),
    "transposed": lambda x: keras.layers.Conv2DTranspose(2, 3, name="wanted")(x),
    "dense": lambda x: keras.layers.Dense(2, name="wanted")(keras.layers.Flatten()(x)),
    "multiply": lambda x: keras.layers.Multiply(name="wanted")([x, keras.layers.MaxPooling2D(1, name="pool")(x)]),
}


def simulated(kind, spec="w8a8"):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3), name="x")
    simulation = quantize_model(keras.Model(inputs, LAYERS[kind](inputs)), spec)
    calibrate(simulation, [np.random.default_rng(0).uniform(-50, 50, (4, 8, 8, 3)).astype("float32")])
    return simulation


def narrowed(kind, output_range):
    """A simulation whose last range is this narrow."""
    simulation = simulated(kind)
    (name,) = [name for name in simulation.quantizers() if name.startswith("wanted")]
    quantizer = simulation.quantizers()[name]
    quantizer.minimum.assign(-output_range / 2)
    quantizer.maximum.assign(output_range / 2)
    return simulation


REACHED = {
    "conv": 0.76589 / 256,
    "relu6": 0.76589 / 256,
    "depthwise": 0.31268 / 256,
    "transposed": 0.27967 / 256,
    "dense": 0.13693 / 256,
}
"""The output range at which one unit of the integers is as many steps of the output as LiteRT opens no more."""


@pytest.mark.parametrize("kind", REACHED)
def test_an_output_too_narrow_for_its_inputs_is_named(kind, tmp_path):
    path = tmp_path / "model.tflite"
    with pytest.raises(ExportError, match=r"layer 'wanted\S*' \(\w+\): received .*; expected less than .*; calibrate"):
        export(narrowed(kind, 0.99 * REACHED[kind]), path)
    assert not path.exists()
    images = np.random.default_rng(1).uniform(-50, 50, (2, 8, 8, 3)).astype("float32")
    result = export(narrowed(kind, 1.01 * REACHED[kind]), path, parity=[images], least_agreement=None)
    assert result.parity.worst_equal == 1.0


def test_what_litert_refuses_by_number_is_named(tmp_path):
    simulation = simulated("conv", "w8a16")  # which XNNPACK leaves to LiteRT
    model = flatbuffer.read(integers.quantize(template(simulation), simulation, "float32"))
    (kernel,) = (one for one in model.subgraphs[0].tensors if flatbuffer.text(one.name) == "wanted/kernel")
    kernel.shape = np.array([3, 1, 1, 2], "int32")  # for two channels, where the input has three
    flatbuffer.set_constant(model, kernel, np.ones(6, "int8"))
    content = flatbuffer.write(model)
    path = tmp_path / "model.tflite"
    path.write_bytes(content)
    with pytest.raises(FileFormatError) as refused:
        check_file(path)
    assert "'wanted' (CONV_2D)" in str(limits.named(content, refused.value))


def test_products_that_overflow_are_told(tmp_path):
    with pytest.warns(UserWarning, match="layer 'wanted' .MUL.: received .* overflows; calibrate"):
        export(narrowed("multiply", 1e-3), tmp_path / "model.tflite")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_and_ranges_that_are_not_finite_are_named(value, tmp_path):
    simulation = simulated("conv", "w8a16")  # which XNNPACK leaves to LiteRT
    kernel = simulation.get_layer("wanted").layer.kernel
    before = kernel.numpy()
    kernel.assign(np.where(before == before.max(), value, before))
    with pytest.raises(ExportError, match=r"layer 'wanted': received kernel with 1 of 9 values .*; expected finite"):
        export(simulation, tmp_path / "model.tflite")
    kernel.assign(before)
    simulation.quantizers()["wanted"].maximum.assign(value)
    with pytest.raises(ExportError, match=r"layer 'wanted': received a range of scale (nan|inf); expected finite"):
        export(simulation, tmp_path / "model.tflite")
