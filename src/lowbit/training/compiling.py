# SPDX-License-Identifier: Apache-2.0
"""Which backend compiles by XLA."""

import keras


def compiles_by_xla() -> bool:
    """Only JAX, which has no other way to compile: without it a step runs op by op, many times slower."""
    return bool(keras.backend.backend() == "jax")
