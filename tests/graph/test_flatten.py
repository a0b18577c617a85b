# SPDX-License-Identifier: Apache-2.0
import keras
import pytest
from keras import layers

from lowbit.errors import UnsupportedError
from lowbit.graph import flatten, group_operations


def backbone():
    inputs = keras.Input((8, 8, 3), name="pixels")
    x = layers.Conv2D(4, 3, name="conv", use_bias=False)(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(6.0, name="relu")(x)
    return keras.Model(inputs, x, name="backbone")


def test_nested_models_disappear_and_layers_stay():
    inputs = keras.Input((8, 8, 3), name="image")
    head = keras.Sequential([layers.Flatten(name="flat"), layers.Dense(2, name="conv")], name="head")
    model = keras.Model(inputs, head(backbone()(inputs)))
    graph = flatten(model)
    assert [node.name for node in graph.nodes] == ["conv", "norm", "relu", "flat", "conv_1"]
    assert graph.input_names == ("image",)
    assert graph.input_shapes == ((8, 8, 3),)


def test_convolution_batch_norm_and_relu_are_one_group():
    (group,) = group_operations(flatten(backbone()))
    assert (group.kind, group.activation, len(group.nodes)) == ("conv2d", "relu6", 3)
    assert group.batch_norm.name == "norm"


def test_a_batch_norm_whose_input_is_used_elsewhere_is_not_folded():
    inputs = keras.Input((4, 4, 2))
    conv = layers.Conv2D(2, 1, name="conv")(inputs)
    norm = layers.BatchNormalization(name="norm")(conv)
    model = keras.Model(inputs, layers.Add(name="add")([conv, norm]))
    assert [group.kind for group in group_operations(flatten(model))] == ["conv2d", "affine", "add"]


def test_add_takes_the_relu_behind_it():
    inputs = keras.Input((4, 4, 2))
    a, b = layers.Conv2D(2, 1)(inputs), layers.Conv2D(2, 1)(inputs)
    model = keras.Model(inputs, layers.ReLU()(layers.Add(name="add")([a, b])))
    assert group_operations(flatten(model))[-1].activation == "relu"


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (layers.Conv2D(2, 3, dilation_rate=2), "dilated"),
        (layers.Conv2D(4, 3, groups=2), "grouped"),
        (layers.ReLU(6.0), "ReLU6 that follows no"),
        (layers.LeakyReLU(), "no integer form of LeakyReLU"),
        (layers.Conv2D(2, 3, activation="elu"), "'elu' has no integer form"),
    ],
)
def test_what_stays_float_says_why(layer, reason):
    inputs = keras.Input((8, 8, 2))
    (group,) = group_operations(flatten(keras.Model(inputs, layer(inputs))))
    assert group.kind == "float"
    assert reason in group.reason


def test_a_layer_used_twice_is_refused_by_name():
    inputs = keras.Input((4,))
    shared = layers.Dense(4, name="shared")
    with pytest.raises(UnsupportedError, match="'shared' used more than once"):
        flatten(keras.Model(inputs, shared(shared(inputs))))


def test_bare_operations_are_refused_by_name():
    inputs = keras.Input((4,))
    with pytest.raises(UnsupportedError, match="operation 'multiply"):
        flatten(keras.Model(inputs, inputs * 2.0))


def test_subclassed_and_unbuilt_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x

    for model in (Own(name="own"), keras.Sequential([layers.Dense(2)], name="unbuilt")):
        with pytest.raises(UnsupportedError, match="expected a built functional or sequential model"):
            flatten(model)


def test_mobilenet_v2_becomes_its_operations():
    model = keras.applications.MobileNetV2(input_shape=(96, 96, 3), alpha=0.35, weights=None, include_top=False)
    kinds = [group.kind for group in group_operations(flatten(model))]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "conv2d": 35,
        "depthwise": 17,
        "add": 10,
        "same_scale": 4,
    }
