# SPDX-License-Identifier: Apache-2.0
"""The training kernels of the backend that Keras runs on; None on JAX, whose compiler joins operations itself."""

from types import ModuleType

import keras

KERNELS: ModuleType | None = None
if keras.backend.backend() == "tensorflow":
    from lowbit.quantizers import on_tensorflow

    KERNELS = on_tensorflow
elif keras.backend.backend() == "torch":
    from lowbit.quantizers import on_torch

    KERNELS = on_torch
