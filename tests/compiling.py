# SPDX-License-Identifier: Apache-2.0
"""Compiled functions and gradients, on whatever backend the tests run."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function as `predict` compiles it: a TensorFlow graph, XLA on JAX; PyTorch computes it as it is."""
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            return tf.function(function)
        case "jax":
            import jax

            return jax.jit(function)
    return function


def gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """That of the sum of `function(x)`."""
    if keras.backend.backend() == "jax":
        import jax

        return np.asarray(jax.grad(lambda values: ops.sum(function(values)))(x))
    return gradients(function, x, [])[0]


def gradients(function: Callable[[Any], Any], x: np.ndarray, weights: list[keras.Variable]) -> list[np.ndarray]:
    """Those of the sum of `function(x)` by `x` and by each of the weights; not on JAX, where weights are arguments."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        variable = tf.Variable(x)
        with tf.GradientTape() as tape:
            total = ops.sum(function(variable))
        return [np.asarray(one) for one in tape.gradient(total, [variable, *(weight.value for weight in weights)])]
    tensor = ops.convert_to_tensor(x).requires_grad_(True)
    ops.sum(function(tensor)).backward()
    return [np.asarray(one.grad.cpu()) for one in (tensor, *(weight.value for weight in weights))]
