# SPDX-License-Identifier: Apache-2.0
"""Normalizations, activations and rescalings: each written out computes the same, and what stays float says why."""

import keras
import numpy as np
import pytest
from keras import layers

from graph.written_out import check_written_out

LINE, IMAGE = (8, 4), (3, 5, 4)
MEANS, VARIANCES = [0.1, -2.0, 3.0, 0.0], [1.0, 0.25, 4.0, 9.0]


def adapted(**settings):
    layer = layers.Normalization(**settings)
    layer.adapt(np.random.default_rng(1).normal(2, 3, (20, *IMAGE)).astype("float32"))
    return layer


CASES = {
    "batch norm": (layers.BatchNormalization(), IMAGE),
    "batch norm, plain": (layers.BatchNormalization(scale=False, center=False), (6,)),
    "batch norm, last axis by number": (layers.BatchNormalization(axis=3), IMAGE),
    "batch norm, renormalized": (layers.BatchNormalization(renorm=True), IMAGE),
    "layer norm": (layers.LayerNormalization(), LINE),
    "layer norm, large epsilon": (layers.LayerNormalization(epsilon=0.5), LINE),
    "layer norm, several axes": (layers.LayerNormalization(axis=(1, 2)), LINE),
    "layer norm, middle axis": (layers.LayerNormalization(axis=1), IMAGE),
    "layer norm, outer axes": (layers.LayerNormalization(axis=(1, 3)), IMAGE),
    "layer norm, axes in turn": (layers.LayerNormalization(axis=(3, 1)), (2, 3, 4)),
    "layer norm, no scale": (layers.LayerNormalization(scale=False), LINE),
    "layer norm, no center": (layers.LayerNormalization(center=False), LINE),
    "rms norm": (layers.RMSNormalization(), LINE),
    "rms norm, several axes": (layers.RMSNormalization(axis=(1, 2)), LINE),
    "group norm": (layers.GroupNormalization(2), IMAGE),
    "group norm, each channel": (layers.GroupNormalization(-1, epsilon=0.1), LINE),
    "group norm, plain": (layers.GroupNormalization(1, scale=False, center=False), IMAGE),
    "group norm, one axis": (layers.GroupNormalization(2), (6,)),
    "unit norm": (layers.UnitNormalization(), LINE),
    "unit norm, several axes": (layers.UnitNormalization(axis=(1, 2)), LINE),
    "rescaling": (layers.Rescaling(1 / 127.5, offset=-1), IMAGE),
    "rescaling by 1": (layers.Rescaling(1.0), IMAGE),
    "rescaling by channel": (layers.Rescaling([1.0, 2, 3, 4], offset=[0.0, 1, 2, 3]), IMAGE),
    "normalization, adapted": (adapted(), IMAGE),
    "normalization, adapted, inverted": (adapted(invert=True), IMAGE),
    "normalization, one for all": (adapted(axis=None), IMAGE),
    "normalization, given": (layers.Normalization(mean=MEANS, variance=VARIANCES), IMAGE),
    "normalization, given, inverted": (layers.Normalization(mean=3.0, variance=4.0, invert=True), IMAGE),
    "normalization over an outer axis": (adapted(axis=1), IMAGE),
    "normalization over two axes": (adapted(axis=(1, 3)), IMAGE),
    "relu layer": (layers.ReLU(), LINE),
    "relu layer, maximum": (layers.ReLU(1.5), LINE),
    "relu layer, 6": (layers.ReLU(6), LINE),
    "relu layer, slope": (layers.ReLU(negative_slope=0.2), LINE),
    "leaky relu layer": (layers.LeakyReLU(0.1), LINE),
    "prelu layer": (layers.PReLU(), LINE),
    "prelu layer, shared": (layers.PReLU(shared_axes=[1, 2]), IMAGE),
    "softmax layer": (layers.Softmax(), LINE),
    "softmax over another axis": (layers.Softmax(axis=1), IMAGE),
    "softmax over two axes": (layers.Softmax(axis=(1, 2)), IMAGE),
    "softmax over outer axes": (layers.Softmax(axis=(1, 3)), IMAGE),
}

KEPT = {
    "elu layer": (layers.ELU(), LINE, "no integer form of ELU"),
    "relu layer, threshold": (layers.ReLU(threshold=1.0), LINE, "threshold"),
    "relu layer, slope and maximum": (layers.ReLU(2.0, negative_slope=0.1), LINE, "leaky ReLU with a maximum"),
    "batch norm over another axis": (layers.BatchNormalization(axis=1), IMAGE, "another axis"),
    "group norm over another axis": (layers.GroupNormalization(1, axis=1), IMAGE, "another axis"),
    "spectral norm": (layers.SpectralNormalization(layers.Dense(3)), LINE, "no integer form of SpectralNormalization"),
}

FUNCTIONS = sorted(
    name
    for name, function in vars(keras.activations).items()
    if callable(function) and not isinstance(function, type) and name not in ("get", "serialize", "deserialize")
)
FLOAT_FUNCTIONS = (
    *("celu", "elu", "selu", "exponential", "glu", "hard_shrink", "log_sigmoid", "log_softmax", "mish", "softplus"),
    *("soft_shrink", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax", "squareplus", "threshold"),
)


@pytest.mark.parametrize(("layer", "shape"), CASES.values(), ids=CASES)
def test_written_out_it_computes_the_same(layer, shape):
    check_written_out(layer, [shape])


@pytest.mark.parametrize(("layer", "shape", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_float_says_why(layer, shape, reason):
    check_written_out(layer, [shape], kept=reason)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_activation_function_of_keras(name):
    arguments = (1.0, 0.0) if name == "threshold" else ()
    function = getattr(keras.activations, name)
    if arguments:
        pytest.skip("needs arguments, so no layer can take it")
    kept = f"activation '{name}' has no integer form" if name in FLOAT_FUNCTIONS else ""
    check_written_out(layers.Activation(function), [LINE], kept=kept)
    if name != "glu":
        check_written_out(layers.Dense(4, activation=function), [LINE], kept=kept)


@keras.saving.register_keras_serializable("lowbit_tests")
def tripled(x):
    return x * 3


def test_a_function_of_ones_own_stays_float():
    check_written_out(layers.Dense(3, activation=tripled), [LINE], kept="activation 'tripled' has no integer form")


def test_a_dense_layer_stays_quantized_where_its_activation_is_float():
    simulation = check_written_out(layers.Dense(3, activation="elu", name="hidden"), [LINE], kept="'elu'")
    assert [type(layer).__name__ for layer in simulation.simulated_layers()] == [
        "QuantizeInput",
        "QuantizedDense",
        "KeptFloat",
    ]
