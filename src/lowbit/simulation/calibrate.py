# SPDX-License-Identifier: Apache-2.0
"""Activation ranges from data."""

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.quantizers import ActivationQuantizer, Mode, forward_mode
from lowbit.simulation.embedding import QuantizedEmbedding
from lowbit.simulation.model import Simulation, require_model

METHODS = ("minmax",)
LABELLED = 3  # most members of a batch with labels: inputs, labels, sample weights


def calibrate(simulation: Simulation, batches: Iterable[Any], *, method: str = "minmax") -> None:
    """Set every activation range to the smallest and largest value seen in `batches`.

    Args:
        simulation: from `quantize_model`; ranges it had are replaced.
        batches: arrays, dicts of named inputs, for several inputs also tuples or lists of them in the model's order, or
            `(inputs, labels)` pairs (see `model_inputs`); any batch size.
        method: "minmax".

    Raises:
        InputError: no batches, values that are not finite, there or in a layer, inputs of another name, shape or
            kind of number. The ranges are then as before.
    """
    require_model(simulation, Simulation, "a simulation")
    if not isinstance(batches, Iterable) or isinstance(batches, str):
        raise InputError(
            received=f"calibration {batches!r:.80}", expected="an iterable of batches", mend="pass arrays or a loader"
        )
    if isinstance(batches, np.ndarray) or keras.ops.is_tensor(batches):
        raise InputError(
            received=f"one array of shape {np.shape(keras.ops.convert_to_numpy(batches))} as calibration",
            expected="an iterable of batches",
            mend="wrap it in a list: [x]",
        )
    if method not in METHODS:
        raise InputError(received=f"method={method!r}", expected=f"one of {METHODS}", mend="pass method='minmax'")
    checked = [model_inputs(simulation, batch, number) for number, batch in enumerate(batches)]
    if not checked:
        raise InputError(received="no calibration batches", expected="at least one batch", mend="pass training data")
    _tell_of_constant_data(simulation, checked)
    _check_indices(simulation, checked)
    quantizers = {
        name: quantizer
        for name, quantizer in simulation.quantizers().items()
        if isinstance(quantizer, ActivationQuantizer)
    }
    variables = [variable for quantizer in quantizers.values() for variable in quantizer.variables]
    before = [keras.ops.convert_to_numpy(variable) for variable in variables]
    try:
        for quantizer in quantizers.values():
            quantizer.reset()
        with forward_mode(Mode.OBSERVE):
            for inputs in checked:
                simulation(inputs, training=False)
        for name, quantizer in quantizers.items():
            _check_range(name, quantizer)
    except BaseException:
        for variable, values in zip(variables, before, strict=True):
            variable.assign(values)
        raise


def _of_input(name: str, batches: Sequence[Any]) -> list[np.ndarray]:
    return [batch[name] if isinstance(batch, dict) else batch for batch in batches]


def _check_indices(simulation: Simulation, batches: Sequence[Any]) -> None:
    """Raises InputError for indices beyond the table of an Embedding that reads an input."""
    names = {id(tensor): tensor.name for tensor in simulation.inputs}
    for layer, sources, _ in simulation.graph():
        if not isinstance(layer, QuantizedEmbedding) or sources[0] not in names:
            continue
        rows, arrays = int(layer.layer.input_dim), _of_input(names[sources[0]], batches)
        low, high = min(int(one.min(initial=0)) for one in arrays), max(int(one.max(initial=0)) for one in arrays)
        if low < 0 or high >= rows:
            raise InputError(
                received=f"indices from {low} to {high} for the Embedding {layer.name!r}",
                expected=f"whole numbers from 0 to {rows - 1}",
                mend="encode the data with the vocabulary that the model was trained with",
            )


def _tell_of_constant_data(simulation: Simulation, batches: Sequence[Any]) -> None:
    """One number for all of an input gives ranges that hold this number, and hardly another."""
    for tensor in simulation.inputs:
        arrays = _of_input(tensor.name, batches)
        first = arrays[0].reshape(-1)[:1]
        if arrays[0].dtype.kind == "f" and first.size and all((array == first).all() for array in arrays):
            warnings.warn(
                f"calibration data hold nothing but {first[0]:g} for input {tensor.name!r}: others will be clipped",
                stacklevel=3,
            )


def _check_range(name: str, quantizer: ActivationQuantizer) -> None:
    """Raises InputError for a range without a scale; one as wide as float32 goes has none either."""
    low, high = (float(keras.ops.convert_to_numpy(end)) for end in (quantizer.minimum, quantizer.maximum))
    scale = float(keras.ops.convert_to_numpy(quantizer.parameters()[0]))
    if not np.isfinite([low, high, scale]).all():
        raise InputError(
            received=f"values from {low:.4g} to {high:.4g} in layer {name!r}",
            expected="values that stay finite in every layer",
            mend="calibrate with data of the size the model was trained on; or its weights diverged",
        )


