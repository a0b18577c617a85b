# SPDX-License-Identifier: Apache-2.0
"""Rows of a table of codes, picked by whole numbers."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from lowbit.simulation.base import Tensor, WrappingLayer
from lowbit.simulation.exported import Constant, Mark


@keras.saving.register_keras_serializable("lowbit")
class QuantizedEmbedding(WrappingLayer):
    """Embedding as LiteRT's GATHER: the table and the output have one scale, which spans the whole table."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output_quantizers = self.make_quantizers()

    def carried_weights(self) -> list[Any]:
        return list(self.layer.weights)

    def is_exact(self) -> bool:
        return False

    def simulated_output(self, inputs: list[Tensor], training: bool) -> Tensor:
        return self.float_output(inputs)

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        self.output_quantizer.observe(ops.convert_to_tensor(self.layer.embeddings))
        return self.float_output(inputs)

    def constants(self, integer: bool) -> dict[str, Constant]:
        table = ops.convert_to_tensor(self.layer.embeddings)
        if not integer:
            return {"table": Constant(values=ops.convert_to_numpy(table))}
        codes = self.output_quantizer.to_codes(table)
        scale, zero_point = (ops.convert_to_numpy(value) for value in self.output_quantizer.parameters())
        return {
            "table": Constant(
                values=ops.convert_to_numpy(self.output_quantizer.to_real(codes)),
                codes=ops.convert_to_numpy(codes).astype("int16" if self.activation_bits == 16 else "int8"),
                scale=np.atleast_1d(scale),
                zero_point=int(zero_point),
                bits=self.activation_bits,
                is_operand=True,
            )
        }

    def deploy(self, inputs: list[Tensor], constants: Mapping[str, Tensor], mark: Mark) -> Tensor:
        indices = ops.cast(inputs[0], "int32")
        return mark("", ops.take(constants["table"], indices, axis=0), self.output_quantizer)

    def weight_count(self) -> int:
        return int(np.prod(self.layer.embeddings.shape))
