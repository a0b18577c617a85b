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
    match keras.backend.backend():
        case "tensorflow":
            import tensorflow as tf

            variable = tf.Variable(x)
            with tf.GradientTape() as tape:
                total = ops.sum(function(variable))
            return np.asarray(tape.gradient(total, variable))
        case "jax":
            import jax

            return np.asarray(jax.grad(lambda values: ops.sum(function(values)))(x))
    tensor = ops.convert_to_tensor(x).requires_grad_(True)
    ops.sum(function(tensor)).backward()
    return np.asarray(tensor.grad)