def model_inputs(model: keras.Model, batch: Any, number: int = 0) -> Any:
    """What `model` is called with, taken from a batch of any accepted form.

    A tuple or list is `(inputs, labels)`, also with sample weights, and for several inputs the inputs themselves in the
    model's order as well. Which of the two is told by its first member: where that is a dict, or holds one array that
    fits each input, as in `((image, meta), labels)`, it is the inputs; else, as in `(image, meta)`, the batch is.

    Returns an array for one input, a dict of arrays by input name for several.
    """
    names = [tensor.name for tensor in model.inputs]
    batch = _inputs_of(model.inputs, batch)
    if isinstance(batch, Mapping):
        given = dict(batch)
    elif len(names) == 1:
        given = {names[0]: batch}
    elif isinstance(batch, (tuple, list)) and len(batch) == len(names):
        given = dict(zip(names, batch, strict=True))
    else:
        held = f"a batch of {len(batch)} arrays" if isinstance(batch, (tuple, list)) else "one array"
        raise InputError(
            received=f"{held} as batch {number}",
            expected=f"an array for each of the inputs {', '.join(names)}",
            mend=f"pass batches of ({', '.join(names)}), of (({', '.join(names)}), labels), or of dicts by these names",
        )
    if len(given) == len(names) == 1:
        given = {names[0]: next(iter(given.values()))}
    if set(given) != set(names):
        raise InputError(
            received=f"inputs {sorted(given)} in batch {number}", expected=f"inputs {sorted(names)}", mend="rename them"
        )
    arrays = {}
    for tensor in model.inputs:
        array = _numbers(given[tensor.name], tensor, number)
        _check(array, tensor, number)
        arrays[tensor.name] = array
    return arrays[names[0]] if len(names) == 1 else arrays


def _inputs_of(tensors: Sequence[Any], batch: Any) -> Any:
    """The batch without labels: an array, a dict, or for several inputs a tuple or list of arrays."""
    if not isinstance(batch, (tuple, list)) or not batch:
        return batch
    first = batch[0]
    if isinstance(first, Mapping):
        return first
    if isinstance(first, (tuple, list)) and _are_inputs(tensors, first):
        return first if len(tensors) > 1 else first[0]
    if len(tensors) == 1:
        return first
    is_pair_of_lists = isinstance(first, (tuple, list)) and len(first) == len(tensors) and len(batch) <= LABELLED
    return first if is_pair_of_lists and not _are_inputs(tensors, batch) else batch


def _are_inputs(tensors: Sequence[Any], arrays: Sequence[Any]) -> bool:
    """Whether there is one array for each input, of its shape."""
    if len(arrays) != len(tensors):
        return False
    try:
        shapes = [np.shape(keras.ops.convert_to_numpy(array)) for array in arrays]
    except (TypeError, ValueError):
        return False
    return all(map(_fits, shapes, tensors))


def _fits(shape: Sequence[int], tensor: Any) -> bool:
    expected = tuple(tensor.shape[1:])
    return len(shape) == len(expected) + 1 and all(
        want is None or want == have for want, have in zip(expected, shape[1:], strict=True)
    )


def _numbers(values: Any, tensor: Any, number: int) -> np.ndarray:
    """The values as the input's type; integers take only whole numbers within their bounds."""
    wanted = str(tensor.dtype)
    try:
        given = np.asarray(keras.ops.convert_to_numpy(values))
        if given.dtype.kind not in "biuf" and "float" not in given.dtype.name:  # bfloat16 is of no kind
            raise TypeError(f"{given.dtype} is no type of real numbers")
        with np.errstate(all="ignore"):  # what does not fit is refused here or in `_check`, not warned of
            array = given.astype(wanted)
        if array.dtype.kind in "iu" and not np.array_equal(array, given):
            raise ValueError(f"not all are whole numbers within {wanted}")
    except (TypeError, ValueError) as error:
        raise InputError(
            received=f"{values!r:.60} for input {tensor.name!r} in batch {number}",
            expected=f"an array of {wanted}",
            mend=f"pass {'whole' if 'int' in wanted else 'real'} numbers of one shape",
        ) from error
    return array


def _check(array: np.ndarray, tensor: Any, number: int) -> None:
    if not _fits(array.shape, tensor) or array.shape[0] == 0:
        raise InputError(
            received=f"shape {array.shape} for input {tensor.name!r} in batch {number}",
            expected=f"shape (batch, {', '.join(map(str, tensor.shape[1:]))})",
            mend="give data of the model's input shape",
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError(
            received=f"NaN or infinite values for input {tensor.name!r} in batch {number}",
            expected="finite values",
            mend="clean the data",
        )
