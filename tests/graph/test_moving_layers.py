# SPDX-License-Identifier: Apache-2.0
"""Layers that move, pool, pad or resize: each written out computes the same, and what stays float says why."""

import pytest
from keras import layers

from graph.written_out import check_written_out

LINE, IMAGE, VOLUME = (8, 4), (6, 8, 4), (2, 4, 6, 3)

CASES = {
    "resizing nearest": (layers.Resizing(4, 12, interpolation="nearest"), IMAGE),
    "resizing bilinear": (layers.Resizing(9, 5), IMAGE),
    "zero padding 1d": (layers.ZeroPadding1D((1, 2)), LINE),
    "zero padding 2d": (layers.ZeroPadding2D(((1, 0), (2, 3))), IMAGE),
    "zero padding 3d": (layers.ZeroPadding3D(1), VOLUME),
    "cropping 1d": (layers.Cropping1D((1, 2)), LINE),
    "cropping 2d": (layers.Cropping2D(((1, 0), (2, 3))), IMAGE),
    "cropping 3d": (layers.Cropping3D(((0, 1), (1, 1), (2, 0))), VOLUME),
    "up-sampling 1d": (layers.UpSampling1D(3), LINE),
    "up-sampling 2d nearest": (layers.UpSampling2D((2, 3)), IMAGE),
    "up-sampling 2d bilinear": (layers.UpSampling2D(2, interpolation="bilinear"), IMAGE),
    "reshape": (layers.Reshape((-1, 6)), IMAGE),
    "reshape to more axes": (layers.Reshape((2, -1, 2)), LINE),
    "reshape to one axis": (layers.Reshape((-1,)), LINE),
    "reshape of one axis": (layers.Reshape((1, 1, 6)), (6,)),
    "permute": (layers.Permute((3, 1, 2)), IMAGE),
    "flatten": (layers.Flatten(), IMAGE),
    "flatten one axis": (layers.Flatten(), (6,)),
    "repeat vector": (layers.RepeatVector(3), (6,)),
    "max 1d": (layers.MaxPooling1D(2), LINE),
    "max 1d same": (layers.MaxPooling1D(3, strides=2, padding="same"), LINE),
    "max 2d": (layers.MaxPooling2D((2, 3)), IMAGE),
    "max 2d same": (layers.MaxPooling2D(3, strides=2, padding="same"), IMAGE),
    "average 1d": (layers.AveragePooling1D(3, strides=1), LINE),
    "average 1d same": (layers.AveragePooling1D(3, strides=2, padding="same"), LINE),
    "average 2d": (layers.AveragePooling2D((2, 3)), IMAGE),
    "average 2d same": (layers.AveragePooling2D(3, strides=(2, 1), padding="same"), IMAGE),
    "global average 1d": (layers.GlobalAveragePooling1D(), LINE),
    "global average 2d": (layers.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "global average 3d": (layers.GlobalAveragePooling3D(), VOLUME),
    "global max 1d": (layers.GlobalMaxPooling1D(keepdims=True), LINE),
    "global max 2d": (layers.GlobalMaxPooling2D(), IMAGE),
    "global max 2d, axes kept": (layers.GlobalMaxPooling2D(keepdims=True), IMAGE),
    "global max 3d": (layers.GlobalMaxPooling3D(), VOLUME),
    "dropout": (layers.Dropout(0.5), LINE),
    "spatial dropout 1d": (layers.SpatialDropout1D(0.5), LINE),
    "spatial dropout 2d": (layers.SpatialDropout2D(0.5), IMAGE),
    "spatial dropout 3d": (layers.SpatialDropout3D(0.5), VOLUME),
    "gaussian dropout": (layers.GaussianDropout(0.5), LINE),
    "gaussian noise": (layers.GaussianNoise(0.5), LINE),
    "alpha dropout": (layers.AlphaDropout(0.5), LINE),
    "activity regularization": (layers.ActivityRegularization(0.1), LINE),
    "random flip": (layers.RandomFlip(), IMAGE),
    "random rotation": (layers.RandomRotation(0.1), IMAGE),
    "identity": (layers.Identity(), LINE),
    "time distributed dense": (layers.TimeDistributed(layers.Dense(3, activation="relu")), LINE),
    "time distributed conv": (layers.TimeDistributed(layers.Conv2D(2, 3)), VOLUME),
    "time distributed flatten": (layers.TimeDistributed(layers.Flatten()), VOLUME),
}

KEPT = {
    "resizing bicubic": (layers.Resizing(4, 4, interpolation="bicubic"), IMAGE, "bicubic interpolation"),
    "resizing and cropping": (layers.Resizing(4, 4, crop_to_aspect_ratio=True), IMAGE, "aspect ratio"),
    "resizing smoothed": (layers.Resizing(3, 4, antialias=True), IMAGE, "smooths"),
    "up-sampling 2d lanczos": (layers.UpSampling2D(2, interpolation="lanczos3"), IMAGE, "lanczos3 interpolation"),
    "up-sampling 3d": (layers.UpSampling3D(2), VOLUME, "no integer form of UpSampling3D"),
    "max 3d": (layers.MaxPooling3D(2), VOLUME, "no integer form of MaxPooling3D"),
    "average 3d": (layers.AveragePooling3D(2), VOLUME, "no integer form of AveragePooling3D"),
    "padding, channels first": (layers.ZeroPadding2D(1, data_format="channels_first"), IMAGE, "channels first"),
    "cropping, channels first": (layers.Cropping2D(1, data_format="channels_first"), IMAGE, "channels first"),
    "up-sampling, channels first": (layers.UpSampling2D(data_format="channels_first"), IMAGE, "channels first"),
    "flatten, channels first": (layers.Flatten(data_format="channels_first"), IMAGE, "channels first"),
    "average 1d, channels first": (layers.AveragePooling1D(2, data_format="channels_first"), LINE, "channels first"),
    "global average, channels first": (
        layers.GlobalAveragePooling2D(data_format="channels_first"), IMAGE, "channels first"),
    "center crop": (layers.CenterCrop(2, 2), IMAGE, "no integer form of CenterCrop"),
}  # fmt: skip


@pytest.mark.parametrize(("layer", "shape"), CASES.values(), ids=CASES)
def test_written_out_it_computes_the_same(layer, shape):
    check_written_out(layer, [shape])


@pytest.mark.parametrize(("layer", "shape", "reason"), KEPT.values(), ids=KEPT)
def test_what_stays_float_says_why(layer, shape, reason):
    check_written_out(layer, [shape], kept=reason)
