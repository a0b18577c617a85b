# SPDX-License-Identifier: Apache-2.0
"""Any Keras model as one flat list of calls, and the model as it was."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from lowbit.errors import UnsupportedError
from lowbit.graph import flatten, is_leaf, lower


def backbone():
    inputs = keras.Input((8, 8, 3), name="pixels")
    x = layers.Conv2D(4, 3, name="conv", use_bias=False)(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU(6.0, name="relu")(x)
    return keras.Model(inputs, x, name="backbone")


class Block(layers.Layer):
    """A layer of one's own, made of others."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.wide = layers.Dense(6, activation="relu", name="wide")
        self.narrow = layers.Dense(4, name="narrow")
        self.sum = layers.Add(name="sum")

    def build(self, shape):
        self.wide.build(shape)
        self.narrow.build((*shape[:-1], 6))

    def call(self, x):
        return self.sum([x, self.narrow(self.wide(x))])


class Own(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.block = Block(name="block")
        self.head = keras.Sequential([layers.Dense(3, name="out")], name="head")

    def call(self, x):
        return {"scores": self.head(self.block(x))}


class Branching(layers.Layer):
    def compute_output_shape(self, shape):
        return shape

    def call(self, x):
        return x if bool(ops.sum(x) > 0) else -x


def nested():
    inputs = keras.Input((8, 8, 3), name="image")
    head = keras.Sequential([layers.Flatten(name="flat"), layers.Dense(2, name="conv")], name="head")
    return keras.Model(inputs, head(backbone()(inputs)))


def own():
    model = Own(name="own")
    model(np.zeros((1, 4), "float32"))
    return model


def test_nested_models_disappear_and_layers_stay():
    graph = flatten(nested())
    assert [node.name for node in graph.nodes] == ["conv", "norm", "relu", "flat", "conv_1"]
    assert [node.path for node in graph.nodes][::4] == ["backbone/conv", "head/conv"]
    assert graph.input_names == ("image",)
    assert [graph.shapes[number] for number in (*graph.inputs, *graph.outputs)] == [(None, 8, 8, 3), (None, 2)]


def test_each_input_is_made_before_it_is_used():
    graph = flatten(own())
    known = set(graph.inputs)
    for node in graph.nodes:
        assert known.issuperset(node.inputs)
        known.update(node.outputs)
    assert known.issuperset(graph.outputs)


def test_subclassed_models_and_custom_layers_are_opened():
    graph = flatten(own())
    assert [node.path for node in graph.nodes] == ["block/wide", "block/narrow", "block/sum", "head/out"]
    assert list(graph.output_structure) == ["scores"]


def test_sequential_models_are_read():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name="a"), backboneless()], name="whole")
    assert [node.path for node in flatten(model).nodes] == ["a", "inner/b"]


def backboneless():
    return keras.Sequential([keras.Input((3,)), layers.Dense(2, name="b")], name="inner")


def test_uses_of_a_shared_layer_are_counted():
    inputs, shared = keras.Input((4,)), layers.Dense(4, name="shared")
    graph = flatten(keras.Model(inputs, shared(shared(inputs))))
    assert [(node.name, node.use) for node in graph.nodes] == [("shared", 0), ("shared", 1)]


def test_uses_of_a_shared_model_share_its_layers():
    inputs, inner = keras.Input((3,)), backboneless()
    graph = flatten(keras.Model(inputs, ops.concatenate([inner(inputs), inner(inputs * 2.0)])))
    assert [(node.name, node.use) for node in graph.nodes if node.name == "b"] == [("b", 0), ("b", 1)]


def test_layers_of_one_name_get_numbers_that_no_other_has():
    inputs = keras.Input((3,))
    x = layers.Dense(3, name="b_1")(backboneless()(inputs))
    x = keras.Sequential([keras.Input((3,)), layers.Dense(3, name="b")], name="second")(x)
    names = [node.name for node in flatten(keras.Model(inputs, x)).nodes]
    assert names == ["b", "b_1", "b_2"]


def test_slots_stand_for_tensors_among_the_arguments():
    inputs = keras.Input((6,))
    (node,) = flatten(keras.Model(inputs, inputs[:, 1:3])).nodes
    slot, key = node.args
    assert (slot.tensor, key) == (node.inputs[0], (slice(None), slice(1, 3)))


def test_an_input_shape_takes_the_place_of_free_sizes():
    inputs = keras.Input((None, None, 3), name="image")
    model = keras.Model(inputs, layers.Conv2D(2, 3)(inputs))
    graph = flatten(model, input_shape=(8, 6, 3))
    assert [graph.shapes[number] for number in (*graph.inputs, *graph.outputs)] == [(None, 8, 6, 3), (None, 6, 4, 2)]


@pytest.mark.parametrize("make", [nested, own], ids=["functional", "subclassed"])
def test_the_model_is_as_it_was(make):
    model = make()
    parts = model._flatten_layers()
    before = [(part.name, len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts]
    weights = [np.array(weight) for weight in model.weights]
    flatten(model)
    after = [(part.name, len(part._inbound_nodes), len(part._outbound_nodes)) for part in model._flatten_layers()]
    assert after == before
    for weight, values in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(weight, values)


@pytest.mark.parametrize("make", [Own, lambda name: keras.Sequential([layers.Dense(2)], name=name)])
def test_unbuilt_models_are_refused(make):
    with pytest.raises(UnsupportedError, match="'unbuilt'.*cannot be traced.*expected a built model"):
        flatten(make(name="unbuilt"))


def test_a_layer_that_cannot_be_traced_stays_whole_and_says_why():
    inputs = keras.Input((4,))
    graph = flatten(
        keras.Model(inputs, Branching(name="branching", dtype="float32")(layers.Dense(4)(inputs))), is_leaf=is_leaf
    )
    (step,) = [step for step in lower(graph).steps if step.kind == "float"]
    assert step.reason.startswith("it cannot be traced: 'branching' (Branching): ")


def test_a_layer_told_to_train_is_refused():
    inputs = keras.Input((4,))
    with pytest.raises(UnsupportedError, match=r"'norm' \(BatchNormalization\) called with training=True"):
        flatten(keras.Model(inputs, layers.BatchNormalization(name="norm")(inputs, training=True)))


@pytest.mark.parametrize("attend", [
    lambda x: layers.MultiHeadAttention(2, 3, name="attention")(x, x),
    lambda x: layers.Attention(name="attention")([x, x]),
], ids=["multi-head", "plain"])  # fmt: skip
def test_masks_that_no_argument_shows_are_refused(attend):
    inputs = keras.Input((4,), dtype="int32")
    x = layers.Embedding(5, 3, mask_zero=True)(inputs)
    with pytest.raises(UnsupportedError, match="'attention' .* on a tensor with a Keras mask"):
        flatten(keras.Model(inputs, attend(x)))


def test_masks_reach_nested_models_and_are_refused_there_too():
    inner_inputs = keras.Input((4, 3))
    inner = keras.Model(inner_inputs, layers.MultiHeadAttention(1, 3)(inner_inputs, inner_inputs), name="inner")
    inputs = keras.Input((4,), dtype="int32")
    with pytest.raises(UnsupportedError, match="on a tensor with a Keras mask"):
        flatten(keras.Model(inputs, inner(layers.Embedding(5, 3, mask_zero=True)(inputs))))
