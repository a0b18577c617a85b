# SPDX-License-Identifier: Apache-2.0
"""One model on its way: built, simulated, trained for an epoch, exported, compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import tree

import lowbit
from lowbit import qat
from lowbit.export import parity
from lowbit.export.write import ExportResult
from lowbit.quantizers import Mode, forward_mode, recording
from lowbit.results import ParityResult
from lowbit.runtime import Runner
from lowbit.simulation import Simulation

BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Case:
    """`data` gives inputs and labels (arrays or dicts of arrays by name) from the shared samples.

    `loss`, one or a dict by output name, where the model is trained with Keras's own `fit`: `qat.fit` takes one output
    of classes. `kept` are layers that stay float, with words of the reason. `makes_itself`: the float model's
    configuration is enough to make it again.
    """

    name: str
    build: Callable[..., keras.Model]
    data: str
    input_shape: Any = None
    loss: Any = None
    kept: dict[str, str] = field(default_factory=dict)
    makes_itself: bool = True


@dataclass(kw_only=True)
class Whole:
    """What the tests of one model share."""

    case: Case
    build: Callable[[], keras.Model]
    model: keras.Model
    before: dict[str, Any]
    fresh_weights: list[np.ndarray]
    simulation: Simulation
    inputs: Any
    path: Path
    result: ExportResult
    parity: ParityResult


def weights_of(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(weight)) for weight in model.weights]


def state(model: keras.Model) -> dict[str, Any]:
    """What a caller could see change: weights, names, lists of calls, what is trainable."""
    parts = list({id(part): part for part in model._flatten_layers()}.values())
    return {
        "weights": [array.tobytes() for array in weights_of(model)],
        "paths": [weight.path for weight in model.weights],
        "names": [part.name for part in parts],
        "calls": [(len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts],
        "trainable": [part.trainable for part in parts],
    }


def sliced(values: Any, start: int, stop: int) -> Any:
    return tree.map_structure(lambda array: array[start:stop], values)


def batches(inputs: Any, labels: Any, samples: int) -> list[tuple[Any, Any]]:
    return [
        (sliced(inputs, start, start + BATCH), sliced(labels, start, start + BATCH))
        for start in range(0, samples, BATCH)
    ]


def make_whole(case: Case, build: Callable[[], keras.Model], inputs: Any, labels: Any, folder: Path) -> Whole:
    """Build a model, train its simulation for one epoch, write the file and compare both."""
    keras.utils.set_random_seed(2)
    model = build()
    samples = len(tree.flatten(inputs)[0])
    before, fresh = state(model), weights_of(model)
    data = batches(inputs, labels, samples)
    keras.utils.set_random_seed(5)
    simulation = lowbit.quantize_model(model, input_shape=case.input_shape)
    if case.loss is None:
        qat.fit(simulation, data, None, epochs=1, learning_rate=1e-3, batch_norm="reestimate")
    else:
        simulation.compile("adam", case.loss, jit_compile=False)
        simulation.fit(inputs, labels, batch_size=BATCH, epochs=1, verbose=0)
    path = folder / f"{case.name}.tflite"
    result = lowbit.export(simulation, path)
    seen = sliced(inputs, 0, 64)
    return Whole(
        case=case,
        build=build,
        model=model,
        before=before,
        fresh_weights=fresh,
        simulation=simulation,
        inputs=seen,
        path=path,
        result=result,
        parity=parity(simulation, path, [seen]),
    )


def codes_of(simulation: Simulation, inputs: Any) -> dict[str, np.ndarray]:
    """The codes of every tensor by name."""
    found: dict[str, np.ndarray] = {}
    with recording(lambda name, values: found.update({name: np.array(keras.ops.convert_to_numpy(values))})):
        simulation(inputs, training=False)
    return found


def float_outputs(simulation: Simulation, inputs: Any) -> list[np.ndarray]:
    with forward_mode(Mode.FLOAT):
        return [np.array(keras.ops.convert_to_numpy(one)) for one in tree.flatten(simulation(inputs, training=False))]


def file_outputs(whole: Whole, samples: int) -> dict[str, np.ndarray]:
    """What the file gives for the first samples, by output name."""
    runner = Runner(whole.path.read_bytes(), source=whole.path)
    first = whole.simulation.inputs[0].name
    found = []
    for number in range(samples):
        inputs = sliced(whole.inputs, number, number + 1)
        found.append(runner(inputs if isinstance(inputs, dict) else {first: inputs}))
    return {name: np.concatenate([outputs[name] for outputs in found]) for name in found[0]}
