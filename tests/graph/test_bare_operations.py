# SPDX-License-Identifier: Apache-2.0
"""Bare operations and Lambda layers: each written out computes the same, and what stays float says why."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from graph.written_out import check_written_out
from lowbit.graph import flatten, is_leaf, lower

LINE, IMAGE, LINES = (6, 4), (3, 6, 4), [(6, 4), (6, 4)]
ROW = np.array([0.5, -1.0, 2.0, 1.5], "float32")
TABLE = np.linspace(-1, 1, 24).reshape(6, 4).astype("float32")
MATRIX = np.linspace(-1, 2, 20).reshape(4, 5).astype("float32")

ARITHMETIC = {
    "x * 2": lambda x: x * 2,
    "2 * x": lambda x: 2 * x,
    "2 - x": lambda x: 2 - x,
    "x - 2": lambda x: x - 2,
    "x / 3": lambda x: x / 3,
    "x ** 2": lambda x: x**2,
    "-x": lambda x: -x,
    "abs": abs,
    "row": lambda x: x * ROW + ROW,
    "row minus x": lambda x: ops.subtract(ROW, x),
    "table": lambda x: x + TABLE,
    "divided by a row": lambda x: x / ROW,
    "square": ops.square,
    "square root": lambda x: ops.sqrt(ops.square(x) + 1.0),
    "power 0.5": lambda x: ops.square(x) ** 0.5,
    "power -0.5": lambda x: (ops.square(x) + 1.0) ** -0.5,
    "reciprocal root": lambda x: ops.rsqrt(ops.square(x) + 1.0),
    "maximum with 0": lambda x: ops.maximum(x, 0),
    "maximum with 0 first": lambda x: ops.maximum(0.0, x),
    "maximum with 0.3": lambda x: ops.maximum(x, 0.3),
    "maximum with a row": lambda x: ops.maximum(x, ROW),
    "minimum with 0.3": lambda x: ops.minimum(x, 0.3),
    "minimum with a row first": lambda x: ops.minimum(ROW, x),
    "clip": lambda x: ops.clip(x, -0.5, 1.0),
    "clip from 0": lambda x: ops.clip(x, 0, 1.0),
    "clip to 6": lambda x: ops.clip(x, 0, 6),
    "mean": lambda x: ops.mean(x, axis=1),
    "mean of all axes": lambda x: ops.mean(x, axis=(1, 2), keepdims=True),
    "mean, negative axis": lambda x: ops.mean(x, axis=-1),
    "sum": lambda x: ops.sum(x, axis=-1),
    "sum, axis kept": lambda x: ops.sum(x, axis=1, keepdims=True),
    "variance": lambda x: ops.var(x, axis=-1),
    "deviation": lambda x: ops.std(x, axis=1, keepdims=True),
    "normalize": lambda x: ops.normalize(x, axis=-1),
    "product with a matrix": lambda x: ops.matmul(x, MATRIX),
    "operator @": lambda x: x @ MATRIX,
    "softmax": ops.softmax,
    "einsum with a matrix": lambda x: ops.einsum("abc,cd->abd", x, MATRIX),
    "softmax over another axis": lambda x: ops.softmax(x, axis=1),
    "silu": ops.silu,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "relu": ops.relu,
    "relu6": ops.relu6,
    "leaky relu": lambda x: ops.leaky_relu(x, 0.1),
    "hard silu": ops.hard_silu,
    "hard sigmoid": ops.hard_sigmoid,
    "hard tanh": ops.hard_tanh,
    "tanh shrink": ops.tanh_shrink,
    "gelu exact": lambda x: ops.gelu(x, approximate=False),
    "gelu approximate": lambda x: ops.gelu(x, approximate=True),
    "layer normalization": lambda x: ops.layer_normalization(x),
    "rms normalization": lambda x: ops.rms_normalization(x),
    "cast": lambda x: ops.cast(x, "float32"),
    "stop gradient": ops.stop_gradient,
    "lambda layer": layers.Lambda(lambda x: ops.relu(x) * 2 + 1),
    "lambda of two steps": layers.Lambda(lambda x: ops.mean(x[:, :3] ** 2, axis=1)),
}  # fmt: skip
MOVING = {
    "x[:, 0]": lambda x: x[:, 0],
    "x[:, -1]": lambda x: x[:, -1],
    "x[..., 1:3]": lambda x: x[..., 1:3],
    "x[:, ::2]": lambda x: x[:, ::2],
    "x[:, 1:-1, -2]": lambda x: x[:, 1:-1, -2],
    "x[:, None]": lambda x: x[:, None],
    "x[..., None]": lambda x: x[..., None],
    "x[:, :, None, 1]": lambda x: x[:, :, None, 1],
    "x[:, 1, ..., 2]": lambda x: x[:, 1, ..., 2],
    "all of x": lambda x: x[:, :],
    "x[:, ...]": lambda x: x[:, ...],
    "split": lambda x: ops.split(x, 2, axis=2),
    "split at positions": lambda x: ops.split(x, [1, 4], axis=2),
    "unstack": lambda x: ops.unstack(x, axis=1),
    "unstack last": lambda x: ops.unstack(x, axis=-1),
    "expand": lambda x: ops.expand_dims(x, 1),
    "expand at two places": lambda x: ops.expand_dims(x, (1, -1)),
    "squeeze": lambda x: ops.squeeze(x[:, 1:2], axis=1),
    "transpose": lambda x: ops.transpose(x, (0, 3, 1, 2)),
    "swap axes": lambda x: ops.swapaxes(x, 1, -1),
    "move axis": lambda x: ops.moveaxis(x, -1, 1),
    "reshape": lambda x: ops.reshape(x, (-1, 18, 4)),
    "reshape by its shape": layers.Lambda(lambda x: ops.reshape(x, (ops.shape(x)[0], 3, 24))),
    "reshape with a free axis": layers.Lambda(lambda x: ops.reshape(x, (-1, ops.shape(x)[1] * 6, 4))),
    "pad": lambda x: ops.pad(x, ((0, 0), (1, 0), (2, 1), (0, 0))),
    "repeat": lambda x: ops.repeat(x, 2, axis=2),
    "max pool": lambda x: ops.max_pool(x, 2),
    "max over the places": lambda x: ops.max(x, axis=(1, 2)),
    "max over the places, kept": lambda x: ops.amax(x, axis=(-2, 1), keepdims=True),
    "average pool": lambda x: ops.average_pool(x, (1, 2), strides=1, padding="same"),
    "resize": lambda x: ops.image.resize(x, (6, 3)),
    "convolution": lambda x: ops.conv(x, np.ones((2, 2, 4, 3), "float32"), padding="same"),
}
SEVERAL = {
    "+": (lambda x, y: x + y, LINES),
    "- with broadcast": (lambda x, y: x - y, [LINE, (1, 4)]),
    "* of lower rank": (lambda x, y: x * y[:, None], [LINE, (4,)]),
    "maximum": (ops.maximum, LINES),
    "minimum": (ops.minimum, LINES),
    "concatenate": (lambda x, y: ops.concatenate([x, y], axis=-1), LINES),
    "concatenate, axis 1": (lambda x, y: ops.concatenate([y, x], axis=1), [LINE, (2, 4)]),
    "append": (lambda x, y: ops.append(x, y, axis=1), LINES),
    "stack": (lambda x, y: ops.stack([x, y], axis=1), LINES),
    "stack last": (lambda x, y: ops.stack([x, y], axis=-1), LINES),
    "product of tensors": (lambda x, y: ops.matmul(x, ops.swapaxes(y, 1, 2)), LINES),
    "product of heads": (ops.matmul, [(2, 3, 4), (2, 4, 5)]),
    "product, broadcast": (ops.matmul, [(1, 3, 4), (2, 4, 5)]),
    "x @ y": (lambda x, y: x @ y, [(3, 4), (4, 5)]),
    "einsum": (lambda x, y: ops.einsum("abc,adc->abd", x, y), LINES),
    "einsum by heads": (lambda x, y: ops.einsum("bqhd,bkhd->bhqk", x, y), [(3, 2, 4), (5, 2, 4)]),
    "einsum over keys": (lambda x, y: ops.einsum("bhqk,bkhd->bqhd", x, y), [(2, 3, 5), (5, 2, 4)]),
    "lambda": (lambda x, y: layers.Lambda(lambda both: both[0] * both[1])([x, y]), LINES),
}
KEPT = {
    "x ** 3": (lambda x: x**3, [LINE], "a power other than"),
    "division of tensors": (lambda x, y: x / (ops.square(y) + 1.0), LINES, "a division"),
    "2 / x": (lambda x: 2 / (ops.square(x) + 1.0), [LINE], "a division"),
    "exp": (ops.exp, [LINE], "no integer form of Exp"),
    "elu": (ops.elu, [LINE], "no integer form of Elu"),
    "softplus": (ops.softplus, [LINE], "no integer form of Softplus"),
    "max over channels": (lambda x: ops.max(x, axis=-1), [LINE], "a maximum over other axes"),
    "max over rows": (lambda x: ops.max(x, axis=1), [IMAGE], "a maximum over other axes"),
    "max above a floor": (lambda x: ops.max(x, axis=1, initial=0.0), [LINE], "a maximum over other axes"),
    "mean over the batch": (lambda x: x + ops.mean(x, axis=0, keepdims=True), [LINE], "batch axis"),
    "masked by -1e9": (lambda x, y: ops.softmax(x + y * -1e9), LINES, "values of a mask"),
    "masked by where": (lambda x, y: ops.relu(ops.where(y > 0, x, -1e9)), LINES, "a mask|no integer form of Greater"),
    "lower rank along the batch": (lambda x, y: x * ops.sum(y, axis=0), [LINE, LINE], "batch axis"),
    "pad with ones": (lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=1), [LINE], "zeros"),
    "pad by mirroring": (lambda x: ops.pad(x, ((0, 0), (1, 0), (0, 0)), mode="reflect"), [LINE], "zeros"),
    "backwards": (lambda x: x[:, ::-1], [LINE], "backwards"),
    "a list of positions": (lambda x: ops.take(x, [2, 0], axis=1), [LINE], "no integer form of Take"),
    "batch axis transposed": (lambda x: ops.transpose(ops.transpose(x)), [LINE], "batch axis"),
    "where": (lambda x, y: ops.where(x > 0, x, y), LINES, "no integer form of"),
    "sum of squared differences": (lambda x, y: ops.logaddexp(x, y), LINES, "no integer form of Logaddexp"),
}  # fmt: skip


@pytest.mark.parametrize("call", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic_written_out_computes_the_same(call):
    check_written_out(call, [LINE])


@pytest.mark.parametrize("call", MOVING.values(), ids=MOVING)
def test_moving_written_out_gives_the_same(call):
    check_written_out(call, [IMAGE])


@pytest.mark.parametrize(("call", "shapes"), SEVERAL.values(), ids=SEVERAL)
def test_several_tensors_written_out_give_the_same(call, shapes):
    check_written_out(call, shapes)


@pytest.mark.parametrize(("call", "shapes", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_float_says_why(call, shapes, reason):
    check_written_out(call, shapes, kept=reason)


@keras.saving.register_keras_serializable("lowbit_tests")
class Scores(layers.Layer):
    """A product with a variable of its own, and a row added to each position."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3))
        self.row = self.add_weight(shape=(1, 1, 3))

    def call(self, x):
        return ops.matmul(x, self.kernel) + self.row


def test_a_constant_for_each_sample_stays_float():
    inputs = keras.Input(LINE)
    steps = lower(flatten(keras.Model(inputs, inputs + np.ones((3, 1, 1), "float32")), is_leaf=is_leaf)).steps
    assert [step.reason for step in steps] == ["an operand that lies along the batch axis of another"]


@keras.saving.register_keras_serializable("lowbit_tests")
class VariablesFirst(layers.Layer):
    """Arithmetic with a variable on the left, which symbolic tensors alone do not allow."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],))
        self.matrix = self.add_weight(shape=(shape[-1], 3))

    def call(self, x):
        return ((self.scale * x) @ self.matrix) + (self.scale - x)[..., :3] + (self.scale + x)[..., 1:]


def test_variables_on_the_left():
    before = keras.Variable.__mul__
    check_written_out(VariablesFirst(), [LINE])
    assert keras.Variable.__mul__ is before


def test_variables_of_a_custom_layer_are_weights_and_operands():
    check_written_out(Scores(), [LINE])
