# SPDX-License-Identifier: Apache-2.0
"""Mixed precision: products of training steps in half precision, everything else in float32.

Micikevicius et al. 2018 (arXiv:1710.03740). Inference computes integers, whatever the policy.
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

Tensor = Any


def mixed_dtype(policy: Any) -> str | None:
    """What a mixed policy computes in, "float16" or "bfloat16"; None for a policy of one dtype."""
    return None if policy.compute_dtype == policy.variable_dtype else str(policy.compute_dtype)


class ProductDtypes:
    """In which dtype each operation of a model multiplies while the simulation trains.

    That of its layer's policy; the global policy's where the model has no mixed policy itself.
    """

    def __init__(self, model: keras.Model) -> None:
        containers = (keras.Model, keras.layers.InputLayer)  # which have the global policy, whatever they hold
        layers = [layer for layer in model._flatten_layers() if not isinstance(layer, containers)]
        own = [mixed_dtype(layer.dtype_policy) for layer in layers]
        self._is_mixed = any(own)
        self._default = next((dtype for dtype in own if dtype), mixed_dtype(keras.config.dtype_policy()))

    def of(self, operation: Any) -> str | None:
        """None for float32; a bare operation has the model's."""
        policy = getattr(operation, "dtype_policy", None)
        return mixed_dtype(policy) if self._is_mixed and policy is not None else self._default


def product_in(dtype: str | None, product: Callable[..., Tensor], *factors: Tensor) -> Tensor:
    """`product(*factors)`, computed in `dtype` (None: as they are), in float32."""
    if dtype is None:
        return product(*factors)
    return ops.cast(product(*keras.tree.map_structure(lambda factor: ops.cast(factor, dtype), factors)), "float32")
