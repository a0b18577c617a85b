# SPDX-License-Identifier: Apache-2.0
"""Training on several devices with `tf.distribute`: what each sees, brought together.

JAX needs none of it: with `keras.distribution` a batch is one array, on however many devices.
"""

import sys
from typing import Any

import keras
from keras import ops

Tensor = Any

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:
    tf = None

_SUPPORTED = ("MirroredStrategy", "MultiWorkerMirroredStrategy", "CollectiveAllReduceStrategy", "OneDeviceStrategy")
"""`tf.distribute` strategies whose replicas take each step together, with variables of their own."""


def are_several() -> bool:
    """Whether this step is computed by several replicas."""
    context = None if tf is None else tf.distribute.get_replica_context()
    return context is not None and context.num_replicas_in_sync > 1


def of_all_replicas(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest `low` and the largest `high` of all replicas that train this step; scalars, the same on each."""
    if not are_several():
        return low, high
    of_all = tf.distribute.get_replica_context().all_gather(ops.stack([low, high])[None], axis=0)
    return ops.min(of_all[:, 0]), ops.max(of_all[:, 1])


Problem = tuple[str, str, str]
"""What is received, what is expected and how to mend it."""


def strategy_problem(variables: list[Any]) -> Problem | None:
    """Why these variables cannot train under the strategy that is entered; None where they can."""
    if tf is not None and tf.distribute.has_strategy():
        return _strategy_problem(tf.distribute.get_strategy(), variables)
    other = sys.modules.get("tensorflow") if tf is None else None  # loaded by the user's own code, if at all
    if other is not None and other.distribute.has_strategy():
        name = _name(other.distribute.get_strategy())
        return (
            f"tf.distribute.{name} on {keras.backend.backend()}, where it is without effect",
            "tf.distribute on TensorFlow, or keras.distribution on JAX",
            "set KERAS_BACKEND=tensorflow, or on JAX pass keras.distribution.DataParallel() to set_distribution",
        )
    if keras.backend.backend() != "jax" and keras.distribution.distribution() is not None:
        name = type(keras.distribution.distribution()).__name__
        return (
            f"keras.distribution.{name} on {keras.backend.backend()}, where Keras leaves it without effect",
            "keras.distribution on JAX, or tf.distribute on TensorFlow",
            "set KERAS_BACKEND=jax, or make the simulation under tf.distribute.MirroredStrategy().scope()",
        )
    return None


def compile_problem(strategy: Any, jit_compile: bool, steps_per_execution: int) -> Problem | None:
    """Why a model made under this strategy (None: under none) cannot be compiled so here; None where it can."""
    if tf is None or strategy is None:
        return None
    name = _name(strategy)
    if tf.distribute.get_strategy() is not strategy:
        return (
            f"compile outside of the {name} that the simulation was made under",
            "an optimizer and metrics on the same devices",
            "call compile under strategy.scope()",
        )
    if strategy.num_replicas_in_sync > 1 and (jit_compile or steps_per_execution > 1):
        setting = "jit_compile=True" if jit_compile else f"steps_per_execution={steps_per_execution}"
        return (
            f"{setting} under {name} with {strategy.num_replicas_in_sync} devices",
            "steps outside of XLA and loops, as the devices exchange ranges and gradients in each",
            "leave it out",
        )
    return None


def _name(strategy: Any) -> str:
    return type(strategy).__name__.removesuffix("V1").removesuffix("V2")


def _strategy_problem(strategy: Any, variables: list[Any]) -> Problem | None:
    name = _name(strategy)
    if name not in _SUPPORTED:
        return (
            f"tf.distribute's {name}",
            "a strategy whose devices take each step together, on copies of all variables",
            "take tf.distribute.MirroredStrategy",
        )
    if not all(strategy.extended.variable_created_in_scope(variable.value) for variable in variables):
        return (
            f"a simulation that was made before {name} was entered",
            "variables on each device of the strategy",
            "call lowbit.quantize_model or keras.models.load_model under strategy.scope() too",
        )
    return None
