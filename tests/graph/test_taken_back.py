# SPDX-License-Identifier: Apache-2.0
"""A lowering that gives up midway leaves nothing behind: no step, no tensor, no name, no use of its weights."""

import keras
import pytest
from keras import layers

from lowbit.graph import Builder, Parameter, flatten, is_leaf, lower
from lowbit.graph.lowering import registry
from lowbit.graph.steps import NoIntegerForm
from lowbit.simulation import fates, quantize_model


class Fussy(layers.Dense):
    """Written out as a product, until it finds that it has no integer form."""


def given_up(b, node):
    dense = node.operation
    weights = [Parameter(source=dense.kernel), Parameter(source=dense.bias)]
    y = b.weighted("dense", b.only_input(), lambda: layers.Dense(4), weights, (None, 4))
    b.primitive("relu", y, name="positive")
    raise NoIntegerForm("found out late")


@pytest.fixture(autouse=True)
def _fussy_is_written_out(monkeypatch):
    monkeypatch.setitem(registry.LAYERS, Fussy, given_up)


def model():
    x = inputs = keras.Input((4,), name="vector")
    x = Fussy(4, name="fussy")(x)
    # would have to give way to a name that is no longer there
    return keras.Model(inputs, layers.Dense(4, name="fussy_positive")(x))


def test_names_and_tensors_are_those_of_the_steps_that_stay():
    graph = flatten(model(), is_leaf=is_leaf)
    builder = lower(graph)
    assert [(step.kind, step.name) for step in builder.steps] == [("float", "fussy"), ("dense", "fussy_positive")]
    outputs = [step.output for step in builder.steps]
    assert list(builder.shapes) == list(builder.dtypes) == [*graph.inputs, *outputs]
    assert outputs == [max(graph.shapes) + 1, max(graph.shapes) + 2]


def test_weights_are_used_anew():
    graph = flatten(model(), is_leaf=is_leaf)
    builder = Builder(graph)
    builder.begin(graph.nodes[0])

    def product(name):
        kernel = Parameter(source=graph.nodes[0].operation.kernel)
        return builder.weighted("dense", graph.inputs[0], lambda: layers.Dense(4), [kernel], (None, 4), name=name)

    with pytest.raises(NoIntegerForm, match="late"), builder.attempt():
        product("lost")
        raise NoIntegerForm("late")
    product("first")
    product("second")
    assert [step.name for step in builder.steps] == ["fussy_first", "fussy"]  # a later use makes no layer: no new name


def test_the_simulation_calls_the_kept_layer_by_its_name():
    simulation = quantize_model(model())
    assert [layer.name for layer in simulation.simulated_layers() if layer.members] == ["fussy", "fussy_positive"]
    assert {fate.layer: fate.reason for fate in fates(simulation)} == {"fussy": "found out late", "fussy_positive": ""}
