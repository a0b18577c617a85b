# SPDX-License-Identifier: Apache-2.0
"""Which tensors of the graph are the file's outputs, and what its signature calls them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import tree

from lowbit.errors import UnsupportedError
from lowbit.runtime import flatbuffer
from lowbit.simulation import Simulation
from lowbit.simulation.passing import Identity, PutIn


def names(simulation: Simulation) -> list[str]:
    """The tensor behind each output in the model's order, by our name: back through what has no op of the float file.

    Raises UnsupportedError for an output that is an input, and for two outputs that are one tensor.
    """
    made = {output: (layer, inputs) for layer, inputs, output in simulation.graph()}
    called = {output: layer.tensor_name for layer, _, output in simulation.graph()}
    found: list[str] = []
    for number, tensor in enumerate(simulation.outputs):
        source = id(tensor)
        while source in made and isinstance(made[source][0], (Identity, PutIn)):
            source = made[source][1][0]
        if source not in made:
            raise UnsupportedError(
                received=f"output {number} that is an input of the model",
                expected="outputs that operations of the file compute",
                mend="leave it out of the model's outputs: whoever runs the file has it already",
            )
        name = called[source]
        if name in found:
            raise UnsupportedError(
                received=f"outputs {found.index(name)} and {number} that are one tensor, {name!r}",
                expected="each tensor once, as a file has it once",
                mend="leave one of them out of the model's outputs",
            )
        found.append(name)
    return found


def restore(graph: Any, signature: Any, simulation: Simulation, index: Mapping[str, int]) -> None:
    """The model's own outputs in place of all named tensors, in its order; `index` has each tensor's place."""
    chosen = names(simulation)
    entries = {flatbuffer.text(entry.name): entry for entry in signature.outputs}
    signature.outputs = [entries[name] for name in chosen]
    graph.outputs = np.array([index[name] for name in chosen], dtype="int32")
    for name, key, entry in zip(chosen, _keys(simulation) or chosen, signature.outputs, strict=True):
        entry.tensorIndex, entry.name = index[name], key


def _keys(simulation: Simulation) -> list[str] | None:
    """The user's own names: the keys of a dict of outputs, else what the model calls them."""
    structure = simulation._outputs_struct
    if isinstance(structure, Mapping):
        keys = [str(path[-1]) for path, _ in tree.flatten_with_path(structure)]
    else:
        keys = list(simulation.output_names)
    return keys if len(set(keys)) == len(simulation.outputs) else None
