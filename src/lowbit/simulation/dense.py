# SPDX-License-Identifier: Apache-2.0
"""Products with a matrix of weights."""

import keras
from keras import ops

from lowbit.simulation.base import Tensor
from lowbit.simulation.weighted import WeightedLayer


@keras.saving.register_keras_serializable("lowbit")
class QuantizedDense(WeightedLayer):
    """Dense [+ BatchNormalization] [+ ReLU | ReLU6] as FULLY_CONNECTED."""

    def product(self, x: Tensor, kernel: Tensor) -> Tensor:
        return ops.matmul(x, kernel)
