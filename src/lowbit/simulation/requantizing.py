# SPDX-License-Identifier: Apache-2.0
"""Between activations of 8 and of 16 bits: the QUANTIZE op that changes one into the other."""

from collections.abc import Sequence
from typing import Any

import keras

from lowbit.errors import UnsupportedError
from lowbit.quantizers import ActivationQuantizer, elementwise, integer
from lowbit.quantizers.affine import code_range
from lowbit.quantizers.derived import NarrowedQuantizer, WidenedQuantizer
from lowbit.quantizers.tensor import TensorQuantizer
from lowbit.simulation.base import Tensor
from lowbit.simulation.passing import PutIn


@keras.saving.register_keras_serializable("lowbit")
class Requantize(PutIn):
    """A tensor in 8 bits as one in 16, or the other way round; both have the range of the 8-bit one.

    So the file's two scales follow from one another, as litert-quantizer takes one range for a tensor.
    """

    def link(self, sources: Sequence[TensorQuantizer | None], **settings: Any) -> None:
        (source,) = sources or (None,)
        super().link(sources, **settings | {"shared": None if source is None else self._derived(source)})

    def _derived(self, source: TensorQuantizer) -> TensorQuantizer:
        if self.activation_bits == 16:
            return WidenedQuantizer(source)
        if not isinstance(source, (ActivationQuantizer, WidenedQuantizer)):
            raise UnsupportedError(
                received=f"{self.name!r}: 16-bit activations of a prescribed range (softmax, sigmoid, tanh) "
                "before a layer with 8 bits",
                expected="a range from data where the bits change from 16 to 8",
                mend="give the layer before it 8 bits, or the layer behind it 16 (lowbit.Rule)",
            )
        return NarrowedQuantizer(source)

    def trained_output(self, inputs: list[Tensor]) -> Tensor:
        return self.output_quantizer.fake_quantize(inputs[0])

    def observed_output(self, inputs: list[Tensor]) -> Tensor:
        return inputs[0]

    def put_in_codes(self, inputs: Tensor) -> Tensor:
        source, (scale, zero_point) = self.source(), self.output_quantizer.parameters()
        codes = elementwise.rescale_fixed_point(source.centred(inputs), source.parameters()[0], scale, zero_point)
        return integer.clamp(codes, *code_range(self.activation_bits))
