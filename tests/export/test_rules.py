# SPDX-License-Identifier: Apache-2.0
"""Rules for single layers, read back from the file's own tensors."""

import keras
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import TensorType
from keras import layers

from lowbit import Rule
from lowbit.errors import InputError, UnsupportedError
from lowbit.export import export
from lowbit.runtime import flatbuffer
from lowbit.simulation import fates, quantize_model


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Gains of both signs, so that one scale for a kernel differs from folding after it."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((12, 12, 3), name="image")
    x = layers.Conv2D(8, 3, activation="relu", name="first")(inputs)
    x = layers.BatchNormalization(name="wide_norm")(layers.DepthwiseConv2D(3, name="wide")(x))
    x = layers.DepthwiseConv2D(3, name="narrow")(x)
    x = layers.BatchNormalization(name="middle_norm")(layers.Conv2D(8, 3, name="middle")(x))
    x = layers.Conv2D(8, 1, name="block")(x)
    made = keras.Model(inputs, layers.Dense(10, name="last")(layers.Flatten()(x)))
    generator = np.random.default_rng(4)
    for weight in made.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            low = -1.0 if weight.path.endswith("gamma") else 0.1
            weight.assign(generator.uniform(low, 2.0, weight.shape))
    return made


RULES = [
    Rule(match="*", weights=4),
    Rule(match=lambda layer: layer.name in ("first", "last"), weights=8),
    Rule(match="wide", weights=8, per_channel=False),
    Rule(match="middle", per_channel=False),
    Rule(match="block", keep_float=True),
]


def test_the_files_own_dtypes_and_every_code(model, tmp_path):
    data = np.random.default_rng(0).normal(size=(32, 12, 12, 3)).astype("float32")
    simulation = quantize_model(model, rules=RULES, calibration=[data])
    result = export(simulation, tmp_path / "ruled.tflite", parity=[data], keep_names=True).parity
    content = flatbuffer.read((tmp_path / "ruled.tflite").read_bytes())
    kernels = {
        flatbuffer.text(tensor.name).removesuffix("/kernel"): (tensor.type, len(tensor.quantization.scale))
        for tensor in content.subgraphs[0].tensors
        if flatbuffer.text(tensor.name).endswith("/kernel")
    }
    assert kernels == {
        "first": (TensorType.INT8, 8),
        "wide": (TensorType.INT8, 1),
        "narrow": (TensorType.INT4, 8),
        "middle": (TensorType.INT4, 1),
        "last": (TensorType.INT8, 10),
    }
    assert [fate.layer for fate in fates(simulation) if fate.fate == "kept float"] == ["block"]
    assert [tensor.name for tensor in result.per_tensor if tensor.equal < 1] == []
    assert (result.missing, result.top1_agreement) == ((), 1.0)


def test_symmetric_activations_have_zero_point_0(model, tmp_path):
    data = np.random.default_rng(0).uniform(0, 1, (32, 12, 12, 3)).astype("float32")
    simulation = quantize_model(model, rules=[Rule(match="middle", symmetric=True)], calibration=[data])
    zero_points = {name: int(quantizer.parameters()[1]) for name, quantizer in simulation.quantizers().items()}
    assert zero_points["middle"] == 0
    assert zero_points["first"] == -128
    assert export(simulation, tmp_path / "symmetric.tflite", parity=[data]).parity.worst_equal == 1.0


def test_what_cannot_be_is_refused_and_what_matches_nothing_names_the_nearest(model):
    with pytest.raises(InputError, match="midle.*middle"):
        quantize_model(model, rules=[Rule(match="midle", weights=4)])
    assert quantize_model(model, rules=[Rule(match="*", activations=16)]).spec.name == "w8a16"
    inputs = keras.Input((4, 4, 3))
    up = keras.Model(inputs, layers.Conv2DTranspose(2, 3, name="up")(inputs))
    with pytest.raises(UnsupportedError, match="4-bit weights for the transposed convolution 'up'"):
        quantize_model(up, rules=[Rule(match="up", weights=4)])


@pytest.mark.parametrize(
    ("rules", "dtype", "zero_point"),
    [
        ([Rule(match="act", activations=16)], TensorType.INT16, 0),
        ([Rule(match="*", activations=16), Rule(match="act", activations=8)], TensorType.INT8, -128),
        ([Rule(match="act", symmetric=True)], TensorType.INT8, 0),
        ([Rule(match="act", activations=16), Rule(match="conv", activations=8)], TensorType.INT8, -128),
    ],
    ids=str,
)
def test_what_is_fused_has_the_output_of_the_latest_rule(rules, dtype, zero_point, tmp_path):
    """The convolution's output is the activation's: one tensor of the file."""
    inputs = keras.Input((8, 8, 3), name="image")
    x = layers.Activation("relu", name="act")(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(3, name="head")(layers.Flatten()(x)))
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype("float32")
    simulation = quantize_model(model, rules=rules, calibration=[images])
    content = export(simulation, tmp_path / "m.tflite", parity=[images], keep_names=True).path.read_bytes()
    tensors = {flatbuffer.text(one.name): one for one in flatbuffer.read(content).subgraphs[0].tensors}
    found = tensors["conv"]
    assert (found.type, int(found.quantization.zeroPoint[0])) == (dtype, zero_point)
