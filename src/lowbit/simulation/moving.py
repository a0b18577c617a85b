# SPDX-License-Identifier: Apache-2.0
"""Primitives that pass their input's scale on: reshaping, padding, slicing, pooling, resizing."""

from collections.abc import Mapping
from typing import Any

import keras

from lowbit.graph.primitives import PRIMITIVES, SAME_AS_INPUT
from lowbit.quantizers import Mode, current_mode, record
from lowbit.quantizers.reductions import average_pool
from lowbit.quantizers.resizing import resize_bilinear, resize_nearest
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.simulation.base import SimulatedLayer, Tensor

COMPUTING = ("average_pool", "resize")
"""Kinds whose codes are not among those of the input."""

MOVED = "moves a float tensor that is read in float"
ONLY_MOVING = set(SAME_AS_INPUT) - {*COMPUTING, "max_pool"}
"""Kinds that move values and nothing else."""


@keras.saving.register_keras_serializable("lowbit")
class SameScale(SimulatedLayer):
    """One primitive whose output has the input's scale and zero point.

    Args:
        kind: a name of `graph.primitives.SAME_AS_INPUT`, saved in capitals as `QuantizedOperation`'s.
        settings: its keyword arguments.
    """

    passes_scale = True

    @property
    def fate(self) -> str:  # type: ignore[override]
        return "quantized" if self.sources() != (None,) else "kept float"

    @property
    def reason(self) -> str:  # type: ignore[override]
        return "" if self.fate == "quantized" else MOVED

    def __init__(self, *, kind: str, settings: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind.lower()
        self.settings = dict(settings or {})
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return PRIMITIVES[self.kind](keras.KerasTensor(input_shape), **self.settings).shape

    def tensor_quantizer(self) -> TensorQuantizer | None:
        return self.sources()[0] if self.sources() else None

    def float_output(self, inputs: list[Tensor]) -> Tensor:
        return PRIMITIVES[self.kind](inputs[0], **self.settings)

    def call(self, inputs: Tensor, training: bool | None = False, use: int = 0) -> Tensor:
        self.select(use)
        source = self.tensor_quantizer()
        if source is None or current_mode() is not Mode.SIMULATE:
            return self.float_output([inputs])
        if self.kind not in COMPUTING or not self.is_exact():
            output = self.float_output([inputs])
            if self.kind not in COMPUTING:
                record(self.tensor_name, source.centred(output) + source.parameters()[1])
                return output
            codes = source.to_codes(output)
        elif training:
            return source.fake_quantize(self.float_output([inputs]))
        else:
            codes = self.integer_codes([source.centred(inputs)])
        record(self.tensor_name, codes)
        return source.to_real(codes)

    def integer_codes(self, centred: list[Tensor]) -> Tensor:
        codes = centred[0] + self.source().parameters()[1]
        if self.kind == "average_pool":
            size, strides = tuple(self.settings["size"]), tuple(self.settings["strides"])
            return average_pool(codes, pool_size=size, strides=strides, padding=self.settings["padding"])
        resize = {"bilinear": resize_bilinear, "nearest": resize_nearest}[self.settings["method"]]
        return resize(codes, tuple(self.settings["size"]), half_pixel_centers=True)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"kind": self.kind.upper(), "settings": self.settings}
