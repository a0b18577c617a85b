# SPDX-License-Identifier: Apache-2.0
"""Quantization-aware training: `training.fit` for simulations, with ranges frozen near the end."""

import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.qat.freezing import TRACKING_SHARE, RangeFreeze
from lowbit.qat.resuming import Resume
from lowbit.simulation import Simulation
from lowbit.simulation.fitting import FiniteCheck
from lowbit.training import History, TrainingEvent, batch_norms
from lowbit.training import fit as fit_model


def fit(
    simulation: Simulation,
    train: Iterable[Any],
    validation: Iterable[Any] | None,
    *,
    epochs: int,
    learning_rate: float,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    on_event: Callable[[TrainingEvent], Any] | None = None,
    **options: Any,
) -> History:
    """Train a simulation in place; arguments, early stopping and errors as `lowbit.training.fit`.

    `batch_norm` defaults to "reestimate"; frozen statistics of a new layer are warned of.

    Raises:
        InputError: `simulation` is no simulation, `callbacks` hold a `Resume`, which works with the simulation's own
            `fit`, and whatever `lowbit.training.fit` raises.
    """
    if not isinstance(simulation, Simulation):
        raise InputError(
            received=f"a {type(simulation).__name__}",
            expected="a simulation",
            mend="call lowbit.quantize_model(model) first",
        )
    if any(isinstance(callback, Resume) for callback in callbacks):
        raise InputError(
            received="a lowbit.qat.Resume for lowbit.qat.fit, whose early stopping and averages it does not back up",
            expected="the simulation's own fit",
            mend="call sim.compile(...) and sim.fit(..., callbacks=[lowbit.qat.Resume(folder)])",
        )
    if options.get("batch_norm") == "freeze":
        _tell_of_untrained_batch_norms(simulation)
    freeze = RangeFreeze(max(1, math.ceil(TRACKING_SHARE * epochs)))
    return fit_model(
        simulation,
        train,
        validation,
        epochs=epochs,
        learning_rate=learning_rate,
        callbacks=[*callbacks, freeze, FiniteCheck(waits=False)],
        validated=simulation.with_unrounded_outputs(),
        on_event=on_event,
        **({"batch_norm": "reestimate"} | options),
    )


def _tell_of_untrained_batch_norms(simulation: Simulation) -> None:
    """Frozen at mean 0 and variance 1 they normalize nothing: values and gradients grow or vanish layer by layer."""
    untrained = [
        norm.name
        for norm in batch_norms(simulation)
        if not np.any(keras.ops.convert_to_numpy(norm.moving_mean))
        and np.all(keras.ops.convert_to_numpy(norm.moving_variance) == 1)
    ]
    if untrained:
        warnings.warn(
            f"{len(untrained)} batch norms, {untrained[0]!r} first, are frozen with the statistics of a new layer "
            "(mean 0, variance 1): training can diverge or stand still; train the model, or load its weights, before "
            'lowbit.quantize_model, or pass batch_norm="train"',
            stacklevel=3,
        )
