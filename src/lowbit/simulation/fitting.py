# SPDX-License-Identifier: Apache-2.0
"""What training a simulation needs beside Keras: errors before the first step, and where numbers stop being finite."""

import math
from typing import Any

import keras
import numpy as np

from lowbit.errors import InputError
from lowbit.quantizers.replicas import Problem, compile_problem, strategy_problem

_RANGES = ("minimum", "maximum")
_MOVED = ("moved_minimum", "moved_maximum", "moved_scale")


def require_trainable_here(simulation: keras.Model) -> None:
    """Raises InputError where the process is set up for a training that cannot work."""
    _refuse(strategy_problem(simulation.variables))
    if simulation.dtype_policy.name != "float32":
        raise InputError(
            received=f"a simulation whose dtype policy was set to {simulation.dtype_policy.name}",
            expected="float32, with products in half precision where the float model's layers have a mixed policy",
            mend="give the float model, or keras.config.set_dtype_policy, 'mixed_float16' or 'mixed_bfloat16' before "
            "lowbit.quantize_model",
        )


def require_compiles_here(simulation: keras.Model, *, jit_compile: bool, steps_per_execution: int) -> None:
    """Likewise, for what a simulation is compiled with."""
    require_trainable_here(simulation)
    made_under = getattr(simulation, "_distribute_strategy", None)
    _refuse(compile_problem(made_under, jit_compile, steps_per_execution))


def _refuse(problem: Problem | None) -> None:
    if problem is not None:
        received, expected, mend = problem
        raise InputError(received=received, expected=expected, mend=mend)


def scaled(optimizer: Any) -> Any:
    """The optimizer with loss scaling, as Keras gives models of the policy mixed_float16."""
    optimizer = keras.optimizers.get(optimizer)
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return optimizer
    return keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale_optimizer")


def keep_ranges_from_decaying(optimizer: keras.optimizers.Optimizer, simulation: keras.Model) -> None:
    """Take learned ranges out of weight decay: it makes weights small, and a range of another size clips other values.

    What the user took out stays out. A built optimizer is left as it is, Keras allows no change there.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    holders = [*simulation.quantizers().values(), *simulation.layers]
    ranges = [getattr(one, name) for one in holders for name in _MOVED if hasattr(one, name)]
    if inner.built or not ranges:
        return
    variables: set[Any] = getattr(inner, "_exclude_from_weight_decay", set())
    names = getattr(inner, "_exclude_from_weight_decay_pattern", None)
    inner.exclude_from_weight_decay(var_list=ranges)
    inner._exclude_from_weight_decay |= variables
    inner._exclude_from_weight_decay_pattern = names


class FiniteCheck(keras.callbacks.Callback):
    """Ends a training whose loss, ranges or weights are no longer finite, and names the first layer.

    The loss is looked at after each batch, where Keras has it as a number already; weights and ranges after each epoch.

    Args:
        waits: for the next batch with the error, so that Keras may look at the loss while the step after is computed.

    Raises:
        InputError: from `fit`.
    """

    def __init__(self, *, waits: bool = True) -> None:
        super().__init__()
        self.async_safe = waits
        self._loss: float | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._loss = None

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self._loss is not None:
            self._tell()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not math.isfinite(loss):
            self._loss = loss
            if not self.async_safe:
                self._tell()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self._loss is not None or first_not_finite(self.model) is not None:
            self._tell()

    def _tell(self) -> None:
        found = first_not_finite(self.model)
        where = "finite weights and ranges" if found is None else f"the {found} as the first that is not finite"
        loss = "" if self._loss is None else f"loss {self._loss} and "
        rate = float(np.asarray(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)))
        raise InputError(
            received=f"{loss}{where}, while training at learning rate {rate:g}",
            expected="finite numbers",
            mend="go back to weights from before and train with a smaller learning rate, or look for NaN and wrong "
            "labels in the data",
        )


def first_not_finite(model: keras.Model) -> str | None:
    """In words, the first range or weight in running order that is NaN or infinite; None where all are finite."""
    for layer in model.layers:
        for variable in layer.variables:
            is_float = "float" in keras.backend.standardize_dtype(variable.dtype)
            if is_float and not np.isfinite(keras.ops.convert_to_numpy(variable)).all():
                kind = "range" if variable.name in _RANGES else "weight"
                return f"{kind} {variable.path!r} of layer {layer.name!r}"
    return None
