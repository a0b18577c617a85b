# SPDX-License-Identifier: Apache-2.0
"""What one use of a simulated layer is connected to."""

from collections.abc import Sequence

from lowbit.quantizers.tensor import TensorQuantizer


class Link:
    """Holds quantizers of other layers where Keras does not track them as this layer's own."""

    def __init__(
        self,
        sources: Sequence[TensorQuantizer | None] = (),
        is_output: bool = False,
        shared: TensorQuantizer | None = None,
        is_one_tensor: bool = False,
    ) -> None:
        self.sources = tuple(sources)
        self.is_output = is_output
        self.shared = shared
        self.is_one_tensor = is_one_tensor


class Links:
    """One link for each use."""

    def __init__(self, uses: int) -> None:
        self.by_use = [Link() for _ in range(uses)]
