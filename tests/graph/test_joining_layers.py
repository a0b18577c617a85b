# SPDX-License-Identifier: Apache-2.0
"""Layers of several inputs: each written out computes the same, and what stays float says why."""

import keras
import pytest
from keras import layers

from graph.written_out import check_written_out
from lowbit.errors import UnsupportedError

LINE, OTHER, IMAGE = (6, 4), (5, 4), (3, 6, 4)


def joined(layer):
    return lambda *tensors: layer(list(tensors))


CASES = {
    **{
        f"{kind.__name__}, {words}": (joined(kind()), shapes)
        for kind in (layers.Add, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum)
        for words, shapes in {
            "2 inputs": [LINE, LINE],
            "3 inputs": [LINE, LINE, LINE],
            "broadcast": [LINE, (1, 4)],
            "lower rank": [LINE, (4,)],
            "lower rank first": [(4,), IMAGE],
        }.items()
    },
    "subtract": (joined(layers.Subtract()), [LINE, LINE]),
    "subtract, broadcast": (joined(layers.Subtract()), [(1, 4), LINE]),
    "subtract, lower rank": (joined(layers.Subtract()), [(4,), LINE]),
    "add of one tensor to itself": (lambda x: layers.Add()([x, x]), [LINE]),
    "concatenate": (joined(layers.Concatenate()), [LINE, (6, 2), LINE]),
    "concatenate, axis 1": (joined(layers.Concatenate(axis=1)), [LINE, OTHER]),
    "concatenate, axis -2": (joined(layers.Concatenate(axis=-2)), [LINE, OTHER]),
    "concatenate a tensor with itself": (lambda x: layers.Concatenate()([x, x]), [LINE]),
    "dot of lines": (joined(layers.Dot(1)), [(4,), (4,)]),
    "dot of lines, normalized": (joined(layers.Dot(-1, normalize=True)), [(4,), (4,)]),
    "dot of matrices, last axes": (joined(layers.Dot(2)), [LINE, OTHER]),
    "dot of matrices, first axes": (joined(layers.Dot(1)), [LINE, (6, 3)]),
    "dot of matrices, inner axes": (joined(layers.Dot((2, 1))), [LINE, (4, 3)]),
    "dot of matrices, outer axes": (joined(layers.Dot((1, 2))), [LINE, (3, 6)]),
    "dot of matrices, normalized": (joined(layers.Dot((2, 1), normalize=True)), [LINE, (4, 3)]),
    "dot of ranks 2 and 3": (joined(layers.Dot((1, 2))), [(4,), LINE]),
    "dot over outer axes of images": (joined(layers.Dot(1)), [IMAGE, IMAGE]),
    "dot over inner axes of images": (joined(layers.Dot((3, 3))), [IMAGE, IMAGE]),
    "self attention": (lambda x: layers.MultiHeadAttention(2, 3)(x, x), [LINE]),
    "cross attention": (lambda x, y: layers.MultiHeadAttention(2, 3)(x, y), [LINE, OTHER]),
    "attention with keys of their own": (
        lambda x, y, z: layers.MultiHeadAttention(2, 3, value_dim=5, output_shape=7)(x, y, z), [LINE, OTHER, (5, 3)]),
    "attention, no bias": (lambda x: layers.MultiHeadAttention(1, 4, use_bias=False)(x, x), [LINE]),
    "attention over images": (
        lambda x: layers.MultiHeadAttention(2, 3, attention_axes=(2,))(x, x), [IMAGE]),
    "attention without its fused form": (
        lambda x: layers.MultiHeadAttention(2, 3, flash_attention=False)(x, x), [LINE]),
    "grouped queries": (lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x), [LINE]),
    "grouped queries, cross": (lambda x, y: layers.GroupQueryAttention(3, 4, 1)(x, y), [LINE, OTHER]),
    "plain attention": (joined(layers.Attention()), [LINE, OTHER]),
    "plain attention, scaled": (joined(layers.Attention(use_scale=True)), [LINE, OTHER, OTHER]),
    "additive attention": (joined(layers.AdditiveAttention()), [LINE, OTHER]),
    "plain attention of concatenated scores": (joined(layers.Attention(score_mode="concat")), [LINE, OTHER]),
    "attention and its scores": (
        lambda x: layers.MultiHeadAttention(2, 3)(x, x, return_attention_scores=True), [LINE]),
    "plain attention and its scores": (
        lambda x, y: layers.Attention()([x, y], return_attention_scores=True), [LINE, OTHER]),
}  # fmt: skip

KEPT = {
    "attention over whole images": (
        lambda x: layers.MultiHeadAttention(2, 3)(x, x), [IMAGE], "of more than 5 axes"),
    "causal attention": (lambda x: layers.MultiHeadAttention(2, 3)(x, x, use_causal_mask=True), [LINE], "mask"),
    "causal plain attention": (
        lambda x: layers.Attention()([x, x], use_causal_mask=True), [LINE], "values of a mask|no integer form|a cast"),
    "causal grouped queries": (
        lambda x: layers.GroupQueryAttention(4, 4, 2)(x, x, use_causal_mask=True), [LINE], "mask"),
    "attention under a given mask": (
        lambda x, y: layers.MultiHeadAttention(2, 3)(x, x, attention_mask=y), [LINE, (6, 6)],
        "a cast to bool|under a mask"),
    "plain attention under a given mask": (
        lambda x, y: layers.Attention()([x, x], mask=[y > 0, y > 0]), [LINE, (6,)],
        "values of a mask|no integer form|a cast"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "shapes"), CASES.values(), ids=CASES)
def test_written_out_it_computes_the_same(call, shapes):
    check_written_out(call, shapes)


@pytest.mark.parametrize(("call", "shapes", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_float_says_why(call, shapes, reason):
    check_written_out(call, shapes, kept=reason)


@keras.saving.register_keras_serializable("lowbit_tests")
class Mixer(layers.Layer):
    """Attention, a sequential model and a layer of one's own in one layer."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.attention = layers.MultiHeadAttention(2, 3)
        self.inner = keras.Sequential([layers.Dense(8, activation="gelu"), layers.Dropout(0.1), layers.Dense(4)])

    def build(self, shape):
        self.attention.build(shape, shape)
        self.inner.build(shape)

    def call(self, x):
        x = x + self.attention(x, x)
        return x + self.inner(x), x[:, 0]


def test_layers_made_of_others_are_written_out_whole():
    check_written_out(lambda x: Mixer()(x), [LINE])


def test_a_float_layer_of_several_outputs_is_refused_by_name():
    with pytest.raises(UnsupportedError, match=r"'lstm' \(LSTM\) with 3 outputs that are used, kept float"):
        check_written_out(lambda x: layers.LSTM(3, return_state=True, name="lstm")(x), [LINE])
