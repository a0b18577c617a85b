# SPDX-License-Identifier: Apache-2.0
"""A simulation -> the plain float Keras model with its trained weights."""

import keras

from lowbit.simulation.model import Simulation, require_model


def strip(simulation: Simulation) -> keras.Model:
    """Remove all quantizers. Layers keep their names; weights are copied, unrounded and unfolded."""
    require_model(simulation, Simulation, "a simulation")
    inputs = [keras.Input(tensor.shape[1:], name=tensor.name) for tensor in simulation.inputs]
    tensors = dict(zip(map(id, simulation.inputs), inputs, strict=True))
    for layer, sources, output in simulation.graph():
        tensors[output] = layer.restore([tensors[source] for source in sources])
    outputs = [tensors[id(tensor)] for tensor in simulation.outputs]
    return keras.Model(
        inputs[0] if len(inputs) == 1 else inputs,
        outputs[0] if len(outputs) == 1 else outputs,
        name=simulation.name,
    )
