# SPDX-License-Identifier: Apache-2.0
"""What was asked for: bits of weights and activations. Frozen, checked when built."""

import re
from dataclasses import dataclass

from lowbit.errors import InputError

WEIGHT_BITS = (4, 8)
ACTIVATION_BITS = (8, 16)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """Bits of a fully integer model.

    Weights are symmetric with one scale per output channel. Activations of 8 bits are asymmetric,
    of 16 bits symmetric, both per tensor (LiteRT's 8-bit quantization specification).

    >>> Spec.parse("w8a8").name
    'w8a8'
    """

    weights: int = 8
    activations: int = 8

    def __post_init__(self) -> None:
        is_whole = type(self.weights) is int and type(self.activations) is int  # 8.0 == 8, but is no name "w8a8"
        if not is_whole or self.weights not in WEIGHT_BITS or self.activations not in ACTIVATION_BITS:
            raise InputError(
                received=f"weights={self.weights!r}, activations={self.activations!r}",
                expected=f"weight bits among {WEIGHT_BITS} and activation bits among {ACTIVATION_BITS}",
                mend="choose w8a8, w4a8, w8a16 or w4a16",
            )

    @property
    def name(self) -> str:
        return f"w{self.weights}a{self.activations}"

    @classmethod
    def parse(cls, spec: "Spec | str") -> "Spec":
        """`"w8a8"` or a Spec; raises InputError for anything else."""
        if isinstance(spec, cls):
            return spec
        found = re.fullmatch(r"w([1-9][0-9]*)a([1-9][0-9]*)", spec) if isinstance(spec, str) else None
        if found is None:
            raise InputError(
                received=f"spec={spec!r}", expected="a name such as 'w8a8'", mend="choose w8a8, w4a8, w8a16 or w4a16"
            )
        return cls(weights=int(found[1]), activations=int(found[2]))
