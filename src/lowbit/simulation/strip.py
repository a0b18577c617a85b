# SPDX-License-Identifier: Apache-2.0
"""A simulation -> the plain float Keras model with its trained weights."""

import json

import keras
import numpy as np
from keras import ops

from lowbit.errors import InputError, UnsupportedError
from lowbit.simulation.model import Simulation, require_model

LONGEST = 200  # characters of another library's message


def strip(simulation: Simulation, *, into: keras.Model | None = None) -> keras.Model:
    """The model the simulation was made of, with the simulation's weights, unrounded and unfolded.

    Args:
        into: a model of the same architecture that takes the weights and is returned; needed where the original does
            not say how to make it again (a subclassed model without `get_config`, a Lambda layer). Weights that are
            constants in the simulation (a table a custom layer reads at fixed places) keep the values they have in
            it, so give it the float model's weights.

    Raises:
        UnsupportedError: the original cannot be made again and `into` is not given, or some of its weights are in the
            simulation as constants only.
        InputError: `into` has other weights than the original.
    """
    require_model(simulation, Simulation, "a simulation")
    model = _original(simulation) if into is None else into
    weights, filled = list(model.weights), set()
    for layer in simulation.simulated_layers():
        for variable, origin in zip(layer.carried_weights(), layer.origins, strict=False):
            if origin is None:
                continue
            number, axes = origin
            if number >= len(weights):
                raise _another_model(model, f"{len(weights)} weights, of which number {number + 1} is wanted")
            weights[number].assign(_restored(ops.convert_to_numpy(variable), axes, weights[number], model))
            filled.add(number)
    if into is None and len(filled) < len(weights):
        lost = next(weight.path for number, weight in enumerate(weights) if number not in filled)
        raise UnsupportedError(
            received=f"weight {lost!r}, which is in the simulation as a constant only",
            expected="weights that are all layers' own",
            mend="pass into=the float model",
        )
    return model


def _original(simulation: Simulation) -> keras.Model:
    try:
        if simulation.original is None:
            raise TypeError("the float model does not say how to make it again")
        model: keras.Model = keras.saving.deserialize_keras_object(json.loads(simulation.original))
    except (TypeError, ValueError) as error:
        raise UnsupportedError(
            received=f"a simulation of {simulation.name!r}: {_first_sentence(error)}",
            expected="a float model that can be made again from its configuration",
            mend="pass into=a model of the same architecture; it takes the weights",
        ) from error
    return model


def _first_sentence(error: Exception) -> str:
    """Of Keras's message, which goes on with advice that does not hold here."""
    words = str(error).partition("\n")[0].partition(". ")[0].rstrip(".")
    return words if len(words) <= LONGEST else words[:LONGEST].rpartition(" ")[0] + " …"


def _restored(values: np.ndarray, axes: list[int] | None, weight: keras.Variable, model: keras.Model) -> np.ndarray:
    shape = tuple(weight.shape)
    if values.size != int(np.prod(shape)):
        raise _another_model(model, f"weight {weight.path!r} of shape {shape}")
    if axes is None:
        return values.reshape(shape)
    return values.reshape([shape[axis] for axis in axes]).transpose(np.argsort(axes))


def _another_model(model: keras.Model, received: str) -> InputError:
    return InputError(
        received=f"model {model.name!r} with {received}",
        expected="a model of the architecture the simulation was made of",
        mend="build it with the same code",
    )
