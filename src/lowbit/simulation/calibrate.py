# SPDX-License-Identifier: Apache-2.0
"""Activation ranges from data."""

from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.quantizers import ActivationQuantizer, Mode, forward_mode
from lowbit.simulation.model import Simulation, require_model

METHODS = ("minmax",)


def calibrate(simulation: Simulation, batches: Iterable[Any], *, method: str = "minmax") -> None:
    """Set every activation range to the smallest and largest value seen in `batches`.

    Args:
        simulation: from `quantize_model`; ranges it had are replaced.
        batches: arrays, dicts of named inputs, or `(inputs, labels)` pairs; any batch size.
        method: "minmax".

    Raises:
        InputError: no batches, values that are not finite, inputs of another name or shape. The
            ranges are then as before.
    """
    require_model(simulation, Simulation, "a simulation")
    if not isinstance(batches, Iterable) or isinstance(batches, str):
        raise InputError(
            received=f"calibration {batches!r:.80}", expected="an iterable of batches", mend="pass arrays or a loader"
        )
    if method not in METHODS:
        raise InputError(received=f"method={method!r}", expected=f"one of {METHODS}", mend="pass method='minmax'")
    checked = [model_inputs(simulation, batch, number) for number, batch in enumerate(batches)]
    if not checked:
        raise InputError(received="no calibration batches", expected="at least one batch", mend="pass training data")
    for quantizer in simulation.quantizers().values():
        if isinstance(quantizer, ActivationQuantizer):
            quantizer.reset()
    with forward_mode(Mode.OBSERVE):
        for inputs in checked:
            simulation(inputs, training=False)


def model_inputs(model: keras.Model, batch: Any, number: int = 0) -> Any:
    """What `model` is called with, taken from a batch of any accepted form.

    Returns an array for one input, a dict of arrays by input name for several.
    """
    if isinstance(batch, (tuple, list)):
        batch = batch[0]
    names = [tensor.name for tensor in model.inputs]
    if not isinstance(batch, Mapping):
        batch = {names[0]: batch}
    elif len(batch) == len(names) == 1:
        batch = {names[0]: next(iter(batch.values()))}
    if set(batch) != set(names):
        raise InputError(
            received=f"inputs {sorted(batch)} in batch {number}", expected=f"inputs {sorted(names)}", mend="rename them"
        )
    arrays = {}
    for tensor in model.inputs:
        array = _numbers(batch[tensor.name], tensor, number)
        _check(array, tensor, number)
        arrays[tensor.name] = array
    return arrays[names[0]] if len(names) == 1 else arrays


def _numbers(values: Any, tensor: Any, number: int) -> np.ndarray:
    try:
        return np.asarray(keras.ops.convert_to_numpy(values), dtype=str(tensor.dtype))
    except (TypeError, ValueError) as error:
        raise InputError(
            received=f"{values!r:.60} for input {tensor.name!r} in batch {number}",
            expected=f"an array of {tensor.dtype}",
            mend="pass numbers of one shape",
        ) from error


def _check(array: np.ndarray, tensor: Any, number: int) -> None:
    expected = tuple(tensor.shape[1:])
    fits = array.ndim == len(expected) + 1 and all(
        want is None or want == have for want, have in zip(expected, array.shape[1:], strict=False)
    )
    if not fits or array.shape[0] == 0:
        raise InputError(
            received=f"shape {array.shape} for input {tensor.name!r} in batch {number}",
            expected=f"shape (batch, {', '.join(map(str, expected))})",
            mend="give data of the model's input shape",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            received=f"NaN or infinite values for input {tensor.name!r} in batch {number}",
            expected="finite values",
            mend="clean the data",
        )
