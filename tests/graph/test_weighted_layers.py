# SPDX-License-Identifier: Apache-2.0
"""Layers with weights: each written out computes the same, and what stays float says why."""

import pytest
from keras import layers

from graph.written_out import check_written_out

LINE, IMAGE = (9, 4), (6, 7, 4)

CASES = {
    "conv 1d same": (layers.Conv1D(3, 3, padding="same"), LINE),
    "conv 1d valid, strides": (layers.Conv1D(3, 3, strides=2), LINE),
    "conv 1d same, strides": (layers.Conv1D(3, 4, strides=2, padding="same"), LINE),
    "conv 1d causal": (layers.Conv1D(3, 3, padding="causal", activation="relu"), LINE),
    "conv 1d causal, dilated": (layers.Conv1D(3, 3, padding="causal", dilation_rate=2), LINE),
    "conv 1d causal, strides": (layers.Conv1D(3, 3, padding="causal", strides=2), LINE),
    "conv 1d dilated": (layers.Conv1D(3, 3, dilation_rate=3), LINE),
    "conv 1d groups": (layers.Conv1D(4, 3, groups=2), LINE),
    "conv 1d without bias": (layers.Conv1D(3, 1, use_bias=False), LINE),
    "conv 2d valid": (layers.Conv2D(3, (2, 3)), IMAGE),
    "conv 2d same, strides": (layers.Conv2D(3, 3, strides=2, padding="same"), IMAGE),
    "conv 2d dilated": (layers.Conv2D(3, 3, dilation_rate=2), IMAGE),
    "conv 2d dilated, same": (layers.Conv2D(3, 3, dilation_rate=(1, 2), padding="same"), IMAGE),
    "conv 2d groups": (layers.Conv2D(6, 3, groups=2, activation="relu6"), IMAGE),
    "transposed valid": (layers.Conv2DTranspose(3, 3), IMAGE),
    "transposed same": (layers.Conv2DTranspose(3, 3, padding="same", activation="relu"), IMAGE),
    "transposed valid, strides": (layers.Conv2DTranspose(3, 3, strides=2), IMAGE),
    "transposed same, strides": (layers.Conv2DTranspose(3, 3, strides=2, padding="same"), IMAGE),
    "transposed with output padding": (layers.Conv2DTranspose(3, 3, strides=2, output_padding=1), IMAGE),
    "transposed 1x1, strides": (layers.Conv2DTranspose(3, 1, strides=2), IMAGE),
    "depthwise 1d": (layers.DepthwiseConv1D(3, depth_multiplier=2), LINE),
    "depthwise 1d same, strides": (layers.DepthwiseConv1D(3, strides=2, padding="same"), LINE),
    "depthwise 1d dilated": (layers.DepthwiseConv1D(3, dilation_rate=2), LINE),
    "depthwise 2d": (layers.DepthwiseConv2D(3, depth_multiplier=2), IMAGE),
    "depthwise 2d same, strides": (layers.DepthwiseConv2D(3, strides=2, padding="same", activation="silu"), IMAGE),
    "depthwise 2d dilated": (layers.DepthwiseConv2D(3, dilation_rate=2, padding="same"), IMAGE),
    "separable 1d": (layers.SeparableConv1D(3, 3, depth_multiplier=2, activation="relu"), LINE),
    "separable 1d same, strides": (layers.SeparableConv1D(3, 3, strides=2, padding="same"), LINE),
    "separable 2d": (layers.SeparableConv2D(3, 3, depth_multiplier=2, use_bias=False), IMAGE),
    "separable 2d same, strides": (layers.SeparableConv2D(3, 3, strides=2, padding="same"), IMAGE),
    "separable 2d dilated": (layers.SeparableConv2D(3, 3, dilation_rate=2), IMAGE),
    "dense": (layers.Dense(3, activation="softmax"), (5,)),
    "dense, 3 axes": (layers.Dense(3), LINE),
    "dense, 4 axes": (layers.Dense(3, use_bias=False, activation="gelu"), IMAGE),
    "einsum last": (layers.EinsumDense("ab,bc->ac", 3, bias_axes="c"), (5,)),
    "einsum sequence": (layers.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d", activation="relu"), LINE),
    "einsum heads": (layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de"), LINE),
    "einsum joins heads": (layers.EinsumDense("abcd,cde->abe", (None, 3), bias_axes="e"), IMAGE),
    "einsum ellipsis": (layers.EinsumDense("...x,xy->...y", 3, bias_axes="y"), IMAGE),
    "einsum without bias": (layers.EinsumDense("abc,dc->abd", (None, 3)), LINE),
    "einsum bias over one of two": (layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="e"), LINE),
    "einsum bias over the other": (layers.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="d"), LINE),
    "embedding": (layers.Embedding(6, 3), ((4,), "int32")),
    "embedding, 2 axes": (layers.Embedding(6, 3), ((4, 2), "int32")),
}

KEPT = {
    "conv 1d channels first": (layers.Conv1D(3, 3, data_format="channels_first"), LINE, "channels first"),
    "conv 3d": (layers.Conv3D(2, 2), (3, 4, 4, 2), "no integer form of Conv3D"),
    "conv 1d transposed": (layers.Conv1DTranspose(2, 3), LINE, "no integer form of Conv1DTranspose"),
    "transposed dilated": (layers.Conv2DTranspose(3, 3, dilation_rate=2), IMAGE, "dilated"),
    "einsum over a middle axis": (layers.EinsumDense("abc,bd->adc", (3, 4)), LINE, "the product 'abc,bd->adc'"),
    "einsum with batched kernel": (layers.EinsumDense("abc,bcd->abd", (9, 3)), LINE, "the product"),
    "lstm": (layers.LSTM(3), LINE, "no integer form of LSTM"),
    "gru sequences": (layers.GRU(3, return_sequences=True), LINE, "no integer form of GRU"),
    "bidirectional": (layers.Bidirectional(layers.LSTM(3)), LINE, "no integer form of Bidirectional"),
}


@pytest.mark.parametrize(("layer", "shape"), CASES.values(), ids=CASES)
def test_written_out_it_computes_the_same(layer, shape):
    check_written_out(layer, [shape])


@pytest.mark.parametrize(("layer", "shape", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_float_says_why(layer, shape, reason):
    check_written_out(layer, [shape], kept=reason)
